// The review of clips in which text is suspected: one clip after the other, one key a decision.

import { requestFrames, requestJson } from "./api.js";
import { find, say, sentence, toggle } from "./dom.js";
import { Player, draw } from "./player.js";

const MIN_SHOWN_MS = 150; // nobody judges a clip that is on the screen for less
const REASONS = { cleared: "no identity in the pictures", hidden: "an identity in the pictures, or unsure", undone: "taken back" };
const WORDS = { cleared: "Cleared", hidden: "Hidden", undone: "Taken back" };

const player = new Player(find("clip"));
let current = null; // details of the clip on the screen
let side = 0;
let waiting = [];
let skipped = [];
const done = []; // details of the clips that were decided here, in order
let shown = null;
let busy = false;
let outlined = true;

function trouble(error) {
  say(find("trouble"), sentence(error.message));
  toggle(find("trouble"), true);
}

/** Enter with the token of the address, and take it out of the address. */
async function enter() {
  const secret = location.hash.slice(1);
  try {
    if (secret) {
      await requestJson("sign-in", { secret });
      history.replaceState(null, "", location.pathname);
    }
    update(await requestJson("session"));
  } catch (error) {
    trouble(error);
    return;
  }
  await next();
}

function update(overview) {
  side = overview.size;
  waiting = overview.waiting;
  find("who").querySelector("span").textContent = overview.name;
  toggle(find("who"), true);
  say(find("counts"), `${waiting.length} waiting, ${overview.cleared} cleared, ${overview.hidden} hidden`);
}

/** Show the first clip that waits and was not skipped; skipped clips come again at the end. */
async function next() {
  let clip = waiting.find((name) => !skipped.includes(name));
  if (!clip && skipped.length) {
    skipped = [];
    clip = waiting[0];
  }
  if (clip) await show(clip);
  else showNothing();
}

function showNothing() {
  current = null;
  player.clear();
  toggle(find("review"), false);
  toggle(find("synthetic"), false);
  toggle(find("nothing"), true);
  say(find("nothing"), done.length ? "No clip waits for review. Press z to take your last decision back." : "No clip waits for review.");
}

async function show(clip) {
  find("review").setAttribute("aria-busy", "true");
  shown = null;
  let details, pixels;
  try {
    details = await requestJson(`clips/${encodeURIComponent(clip)}`);
    pixels = await requestFrames(`clips/${encodeURIComponent(clip)}/frames`);
  } catch (error) {
    trouble(error);
    return;
  }
  toggle(find("trouble"), false);
  toggle(find("nothing"), false);
  toggle(find("review"), true);
  current = details;
  player.show(pixels, side, details.frames, details.frame_ms);
  draw(find("brightest"), extreme(pixels, details.frames, Math.max), side, 0, player.table);
  draw(find("darkest"), extreme(pixels, details.frames, Math.min), side, 0, player.table);
  const single = details.frames === 1; // its brightest and darkest levels are the picture itself
  document.querySelector(".pictures").classList.toggle("single", single);
  for (const name of ["brightest", "darkest"]) toggle(find(name).closest("figure"), !single);
  outline();
  describe();
  find("reason").value = "";
  shown = performance.now();
  find("review").setAttribute("aria-busy", "false");
}

/** Return the greatest or least level of each pixel over all frames. */
function extreme(pixels, count, choose) {
  const size = side * side;
  const result = pixels.slice(0, size);
  for (let frame = 1; frame < count; frame++) {
    for (let offset = 0; offset < size; offset++) result[offset] = choose(result[offset], pixels[frame * size + offset]);
  }
  return result;
}

/** Draw the suspected areas, in a light line within a dark one, so that they are seen on any picture. */
function outline() {
  const scale = 4; // lines thinner than a pixel of the frame
  for (const name of ["outline", "brightest-outline", "darkest-outline"]) {
    const canvas = find(name);
    canvas.width = canvas.height = side * scale;
    if (!outlined || !current) continue;
    const pen = canvas.getContext("2d");
    for (const [left, top, right, bottom] of current.areas) {
      for (const [width, colour] of [[8, "#000000"], [4, "#ffd76a"]]) {
        pen.lineWidth = width;
        pen.strokeStyle = colour;
        pen.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
      }
    }
  }
}

