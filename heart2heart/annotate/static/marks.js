// Image quality and marked frames of the clip on the screen: two kinds of label beside the view.

import { now, requestJson } from "./api.js";
import { find, make, say, sentence } from "./dom.js";

const QUALITIES = [["good", "G"], ["fair", "F"], ["poor", "P"], ["unusable", "X"]];
const PHASES = [["ed", "D", "End diastole"], ["es", "S", "End systole"]];

/** Make a button with its key, which is typed with the shift key. */
export function shiftButton(text, letter, press) {
  const button = make("button", { type: "button" }, make("kbd", { textContent: `⇧${letter}` }), ` ${text}`);
  button.setAttribute("aria-keyshortcuts", `Shift+${letter}`);
  button.addEventListener("click", press);
  return button;
}

export class Marks {
  /** @param viewer shows the clip: `frame` is the frame on the screen, by its number in the recording */
  constructor(viewer) {
    this.viewer = viewer;
    this.details = null;
    this.qualities = QUALITIES.map(([quality, letter]) => {
      const button = shiftButton(quality, letter, () => this.rate(quality));
      button.dataset.quality = quality;
      return button;
    });
    this.phases = PHASES.map(([phase, letter, title]) => {
      const button = shiftButton(title, letter, () => this.mark(phase));
      button.dataset.phase = phase;
      return button;
    });
    const group = (label, buttons) => {
      const element = make("div", { className: "tools" }, make("small", { textContent: label, className: "group" }), ...buttons);
      element.setAttribute("role", "group");
      element.setAttribute("aria-label", label);
      return element;
    };
    this.element = make("div", {}, group("Image quality", this.qualities), group("Mark this frame", this.phases));
    this.keys = Object.fromEntries([
      ...QUALITIES.map(([quality, letter]) => [letter.toLowerCase(), () => this.rate(quality)]),
      ...PHASES.map(([phase, letter]) => [letter.toLowerCase(), () => this.mark(phase)]),
    ]);
  }

  open(details) {
    this.details = details;
    this.show();
  }

  show() {
    const { quality, marks } = this.details;
    for (const button of this.qualities) button.setAttribute("aria-pressed", String(button.dataset.quality === quality));
    for (const [index, [phase, , title]] of PHASES.entries()) {
      const count = marks?.[phase]?.length ?? 0;
      this.phases[index].lastChild.textContent = count ? ` ${title} (${count} marked)` : ` ${title}`;
    }
  }

  /** Save the quality; the same one again withdraws it. */
  async rate(quality) {
    const details = this.details;
    const chosen = details.quality === quality ? "" : quality;
    try {
      await requestJson("quality", { clip: details.clip, quality: chosen, at: now() });
      details.quality = chosen;
      this.show();
      say(find("status"), chosen ? `Quality: ${chosen}.` : "Quality withdrawn.");
    } catch (error) {
      say(find("status"), `Quality not saved: ${sentence(error.message)}`);
    }
  }

  /** Mark the frame on the screen, or take its mark away; a frame has one phase. */
  async mark(phase) {
    const details = this.details;
    const frame = this.viewer.frame;
    if (frame === null || frame === undefined) return;
    const marks = { ed: [...(details.marks?.ed ?? [])], es: [...(details.marks?.es ?? [])] };
    const isMarked = marks[phase].includes(frame);
    for (const name of ["ed", "es"]) marks[name] = marks[name].filter((other) => other !== frame);
    if (!isMarked) marks[phase].push(frame);
    try {
      details.marks = (await requestJson("marks", { clip: details.clip, ...marks, at: now() })).marks;
      this.show();
      dispatchEvent(new CustomEvent("marks", { detail: { clip: details.clip, marks: details.marks } }));
      say(find("status"), isMarked ? `Frame ${frame + 1}: ${phase.toUpperCase()} mark taken away.` : `Frame ${frame + 1} marked as ${phase.toUpperCase()}.`);
    } catch (error) {
      say(find("status"), `Mark not saved: ${sentence(error.message)}`);
    }
  }
}
