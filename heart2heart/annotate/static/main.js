// Who is here, which page is open, and what each key does.

import { ask, setClock } from "./api.js";
import { find, say, sentence, toggle } from "./dom.js";
import { Grid } from "./grid.js";
import { RetryQueue } from "./retry_queue.js";
import { Player } from "./player.js";
import { Reading, answerButtons } from "./read.js";
import * as store from "./store.js";
import { showTables } from "./tables.js";

const READINGS = ["label", "review"];
const player = new Player(find("clip"));
const retryQueue = new RetryQueue(tellUnsaved, () => enter());
let readings = null;
let grid = null;
let keys = new Map();
let open = null;

function tellUnsaved(waiting, error) {
  const trouble = find("trouble");
  const text = error ? `NOT SAVED: ${waiting} ${waiting === 1 ? "answer waits" : "answers wait"}. ${sentence(error.message)} Trying again …` : "";
  if (trouble.textContent !== text) say(trouble, text);
  toggle(trouble, Boolean(error));
}

addEventListener("beforeunload", (event) => {
  if (retryQueue.items.length) event.preventDefault();
});

/** Ask who is here, and begin; or show the field for name or token. */
async function enter() {
  let me;
  try {
    me = await ask("me");
  } catch (error) {
    say(find("trouble"), `${sentence(error.message)} Trying again …`);
    toggle(find("trouble"), true);
    setTimeout(enter, 2000);
    return;
  }
  if (me.enter) {
    const named = me.by === "name";
    find("enter").querySelector("label").textContent = named ? "Your name, as it is to stand in the label book" : "Your token";
    find("secret").type = named ? "text" : "password";
    const first = me.enter === `Enter with your ${me.by}`; // nothing was refused
    find("refusal").textContent = first ? "" : sentence(me.enter);
    choose(null);
    toggle(find("enter"), true);
    find("secret").focus();
    return;
  }
  toggle(find("enter"), false);
  toggle(find("trouble"), false);
  begin(me);
}

find("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("enter", { secret: find("secret").value });
  } catch (error) {
    say(find("refusal"), sentence(error.message));
    return;
  }
  find("secret").value = "";
  await enter();
});

find("leave").addEventListener("click", async () => {
  if (retryQueue.items.length) {
    say(find("trouble"), "NOT SAVED: wait until your answers are saved before you leave.");
    toggle(find("trouble"), true);
    return;
  }
  await ask("leave", {});
  location.reload();
});

function begin(me) {
  setClock(me.now);
  const kept = retryQueue.resume(me.name);
  if (kept) say(find("status"), `${kept} answers from before are being saved.`);
  find("who").querySelector("span").textContent = me.name;
  toggle(find("who"), true);
  const nav = document.querySelector("nav");
  toggle(nav, true);
  toggle(nav.querySelector("[data-page=grid]"), me.grid);
  for (const page of ["review", "agreement"]) toggle(nav.querySelector(`[data-page=${page}]`), me.adjudicator);
  if (!readings || readings.rater !== me.name) {
    const page = { player, retryQueue, views: me.views, size: me.size, conflict };
    readings = {
      rater: me.name,
      label: new Reading(page, {
        kind: "label", about: store.about, empty: "No clip waits for you. Thank you.",
        more: (count, without, first) => ask("work", { count, without, first }),
      }),
      review: new Reading(page, {
        kind: "adjudication", empty: "No disagreement waits.",
        about: (clip) => ask(`review/${encodeURIComponent(clip)}`),
        more: async (count, without) => {
          const waiting = (await ask("review")).clips.filter((about) => !without.includes(about.clip));
          return { clips: waiting.slice(0, count), left: waiting.length };
        },
      }),
    };
    keys = answerButtons(me.views, (word) => reading()?.answer(word));
    grid?.forget();
    grid ??= new Grid(retryQueue, {
      ask: (clips) => readings.label.first.push(...clips),
      restart: () => readings.label.restart(),
      leave: (clips) => (readings.label.first = readings.label.first.filter((clip) => !clips.includes(clip))),
    });
  }
  choose("label");
}

