// The rater who is signed in, the open page, and the action of each key.

import { makeAnswerButtons } from "./answer_buttons.js";
import { requestJson, setClock } from "./api.js";
import * as cache from "./cache.js";
import { find, say, sentence, toggle } from "./dom.js";
import { Definitions } from "./definitions.js";
import { Grid } from "./grid.js";
import { AnswerKeys, KeysWindow } from "./keys.js";
import { RetryQueue } from "./retry_queue.js";
import { Reading } from "./reading.js";
import { showTables } from "./tables.js";
import { Team } from "./team.js";
import { Viewer } from "./viewer.js";
import { ViewerControls } from "./viewer_controls.js";
import { StudyView } from "./viewer_study.js";

const READING_PAGES = ["label", "review"];
const player = new Viewer(find("clip"), find("ticks"), find("levels"));
const controls = new ViewerControls(player, showPlaying);
const study = new StudyView();
const retryQueue = new RetryQueue(showUnsaved, () => signIn());
const team = new Team(player, (name) => openPage(name), () => readings.label);
let readings = null;
let grid = null;
let keys = new AnswerKeys([]);
let keysWindow = null;
const definitions = new Definitions(() => reading()?.current);
let openName = null;

function showUnsaved(waiting, error) {
  const trouble = find("trouble");
  const text = error ? `NOT SAVED: ${waiting} ${waiting === 1 ? "answer waits" : "answers wait"}. ${sentence(error.message)} Trying again …` : "";
  if (trouble.textContent !== text) say(trouble, text);
  toggle(trouble, Boolean(error));
}

addEventListener("beforeunload", (event) => {
  if (retryQueue.items.length) event.preventDefault();
});

/** Request who is signed in and start, or show the field for the name or token. */
async function signIn() {
  let session;
  try {
    session = await requestJson("session");
  } catch (error) {
    say(find("trouble"), `${sentence(error.message)} Trying again …`);
    toggle(find("trouble"), true);
    setTimeout(signIn, 2000);
    return;
  }
  if (session.sign_in) {
    const byName = session.credential === "name";
    find("enter").querySelector("label").textContent = byName ? "Your name, as the label store will record it" : "Your token";
    find("secret").type = byName ? "text" : "password";
    const firstVisit = session.sign_in === `Sign in with your ${session.credential}`; // nothing was refused
    find("refusal").textContent = firstVisit ? "" : sentence(session.sign_in);
    openPage(null);
    toggle(find("enter"), true);
    find("secret").focus();
    return;
  }
  toggle(find("enter"), false);
  toggle(find("trouble"), false);
  start(session);
}

find("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await requestJson("sign-in", { secret: find("secret").value });
  } catch (error) {
    say(find("refusal"), sentence(error.message));
    return;
  }
  find("secret").value = "";
  await signIn();
});

find("leave").addEventListener("click", async () => {
  if (retryQueue.items.length) {
    say(find("trouble"), "NOT SAVED: wait until your answers are saved before you sign out.");
    toggle(find("trouble"), true);
    return;
  }
  await requestJson("sign-out", {});
  location.reload();
});

function start(session) {
  setClock(session.now);
  const unsaved = retryQueue.resume(session.name);
  if (unsaved) say(find("status"), `${unsaved} earlier answers are being saved.`);
  find("who").querySelector("span").textContent = session.name;
  toggle(find("who"), true);
  const nav = document.querySelector("nav");
  toggle(nav, true);
  toggle(nav.querySelector("[data-page=grid]"), session.grid);
  for (const page of ["review", "agreement"]) toggle(nav.querySelector(`[data-page=${page}]`), session.adjudicator);
  if (!readings || readings.rater !== session.name) {
    const page = { player, controls, study, retryQueue, views: session.answers, size: session.size, conflict };
    readings = {
      rater: session.name,
      label: new Reading(page, {
        kind: "label", details: cache.details, empty: "No clip is left for you. Thank you.",
        more: (count, without, first, unsaved) =>
          requestJson("next-clips", { count, without, first, unsaved, filter: team.filter }),
      }),
      review: new Reading(page, {
        kind: "adjudication", empty: "No disagreement is left.",
        details: (clip) => requestJson(`review/${encodeURIComponent(clip)}`),
        more: async (count, without) => {
          const waiting = (await requestJson("review")).clips.filter((details) => !without.includes(details.clip));
          return { clips: waiting.slice(0, count), left: waiting.length };
        },
      }),
    };
    keysWindow = new KeysWindow(session.presets, useKeys);
    useKeys(session.answers);
    grid?.forget();
    grid ??= new Grid(retryQueue, {
      add: (clips) => readings.label.first.push(...clips),
      restart: () => readings.label.restart(),
      remove: (clips) => (readings.label.first = readings.label.first.filter((clip) => !clips.includes(clip))),
    });
  }
  team.start(session);
  team.follow();
}

