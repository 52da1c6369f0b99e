// Caches of frames, which are requested before they are needed. A full cache drops the entry used least recently.

import { requestFrames, requestJson } from "./api.js";

const CLIPS = 24;
const STUDIES = 8;

class Cache {
  constructor(size, load) {
    this.size = size;
    this.load = load;
    this.entries = new Map();
  }

  get(key, ...rest) {
    let entry = this.entries.get(key);
    if (!entry) {
      entry = this.load(key, ...rest);
      entry.catch(() => this.entries.delete(key)); // requested again by the next call
    } else {
      this.entries.delete(key);
    }
    this.entries.set(key, entry); // the last position: dropped last
    if (this.entries.size > this.size) this.entries.delete(this.entries.keys().next().value);
    return entry;
  }

  drop(key) {
    this.entries.delete(key);
  }
}

const path = (clip) => `clips/${encodeURIComponent(clip)}`;

/** All frames of a clip. */
export const clips = new Cache(CLIPS, (clip) => requestFrames(`${path(clip)}/frames`));

/** A thumbnail of each clip of a study, concatenated. */
export const thumbs = new Cache(STUDIES, (study, clip) => requestFrames(`${path(clip)}/thumbs`));

/** This rater's answer for each clip of a study. */
export const studyClips = (clip) => requestJson(`${path(clip)}/sheet`);

/** The details of a clip. */
export const details = (clip) => requestJson(path(clip));