const reading = () => (READINGS.includes(open) ? readings[open] : null);

async function choose(name) {
  reading()?.close();
  open = name;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.page === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  toggle(find("read"), READINGS.includes(name));
  toggle(find("grid"), name === "grid");
  toggle(find("tables"), name === "progress" || name === "agreement");
  if (name === null) return;
  say(find("status"), "");
  try {
    if (reading()) await reading().open();
    else if (name === "grid") await grid.open();
    else await showTables(name);
  } catch (error) {
    say(find("trouble"), sentence(error.message));
    toggle(find("trouble"), true);
  }
}

for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => choose(button.dataset.page));
}

const conflicts = [];

/** Tell that an answer was not saved, and what stands now; the rater decides what to do. One after the other. */
function conflict(word, result, again, accept) {
  conflicts.push({ word, result, again, accept });
  if (!find("conflict").open) showConflict();
}

function showConflict() {
  const { word, result, again, accept } = conflicts.shift();
  const now = result.now;
  const parts = [];
  const others = [...(now?.said ?? [])];
  if (now?.mine) parts.push(`you said ${now.mine}`);
  if (others.includes(now?.mine)) others.splice(others.indexOf(now.mine), 1);
  if (others.length) parts.push(`another reader said ${others.join(", ")}`);
  if (now?.ruling) parts.push(`decided as ${now.ruling}`);
  find("conflict-what").textContent = `You answered ${word}. ${sentence(result.error)}`;
  find("conflict-now").textContent = parts.length ? `In the book now: ${parts.join("; ")}.` : "";
  const dialog = find("conflict");
  dialog.returnValue = "";
  dialog.onclose = () => {
    (dialog.returnValue === "again" ? again : accept)();
    if (conflicts.length) showConflict();
  };
  dialog.showModal();
}

find("again").addEventListener("click", () => find("conflict").close("again"));
find("accept").addEventListener("click", () => find("conflict").close(""));

const ACTIONS = {
  " ": () => play(), ArrowLeft: () => reading().back(), ArrowRight: () => reading().pass(),
  z: () => reading().undo(), Backspace: () => reading().undo(), c: () => reading().nextSure(),
  ",": () => speed(-1), ".": () => speed(1), "[": () => contrast(-1), "]": () => contrast(1),
};

function play() {
  player.playing = !player.playing;
  find("play").querySelector("span").textContent = player.playing ? "Pause" : "Play";
}

function speed(step) {
  player.changeSpeed(step);
  find("speed").textContent = `${player.speed}×`;
}

function contrast(step) {
  player.changeContrast(step);
  find("contrast").textContent = player.contrast.toFixed(1);
}

for (const [id, key] of [["back", "ArrowLeft"], ["play", " "], ["on", "ArrowRight"], ["undo", "z"], ["sure", "c"],
  ["slower", ","], ["faster", "."], ["softer", "["], ["harder", "]"]]) {
  find(id).addEventListener("click", () => ACTIONS[key]());
}

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, dialog");
  if (typing || event.ctrlKey || event.altKey || event.metaKey || find("conflict").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (open === "grid" && ["z", "Backspace"].includes(key) && !event.repeat) {
    event.preventDefault();
    grid.alone(() => grid.undo());
  }
  if (!reading()) return;
  const onButton = event.target.closest?.("button") && key === " ";
  if (onButton) return; // a button under the focus takes its own key
  if (keys.has(key)) {
    event.preventDefault();
    if (!event.repeat) reading().answer(keys.get(key));
  } else if (key in ACTIONS) {
    event.preventDefault();
    if (!event.repeat || ",.[]".includes(key)) ACTIONS[key]();
  }
});

play(), play(); // the button says what it will do, also where motion is not wanted
enter();