function describe() {
  const text = `hospital ${current.site}, ${current.mode.replaceAll("_", " ")}, ${current.frames} ${current.frames === 1 ? "frame" : "frames"}`;
  find("details").textContent = `Clip ${current.clip.slice(0, 12)} of ${text}`;
  find("clip").setAttribute("aria-label", `Clip of ${text}, playing in a loop`);
  const count = current.areas.length;
  const areas = count ? `${count === 1 ? "1 suspected area is" : `${count} suspected areas are`} outlined.` : "No area is outlined: the text was found in the file's own pictures, which are larger.";
  const blanked = current.flags.includes("text_blanked") ? " The text that was found is blanked: look for the rest." : "";
  const quarantined = current.flags.includes("text_quarantined") ? " The clip is in quarantine until it is cleared." : "";
  find("areas").textContent = `${areas} Text may be elsewhere, too: look at every frame.${blanked}${quarantined}`;
  toggle(find("synthetic"), current.synthetic);
}

async function decide(decision, details = current) {
  const early = decision !== "undone" && (shown === null || performance.now() - shown < MIN_SHOWN_MS);
  if (!details || busy || early) return;
  busy = true;
  try {
    const reason = (decision === "undone" ? "" : find("reason").value.trim()) || REASONS[decision];
    update(await requestJson("decisions", { clip: details.clip, decision, reason, frame_hash: details.frame_hash }));
    if (decision === "undone") done.pop();
    else done.push(details);
    toggle(find("trouble"), false);
    if (decision === "undone") await show(details.clip);
    else await next();
    say(find("status"), `${WORDS[decision]}: clip ${details.clip.slice(0, 12)}.`);
  } catch (error) {
    trouble({ message: `Not saved: ${error.message}` });
  } finally {
    busy = false;
  }
}

function skip() {
  if (!current || busy) return;
  skipped.push(current.clip);
  say(find("status"), "Skipped.");
  next();
}

function undo() {
  if (done.length) decide("undone", done.at(-1));
  else say(find("status"), "Nothing to undo.");
}

function pause(paused) {
  player.playing = !paused;
  find("play").querySelector("span").textContent = paused ? "Play" : "Pause";
}

function step(frames) {
  if (!current) return;
  pause(true);
  player.position = (Math.floor(player.position) + frames + current.frames) % current.frames;
  player.paint();
}

function toggleOutline() {
  outlined = !outlined;
  find("outlined").setAttribute("aria-pressed", String(outlined));
  outline();
}

function contrast() {
  player.changeContrast(player.contrast >= 3 ? -10 : 2);
  if (current) show(current.clip);
}

const ACTIONS = {
  c: () => decide("cleared"), h: () => decide("hidden"), s: skip, z: undo, o: toggleOutline, "]": contrast,
  " ": () => pause(player.playing), ArrowLeft: () => step(-1), ArrowRight: () => step(1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.target.matches("input")) return;
  if (event.key === " " && event.target.matches("button")) return; // the button takes the key itself
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
find("reason").addEventListener("keydown", (event) => event.key === "Enter" && find("clear").focus());
for (const [id, action] of Object.entries({
  clear: ACTIONS.c, hide: ACTIONS.h, skip, undo, outlined: toggleOutline, harder: contrast,
  play: ACTIONS[" "], back: ACTIONS.ArrowLeft, on: ACTIONS.ArrowRight,
})) find(id).addEventListener("click", action);
setInterval(() => {
  if (current) find("frame").textContent = `(frame ${Math.floor(player.position) + 1} of ${current.frames})`;
}, 80);
pause(!player.playing); // the button says Play where the reviewer prefers reduced motion
enter();
