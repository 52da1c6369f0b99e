// The page Tasks: clips from colleagues and for colleagues, the daily goal, and the time left.

import { now, requestJson } from "./api.js";
import { find, make, say, sentence } from "./dom.js";

export class Tasks {
  /** @param openClip opens a clip on the page Label */
  constructor(openClip) {
    this.openClip = openClip;
    this.status = make("p", { id: "tasks-status" });
    this.status.setAttribute("role", "status");
    this.received = make("ul", { id: "received", className: "plain" });
    this.sent = make("ul", { id: "sent", className: "plain" });
    this.goal = make("input", { type: "number", id: "goal", min: 0, max: 10000, step: 1 });
    this.bar = make("progress", { max: 1, value: 0 });
    this.bar.setAttribute("aria-label", "Share of the daily goal");
    this.today = make("p", { id: "today" });
    const form = make("form", { className: "tools" }, make("label", { htmlFor: "goal", textContent: "Daily goal, clips (0: none)" }), this.goal,
      make("button", { textContent: "Set" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run(async () => {
        await requestJson("goal", { clips: Number(this.goal.value), at: now() });
        return "Goal set.";
      });
    });
    const card = (title, ...content) => make("div", { className: "card" }, make("h2", { textContent: title }), ...content);
    find("tasks").replaceChildren(this.status, card("Today", this.today, this.bar, form), card("From colleagues", this.received), card("Handed over by you", this.sent));
  }

  /** Do something, say what came of it, and show the page again. */
  async run(action) {
    try {
      const text = await action();
      await this.open();
      say(this.status, text);
    } catch (error) {
      say(this.status, sentence(error.message));
    }
  }

  async open() {
    const { received, sent, goal, today, left, minutes } = await requestJson("tasks");
    say(this.status, "");
    this.goal.value = goal;
    this.bar.hidden = !goal;
    this.bar.max = goal || 1;
    this.bar.value = Math.min(today, goal);
    const time = minutes === null ? "" : `, about ${minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`} at your own median`;
    this.today.textContent = `${today} ${today === 1 ? "clip" : "clips"} read today${goal ? ` of ${goal}` : ""}; ${left} left for you${time}.`;
    this.list(this.received, received, (task) => `from ${task.sender}`, "Done");
    this.list(this.sent, sent, (task) => `to ${task.colleague}`, "Take back");
  }

  list(element, tasks, who, action) {
    element.replaceChildren(...tasks.map((task) => {
      const answer = task.own_answer ? ` · you: ${task.own_answer.replaceAll("_", " ")}` : "";
      const open = make("button", { type: "button" }, make("b", { textContent: task.clip.slice(0, 12) }), ` ${task.site} · ${who(task)}${answer}${task.text ? ` · “${task.text}”` : ""}`);
      open.addEventListener("click", () => this.openClip(task.clip));
      const end = make("button", { type: "button", textContent: action });
      end.setAttribute("aria-label", `${action}: clip ${task.clip.slice(0, 12)}`);
      end.addEventListener("click", () => this.run(async () => {
        await requestJson("tasks", { clip: task.clip, at: now() });
        return action === "Done" ? "Task done." : "Taken back.";
      }));
      return make("li", { className: "tools" }, open, end);
    }));
    if (!tasks.length) element.replaceChildren(make("li", { className: "note", textContent: "None." }));
  }
}
