// Thirty clips that the model calls by one view: pick out the wrong ones, confirm the rest.

import { ask, frames, now, takeBack } from "./api.js";
import { find, make, say, sentence, toggle } from "./dom.js";
import { draw } from "./player.js";

const PACE = 160; // milliseconds a frame

export class Grid {
  /** @param label {ask, leave, restart} what Label learns: clips that were picked out, those that are so no longer, and
   *  that clips which it may hold ahead were labeled here */
  constructor(retryQueue, label) {
    this.retryQueue = retryQueue;
    this.readings = label;
    this.tiles = [];
    this.done = []; // {view, saved, wrong}: what was confirmed, in order
    find("called").addEventListener("change", () => this.alone(() => this.load()));
    find("confirm").addEventListener("click", () => this.alone(() => this.confirm()));
    find("unconfirm").addEventListener("click", () => this.alone(() => this.undo()));
    setInterval(() => this.tick(), PACE);
  }

  /** Do one thing at a time; what is in its way is told. */
  async alone(task) {
    if (this.busy) return;
    this.busy = true;
    this.label();
    try {
      await task();
    } catch (error) {
      say(find("grid-status"), sentence(error.message));
    } finally {
      this.busy = false;
      this.label();
    }
  }

  /** Another rater has come in: what was confirmed before is not theirs to take back. */
  forget() {
    this.done = [];
    this.tiles = [];
  }

  async open() {
    this.count((await ask("grid")).counts);
    if (!this.tiles.length) await this.alone(() => this.load());
  }

  count(counts) {
    const chosen = find("called").value;
    const options = Object.entries(counts).map(([view, left]) =>
      make("option", { value: view, textContent: `${view} (${left} left)` }));
    find("called").replaceChildren(...options);
    if (chosen) find("called").value = chosen;
  }

  /** Show the next clips; those of `picked` are picked out already. */
  async load(picked = []) {
    this.view = find("called").value;
    const found = await ask("grid", { view: this.view });
    const clips = found.clips.map((about) => about.clip);
    const pixels = clips.length ? await frames("strips", { clips }) : new Uint8Array();
    const side = Math.sqrt(pixels.length / (clips.length * found.frames));
    this.shown = performance.now();
    this.frames = found.frames;
    this.tiles = found.clips.map((about, place) => this.tile(about, place, pixels, side));
    for (const tile of this.tiles) if (picked.includes(tile.about.clip)) this.pick(tile);
    find("tiles").replaceChildren(...this.tiles.map((tile) => make("li", {}, tile.button)));
    toggle(find("synthetic"), found.clips.some((about) => about.synthetic));
    this.count(found.counts);
    this.label();
    if (!clips.length) say(find("grid-status"), "No clip is left that the model calls so.");
  }

  tile(about, place, pixels, side) {
    const canvas = make("canvas");
    canvas.setAttribute("aria-hidden", "true");
    draw(canvas, pixels, side, place * this.frames);
    const button = make("button", { className: "tile" }, canvas, make("span", { textContent: "" }));
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Clip ${place + 1}: wrong`);
    const tile = { about, place, pixels, side, canvas, button, wrong: false };
    button.addEventListener("click", () => this.pick(tile));
    return tile;
  }

  pick(tile) {
    tile.wrong = !tile.wrong;
    tile.button.setAttribute("aria-pressed", String(tile.wrong));
    tile.button.querySelector("span").textContent = tile.wrong ? "✗ wrong" : "";
    this.label();
  }

  label() {
    const right = this.tiles.filter((tile) => !tile.wrong).length;
    find("confirm").textContent = `Confirm ${right} as ${this.view}`;
    find("confirm").disabled = this.busy || !this.tiles.length;
    find("unconfirm").disabled = this.busy || !this.done.length;
  }

  tick() {
    if (find("grid").hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const frame = Math.floor(performance.now() / PACE) % this.frames;
    for (const { canvas, pixels, side, place } of this.tiles) draw(canvas, pixels, side, place * this.frames + frame);
  }

  async confirm() {
    const view = this.view;
    const right = this.tiles.filter((tile) => !tile.wrong);
    const seconds = (performance.now() - this.shown) / 1000 / this.tiles.length;
    const wrong = this.tiles.filter((tile) => tile.wrong).map((tile) => tile.about.clip);
    this.readings.ask(wrong);
    say(find("grid-status"), "Saving …");
    const results = await Promise.all(right.map(({ about }) => this.retryQueue.put({
      clip: about.clip, kind: "label", answer: "view", view, at: now(), seconds, confidence: null,
      frame_hash: about.frame_hash, seen: about.seen, shown: true,
    })));
    const saved = right.map(({ about }, place) => ({ clip: about.clip, event: results[place].event }));
    this.done.push({ view, saved: saved.filter(({ event }) => event), wrong });
    this.readings.restart();
    const refused = results.filter((result) => result.error);
    const kept = `${results.length - refused.length} saved as ${view}, ${wrong.length} sent to Label.`;
    await this.load();
    say(find("grid-status"), refused.length ? `${kept} ${refused.length} not saved: ${refused[0].error}.` : kept);
  }
  /** Take back the whole last confirmation, and show its clips as they were. */
  async undo() {
    const last = this.done.at(-1);
    if (!last) {
      say(find("grid-status"), "Nothing to undo.");
      return;
    }
    if (last.saved.length) await takeBack(last.saved);
    this.done.pop();
    this.readings.leave(last.wrong);
    this.readings.restart();
    find("called").value = last.view;
    await this.load(last.wrong);
    say(find("grid-status"), `Taken back: ${last.saved.length} of ${last.view}.`);
  }
}
