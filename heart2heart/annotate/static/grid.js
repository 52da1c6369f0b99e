// The grid: thirty clips for which the model suggests one view. The rater marks the wrong ones and confirms the rest.

import { now, requestFrames, requestJson, retract } from "./api.js";
import { find, make, say, sentence, toggle } from "./dom.js";
import { draw } from "./player.js";

const FRAME_MS = 160;
const LOOK_MS = 250; // the least time in which a person can look at one clip
const SEEN = 0.6; // share of a tile that was on the screen when it counts as seen

export class Grid {
  /** @param label {add, remove, restart} the actions on the page Label: add the clips that are marked wrong, remove those
   *  that no longer are, and load its clips again because some were labeled in the grid */
  constructor(retryQueue, label) {
    this.retryQueue = retryQueue;
    this.label = label;
    this.tiles = [];
    this.seen = new IntersectionObserver((entries) => this.markSeen(entries), { threshold: SEEN });
    this.confirmed = []; // {view, saved, wrong} of each confirmation, in order
    find("called").addEventListener("change", () => this.runExclusively(() => this.load()));
    find("confirm").addEventListener("click", () => this.runExclusively(() => this.confirm()));
    find("unconfirm").addEventListener("click", () => this.runExclusively(() => this.undo()));
    setInterval(() => this.tick(), FRAME_MS);
  }

  /** Run one task at a time and show its error. */
  async runExclusively(task) {
    if (this.busy) return;
    this.busy = true;
    this.updateButtons();
    try {
      await task();
    } catch (error) {
      say(find("grid-status"), sentence(error.message));
    } finally {
      this.busy = false;
      this.updateButtons();
    }
  }

  /** Forget the confirmed clips: another rater has signed in and must not retract them. */
  forget() {
    this.confirmed = [];
    this.tiles = [];
  }

  async open() {
    this.count((await requestJson("grid")).counts);
    if (!this.tiles.length) await this.runExclusively(() => this.load());
  }

  count(counts) {
    const chosen = find("called").value;
    const options = Object.entries(counts).map(([view, left]) =>
      make("option", { value: view, textContent: `${view} (${left} left)` }));
    find("called").replaceChildren(...options);
    if (chosen) find("called").value = chosen;
  }

  /** Show the next clips; those in `marked` are marked wrong. */
  async load(marked = []) {
    this.view = find("called").value;
    const reply = await requestJson("grid", { view: this.view });
    const clips = reply.clips.map((clip) => clip.clip);
    const pixels = clips.length ? await requestFrames("grid-frames", { clips }) : new Uint8Array();
    const side = Math.sqrt(pixels.length / (clips.length * reply.frames));
    this.shown = performance.now();
    this.frames = reply.frames;
    this.asked = false;
    this.seen.disconnect();
    this.tiles = reply.clips.map((clip, index) => this.makeTile(clip, index, pixels, side, reply.probabilities[index]));
    for (const tile of this.tiles) if (marked.includes(tile.clip.clip)) this.toggleWrong(tile);
    find("tiles").replaceChildren(...this.tiles.map((tile) => make("li", {}, tile.button)));
    for (const tile of this.tiles) this.seen.observe(tile.button);
    toggle(find("synthetic"), reply.clips.some((clip) => clip.synthetic));
    this.count(reply.counts);
    this.updateButtons();
    if (!clips.length) say(find("grid-status"), "The model suggests this view for no further clip.");
  }

  makeTile(clip, index, pixels, side, probability) {
    const canvas = make("canvas");
    canvas.setAttribute("aria-hidden", "true");
    draw(canvas, pixels, side, index * this.frames);
    const share = `${Math.round(100 * probability)} %`;
    const button = make("button", { className: "tile" }, canvas, make("small", { textContent: share }), make("span", { textContent: "" }));
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Clip ${index + 1}, the model says ${share}: wrong`);
    const tile = { clip, index, pixels, side, canvas, button, wrong: false, seen: false, hovered: false };
    button.addEventListener("click", () => this.toggleWrong(tile));
    for (const [name, hovered] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) {
      button.addEventListener(name, () => { tile.hovered = hovered; });
    }
    return tile;
  }

  markSeen(entries) {
    for (const entry of entries.filter(({ isIntersecting }) => isIntersecting)) {
      const tile = this.tiles.find(({ button }) => button === entry.target);
      if (tile) tile.seen = true;
    }
    this.updateButtons();
  }

  toggleWrong(tile) {
    tile.wrong = !tile.wrong;
    tile.button.setAttribute("aria-pressed", String(tile.wrong));
    tile.button.querySelector("span").textContent = tile.wrong ? "✗ wrong" : "";
    this.updateButtons();
  }

  updateButtons() {
    const right = this.tiles.filter((tile) => !tile.wrong).length;
    const unseen = this.tiles.filter((tile) => !tile.seen).length;
    find("confirm").textContent = unseen ? `${unseen} clips not seen yet: scroll` : `Confirm ${right} as ${this.view}`;
    find("confirm").disabled = this.busy || !this.tiles.length || unseen > 0;
    find("unconfirm").disabled = this.busy || !this.confirmed.length;
  }

  tick() {
    if (find("grid").hidden) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches; // then a tile plays under the pointer alone
    const frame = Math.floor(performance.now() / FRAME_MS) % this.frames;
    for (const { canvas, pixels, side, index, hovered } of this.tiles) {
      if (hovered || !still) draw(canvas, pixels, side, index * this.frames + frame);
    }
  }

  async confirm() {
    const view = this.view;
    const right = this.tiles.filter((tile) => !tile.wrong);
    const seconds = (performance.now() - this.shown) / 1000 / this.tiles.length;
    if (1000 * seconds < LOOK_MS && !this.asked) {
      this.asked = true;
      const all = (seconds * this.tiles.length).toFixed(1);
      say(find("grid-status"), `${this.tiles.length} clips in ${all} s: nobody can look at them so fast. Look again, then confirm.`);
      return;
    }
    const wrong = this.tiles.filter((tile) => tile.wrong).map((tile) => tile.clip.clip);
    this.label.add(wrong);
    say(find("grid-status"), "Saving …");
    const results = await Promise.all(right.map(({ clip }) => this.retryQueue.put({
      clip: clip.clip, kind: "label", answer: "view", view, at: now(), seconds, confidence: null,
      frame_hash: clip.frame_hash, seen: clip.seen, shown: true,
    })));
    const saved = right.map(({ clip }, index) => ({ clip: clip.clip, event: results[index].event }));
    this.confirmed.push({ view, saved: saved.filter(({ event }) => event), wrong });
    this.label.restart();
    const refused = results.filter((result) => result.error);
    const summary = `${results.length - refused.length} saved as ${view}, ${wrong.length} sent to Label.`;
    await this.load();
    say(find("grid-status"), refused.length ? `${summary} ${refused.length} not saved: ${refused[0].error}.` : summary);
  }

  /** Retract the whole last confirmation, and show its clips as they were. */
  async undo() {
    const last = this.confirmed.at(-1);
    if (!last) {
      say(find("grid-status"), "Nothing to undo.");
      return;
    }
    if (last.saved.length) await retract(last.saved);
    this.confirmed.pop();
    this.label.remove(last.wrong);
    this.label.restart();
    find("called").value = last.view;
    await this.load(last.wrong);
    say(find("grid-status"), `Retracted: ${last.saved.length} of ${last.view}.`);
  }
}
