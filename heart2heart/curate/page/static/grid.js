// Thirty clips that the model calls by one view: pick out the wrong ones, confirm the rest.

import { ask, frames, now } from "./api.js";
import { find, make, say, toggle } from "./dom.js";
import { draw } from "./player.js";

const PACE = 160; // milliseconds a frame

export class Grid {
  /** @param wrong called with the clips that were picked out */
  constructor(outbox, wrong) {
    this.outbox = outbox;
    this.wrong = wrong;
    this.tiles = [];
    find("called").addEventListener("change", () => this.load());
    find("confirm").addEventListener("click", () => this.confirm());
    setInterval(() => this.tick(), PACE);
  }

  async open() {
    this.count((await ask("grid")).counts);
    if (!this.tiles.length) await this.load();
  }

  count(counts) {
    const chosen = find("called").value;
    const options = Object.entries(counts).map(([view, left]) =>
      make("option", { value: view, textContent: `${view} (${left} left)` }));
    find("called").replaceChildren(...options);
    if (chosen) find("called").value = chosen;
  }

  async load() {
    this.view = find("called").value;
    const found = await ask("grid", { view: this.view });
    const clips = found.clips.map((about) => about.clip);
    const pixels = clips.length ? await frames("strips", { clips }) : new Uint8Array();
    const side = Math.sqrt(pixels.length / (clips.length * found.frames));
    this.shown = performance.now();
    this.frames = found.frames;
    this.tiles = found.clips.map((about, place) => this.tile(about, place, pixels, side));
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
    button.addEventListener("click", () => {
      tile.wrong = !tile.wrong;
      button.setAttribute("aria-pressed", String(tile.wrong));
      button.querySelector("span").textContent = tile.wrong ? "✗ wrong" : "";
      this.label();
    });
    return tile;
  }

  label() {
    const right = this.tiles.filter((tile) => !tile.wrong).length;
    find("confirm").textContent = `Confirm ${right} as ${this.view}`;
    find("confirm").disabled = !this.tiles.length;
  }

  tick() {
    if (find("grid").hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const frame = Math.floor(performance.now() / PACE) % this.frames;
    for (const { canvas, pixels, side, place } of this.tiles) draw(canvas, pixels, side, place * this.frames + frame);
  }

  async confirm() {
    find("confirm").disabled = true;
    const view = this.view;
    const right = this.tiles.filter((tile) => !tile.wrong);
    const seconds = (performance.now() - this.shown) / 1000 / this.tiles.length;
    this.wrong(this.tiles.filter((tile) => tile.wrong).map((tile) => tile.about.clip));
    say(find("grid-status"), "Saving …");
    const results = await Promise.all(right.map(({ about }) => this.outbox.put({
      clip: about.clip, kind: "label", answer: "view", view, at: now(), seconds, confidence: null,
      frame_hash: about.frame_hash, version: about.version, shown: true,
    })));
    const refused = results.filter((result) => result.error);
    const kept = `${results.length - refused.length} saved as ${view}, ${this.tiles.length - right.length} sent to Label.`;
    await this.load();
    say(find("grid-status"), refused.length ? `${kept} ${refused.length} not saved: ${refused[0].error}.` : kept);
  }
}
