// Caches of frames, which are requested before they are needed. A full cache drops the entry used least recently.

import { requestFrames, requestJson } from "./api.js";

const CLIPS = 24;
const COPIES_BYTES = 256e6; // of viewing copies, encoded
const SPAN_BYTES = 8e6; // of one request for pictures
const STUDIES = 8;

class Cache {
  /** @param weigh returns the size of a loaded entry, in the unit of `size`; without it, entries are counted */
  constructor(size, load, weigh = null) {
    this.size = size;
    this.weigh = weigh;
    this.weights = new Map();
    this.load = load;
    this.entries = new Map();
  }

  get(key, ...rest) {
    let entry = this.entries.get(key);
    if (!entry) {
      entry = this.load(key, ...rest);
      const added = entry;
      added.then((content) => this.weigh && this.entries.get(key) === added && this.record(key, this.weigh(content)), () => this.drop(key));
    } else {
      this.entries.delete(key);
    }
    this.entries.set(key, entry); // the last position: dropped last
    if (!this.weigh && this.entries.size > this.size) this.drop(this.entries.keys().next().value);
    return entry;
  }

  /** Note the size of an entry, and drop the oldest ones until all fit. */
  record(key, weight) {
    this.weights.set(key, weight);
    let total = [...this.weights.values()].reduce((sum, each) => sum + each, 0);
    for (const oldest of [...this.entries.keys()]) {
      if (total <= this.size || oldest === key) break;
      total -= this.weights.get(oldest) ?? 0;
      this.drop(oldest);
    }
  }

  drop(key) {
    this.entries.delete(key);
    this.weights.delete(key);
  }
}

const path = (clip) => `clips/${encodeURIComponent(clip)}`;

/** All frames of a clip. */
export const clips = new Cache(CLIPS, (clip) => requestFrames(`${path(clip)}/frames`));

/** The viewing copy of a clip: its header, and the JPEG file of each picture, fetched a span at a time; or why not. */
export const copies = new Cache(COPIES_BYTES, loadCopy, (copy) => copy.bytes);

async function loadCopy(clip) {
  try {
    return await fetchCopy(clip);
  } catch (error) {
    if (![404, 410].includes(error.status)) throw error;
    return { missing: error.status, bytes: 0 }; // kept, so that a clip without a copy is shown without the server
  }
}

async function fetchCopy(clip) {
  const header = await requestJson(`${path(clip)}/viewing`);
  const jpegs = [];
  while (jpegs.length < header.length.length) {
    const first = jpegs.length;
    let last = first;
    let bytes = header.length[first];
    while (last + 1 < header.length.length && bytes + header.length[last + 1] <= SPAN_BYTES) bytes += header.length[++last];
    const span = await requestFrames(`${path(clip)}/viewing/${first}-${last}`);
    for (let position = first, offset = 0; position <= last; offset += header.length[position++]) {
      jpegs.push(span.subarray(offset, offset + header.length[position]));
    }
  }
  return { header, jpegs, bytes: header.length.reduce((sum, each) => sum + each, 0) };
}

/** A thumbnail of each clip of a study, concatenated. */
export const thumbs = new Cache(STUDIES, (study, clip) => requestFrames(`${path(clip)}/thumbs`));

/** This rater's answer for each clip of a study. */
export const studyClips = (clip) => requestJson(`${path(clip)}/sheet`);

/** The details of a clip. */
export const details = (clip) => requestJson(path(clip));
