// The window of the views: each with its definition, a drawing, and example clips of the hospital.

import { now, requestFrames, requestJson } from "./api.js";
import { find, make, say, sentence, toggle } from "./dom.js";

const FRAMES = 6; // of an example clip, as the grid shows them
const FRAME_MS = 160;

export class Definitions {
  /** @param current returns the clip on the screen, or null */
  constructor(current) {
    this.current = current;
    this.list = make("ul", {});
    this.status = make("p", { className: "note" });
    this.status.setAttribute("role", "status");
    this.mark = make("button", { textContent: "Make the clip on the screen an example of its view" });
    this.mark.onclick = () => this.markExample();
    const close = make("button", { textContent: "Close", className: "main" });
    close.onclick = () => this.dialog.close();
    const title = make("h2", { id: "definitions-title", textContent: "The views" });
    this.dialog = make("dialog", { id: "definitions" }, title, make("div", { className: "tools" }, this.mark, close), this.status, this.list);
    this.dialog.setAttribute("aria-labelledby", "definitions-title");
    this.dialog.onclose = () => clearInterval(this.timer);
    document.body.append(this.dialog);
  }

  /** Show the window. `answers` have the keys; an adjudicator may mark examples. */
  async open(answers, adjudicator) {
    this.keys = new Map(answers.map((answer) => [answer.name, answer.key]));
    toggle(this.mark, adjudicator);
    say(this.status, "");
    this.dialog.showModal();
    await this.load();
  }

  async load() {
    clearInterval(this.timer);
    try {
      const { views } = await requestJson("definitions");
      this.players = [];
      this.list.replaceChildren(...views.map((view) => this.describe(view)));
    } catch (error) {
      say(this.status, sentence(error.message));
      return;
    }
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.timer = setInterval(() => this.players.forEach((play) => play()), FRAME_MS);
  }

  describe(view) {
    const name = view.name.replaceAll("_", " ");
    const key = make("kbd", { textContent: [...(this.keys.get(view.name) ?? "")].join(" ") });
    const pictures = make("div", { className: "pictures" });
    if (view.drawing) pictures.append(make("img", { src: `drawings/${view.name}.svg`, alt: `Drawing of ${view.title}`, loading: "lazy" }));
    const item = make("li", { className: `depth-${Math.min(view.depth, 3)}` }, make("h3", {}, key, ` ${name}: ${view.title}`), make("p", { textContent: view.definition }), pictures);
    if (view.examples.length) this.showExamples(view, pictures);
    return item;
  }

  async showExamples(view, pictures) {
    let pixels;
    try {
      pixels = await requestFrames("grid-frames", { clips: view.examples });
    } catch (error) {
      say(this.status, sentence(error.message));
      return;
    }
    const side = Math.round(Math.sqrt(pixels.length / (view.examples.length * FRAMES)));
    view.examples.forEach((_, index) => {
      const canvas = make("canvas", { width: side, height: side });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Example ${index + 1} of ${view.title}`);
      pictures.append(canvas);
      let frame = 0;
      const draw = () => {
        const image = new ImageData(side, side);
        const start = (index * FRAMES + frame) * side * side;
        for (let i = 0; i < side * side; i++) image.data.set([pixels[start + i], pixels[start + i], pixels[start + i], 255], 4 * i);
        canvas.getContext("2d").putImageData(image, 0, 0);
        frame = (frame + 1) % FRAMES;
      };
      draw();
      this.players.push(draw);
    });
  }

  async markExample() {
    const clip = this.current()?.clip;
    if (!clip) {
      say(this.status, "No clip is on the screen.");
      return;
    }
    try {
      const { view } = await requestJson("examples", { clip, at: now() });
      await this.load();
      say(this.status, `The clip is an example of ${view.replaceAll("_", " ")}.`);
      find("status").textContent = "";
    } catch (error) {
      say(this.status, sentence(error.message));
    }
  }
}