/** Use the keys of the answers, and show them on the buttons. */
function useKeys(answers) {
  keys.cancel();
  keys = new AnswerKeys(answers);
  makeAnswerButtons(answers, (answer) => reading()?.answer(answer));
  reading()?.mark();
}

const reading = () => (READING_PAGES.includes(openName) ? readings[openName] : null);

async function openPage(name) {
  reading()?.close();
  openName = name;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.page === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  toggle(find("read"), READING_PAGES.includes(name));
  toggle(find("grid"), name === "grid");
  toggle(find("tables"), ["progress", "agreement", "raters"].includes(name));
  team.open(null);
  if (name === null) return;
  say(find("status"), "");
  try {
    if (reading()) await reading().open(name === "label" ? team.takeClip() : null);
    else if (name === "grid") await grid.open();
    else if (team.has(name)) await team.open(name);
    else await showTables(name);
  } catch (error) {
    say(find("trouble"), sentence(error.message));
    toggle(find("trouble"), true);
  }
}

for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => openPage(button.dataset.page));
}

const conflicts = [];

/** Show that an answer was not saved, and the present state; the rater decides what to do. One dialog at a time. */
function conflict(word, result, again, accept) {
  conflicts.push({ word, result, again, accept });
  if (!find("conflict").open) showConflict();
}

function showConflict() {
  const { word, result, again, accept } = conflicts.shift();
  const now = result.now;
  const parts = [];
  const otherAnswers = [...(now?.answers ?? [])];
  if (now?.own_answer) parts.push(`you answered ${now.own_answer}`);
  if (otherAnswers.includes(now?.own_answer)) otherAnswers.splice(otherAnswers.indexOf(now.own_answer), 1);
  if (otherAnswers.length) parts.push(`another reader answered ${otherAnswers.join(", ")}`);
  if (now?.adjudication) parts.push(`decided as ${now.adjudication}`);
  find("conflict-what").textContent = `You answered ${word}. ${sentence(result.error)}`;
  find("conflict-now").textContent = parts.length ? `In the label store now: ${parts.join("; ")}.` : "";
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
  " ": () => togglePlaying(), ArrowLeft: () => reading().back(), ArrowRight: () => reading().skip(),
  z: () => reading().undo(), Backspace: () => reading().undo(), c: () => reading().nextConfidence(),
  "-": () => changeSpeed(-1), "+": () => changeSpeed(1), "(": () => changeContrast(-1), ")": () => changeContrast(1),
  "*": () => study.toggle(reading().current, reading().size, (clip) => reading().jump(clip)), ...controls.actions(),
  "?": () => keysWindow.open([...keys.answers.values()]),
  "/": () => definitions.open([...keys.answers.values()], team.adjudicator),
};

function togglePlaying() {
  player.playing = !player.playing;
  showPlaying();
}

/** Show on the controls what the viewer does. */
function showPlaying() {
  find("contrast").textContent = player.contrast.toFixed(1);
  find("play").querySelector("span").textContent = player.playing ? "Pause" : "Play";
}

function changeSpeed(step) {
  player.changeSpeed(step);
  find("speed").textContent = `${player.speed}×`;
}

function changeContrast(step) {
  player.changeContrast(step);
  controls.showLevels();
  showPlaying();
}

for (const [id, key] of [["back", "ArrowLeft"], ["play", " "], ["on", "ArrowRight"], ["undo", "z"], ["sure", "c"],
  ["slower", "-"], ["faster", "+"], ["softer", "("], ["harder", ")"], ["four", "*"], ["show-keys", "?"], ["show-definitions", "/"]]) {
  find(id).addEventListener("click", () => ACTIONS[key]());
}

addEventListener("keydown", (event) => {
  const closed = event.target.closest?.("dialog:not([open])"); // its field keeps the focus until the next picture is drawn
  const typing = !closed && event.target.closest?.("input:not([type=range]), textarea, select, dialog");
  const sliding = event.target.type === "range" && /^(Arrow|Page|Home|End)/.test(event.key);
  const modified = (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
  if (typing || sliding || modified || document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.shiftKey ? `Shift+${event.key}` : event.key;
  if (openName === "grid" && ["z", "Backspace"].includes(key) && !event.repeat) {
    event.preventDefault();
    grid.runExclusively(() => grid.undo());
  }
  if (event.shiftKey && /^[a-z]$/.test(key) && !event.repeat && openName && team.press(key)) return event.preventDefault();
  if (!reading()) return;
  const onButton = event.target.closest?.("button") && key === " ";
  if (onButton) return; // the button with the focus handles the space key
  const answer = event.repeat ? undefined : keys.press(key);
  if (answer !== undefined) {
    event.preventDefault();
    if (answer !== null) reading().answer(answer);
  } else if (key in ACTIONS) {
    event.preventDefault();
    if (!event.repeat || ",.-+()".includes(key) || key.includes("Arrow") || key.startsWith("Page")) ACTIONS[key]();
  }
});

togglePlaying(), togglePlaying(); // set the text of the button, also where the rater prefers reduced motion
signIn();
