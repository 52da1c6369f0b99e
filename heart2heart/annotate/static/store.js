// Frames that were asked for before they are needed. The oldest are let go.

import { ask, frames } from "./api.js";

const CLIPS = 24;
const STUDIES = 8;

class Shelf {
  constructor(size, load) {
    this.size = size;
    this.load = load;
    this.held = new Map();
  }

  get(key, ...rest) {
    let found = this.held.get(key);
    if (!found) {
      found = this.load(key, ...rest);
      found.catch(() => this.held.delete(key)); // asked again the next time
    } else {
      this.held.delete(key);
    }
    this.held.set(key, found); // the last place: let go last
    if (this.held.size > this.size) this.held.delete(this.held.keys().next().value);
    return found;
  }

  drop(key) {
    this.held.delete(key);
  }
}

const path = (clip) => `clips/${encodeURIComponent(clip)}`;

/** All frames of a clip. */
export const clips = new Shelf(CLIPS, (clip) => frames(`${path(clip)}/frames`));

/** A small frame of each clip of a study, one behind the other. */
export const thumbs = new Shelf(STUDIES, (study, clip) => frames(`${path(clip)}/thumbs`));

/** What this rater said of each clip of a study. */
export const sheet = (clip) => ask(`${path(clip)}/sheet`);

export const about = (clip) => ask(path(clip));
