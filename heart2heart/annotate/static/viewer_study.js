// Four clips of a study side by side, playing; a click on one, or Enter, shows it alone.

import * as cache from "./cache.js";
import { find, make, say, toggle } from "./dom.js";
import { Viewer } from "./viewer.js";
import { openPictures } from "./viewer_pictures.js";

const CLIPS = 4;
const DECODED_BYTES = 24e6; // for each of the clips

export class StudyView {
  constructor() {
    this.viewers = [];
    this.round = 0;
  }

  get isOpen() {
    return !find("side-by-side").hidden;
  }

  /** Show the clip and the three that follow it in its study, or the single clip again. */
  async toggle(details, side, jump) {
    if (this.isOpen) this.close();
    else if (details) await this.open(details, side, jump);
  }

  async open(details, side, jump) {
    const round = ++this.round;
    try {
      const { clips } = await cache.studyClips(details.clip);
      const names = clips.map(({ clip }) => clip);
      const start = Math.max(0, Math.min(names.indexOf(details.clip), names.length - CLIPS));
      const all = await Promise.all(names.slice(start, start + CLIPS).map((clip) => cache.details(clip)));
      const sources = await Promise.all(all.map((each) => openPictures(each, side, DECODED_BYTES)));
      if (round !== this.round) return;
      find("side-by-side").replaceChildren(...all.map((each, index) => this.tile(each, sources[index], start + index, jump)));
      toggle(find("side-by-side"), true);
      toggle(find("single"), false);
      find("four").setAttribute("aria-pressed", "true");
      this.viewers.forEach((viewer) => viewer.fit());
    } catch (error) {
      say(find("status"), `The study cannot be shown: ${error.message}.`);
    }
  }

  tile(details, source, index, jump) {
    const canvas = make("canvas");
    const button = make("button", {}, canvas, make("span", { textContent: `Clip ${index + 1}` }));
    button.setAttribute("aria-label", `Show clip ${index + 1} of the study alone`);
    button.addEventListener("click", () => {
      this.close();
      jump(details.clip);
    });
    const viewer = new Viewer(canvas);
    viewer.show(source);
    this.viewers.push(viewer);
    return button;
  }

  close() {
    this.round += 1;
    this.viewers.splice(0).forEach((viewer) => viewer.stop());
    find("side-by-side").replaceChildren();
    toggle(find("side-by-side"), false);
    toggle(find("single"), true);
    find("four").setAttribute("aria-pressed", "false");
  }
}
