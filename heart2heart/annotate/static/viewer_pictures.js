// The pictures of a clip for the viewer: those of its viewing copy, decoded ahead, or the small frames of the store.

import * as cache from "./cache.js";
import { draw } from "./player.js";

const DECODED_BYTES = 96e6; // of decoded pictures of one clip that are held
const AHEAD = 24; // pictures decoded before they are shown
const AT_ONCE = 4; // pictures decoded at the same time
const UNKNOWN_FRAME_MS = 40;

const decodeJpeg = (jpeg) => createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));

/** Return the milliseconds from the first picture to each, and of one round of the clip. */
function timing(times) {
  const start = times[0];
  const relative = times.map((time) => time - start);
  const last = relative.at(-1);
  return { times: relative, duration: last + (relative.length > 1 ? last / (relative.length - 1) : UNKNOWN_FRAME_MS) };
}

/** The small gray frames of the store, as training sees them. */
export class FrameSource {
  constructor(pixels, side, details, note) {
    Object.assign(this, { pixels, side, note, width: side, height: side, colour: false, spacing: null, rateKnown: true });
    this.count = details.frames;
    this.index = details.index ?? Array.from({ length: this.count }, (_, position) => position);
    Object.assign(this, timing(this.index.map((_, position) => position * details.frame_ms)));
    this.canvas = document.createElement("canvas");
  }

  want() {}

  picture(position) {
    draw(this.canvas, this.pixels, this.side, position);
    return this.canvas;
  }

  close() {}
}

/** The pictures of a viewing copy; a ring of decoded ones runs ahead of the one on the screen. */
export class CopySource {
  /** @param encoded {header, jpegs} as `cache.copies` holds them
   *  @param budget bytes of decoded pictures to hold */
  constructor({ header, jpegs }, budget = DECODED_BYTES) {
    this.jpegs = jpegs;
    this.note = "";
    this.width = header.width;
    this.height = header.height;
    this.colour = header.colour;
    this.spacing = header.spacing_mm;
    this.index = header.index;
    this.count = header.index.length;
    this.rateKnown = header.time_ms !== null;
    Object.assign(this, timing(header.time_ms ?? header.index.map((index) => index * UNKNOWN_FRAME_MS)));
    this.capacity = Math.max(6, Math.floor(budget / (4 * this.width * this.height)));
    this.ahead = Math.min(AHEAD, this.capacity - 4);
    this.decoded = new Map();
    this.pending = new Set();
    this.closed = false;
  }

  async decode(position) {
    if (this.closed || this.decoded.has(position) || this.pending.has(position)) return;
    this.pending.add(position);
    try {
      const bitmap = await decodeJpeg(this.jpegs[position]);
      if (this.closed) bitmap.close();
      else this.decoded.set(position, bitmap);
    } finally {
      this.pending.delete(position);
    }
  }

  /** Decode the pictures from `position` on that are not decoded yet, and let go of those far from it. */
  want(position) {
    this.wanted = position;
    for (let step = 0; step <= this.ahead && this.pending.size < AT_ONCE; step++) {
      const next = (position + step) % this.count;
      if (this.decoded.has(next) || this.pending.has(next)) continue;
      this.decode(next).then(() => this.closed || this.want(this.wanted), () => {});
    }
    for (const [other, bitmap] of this.decoded) {
      if (this.decoded.size <= this.capacity) break;
      const distance = (other - position + this.count) % this.count;
      if (distance > this.ahead) {
        bitmap.close();
        this.decoded.delete(other);
      }
    }
  }

  /** Return a decoded picture, or null while it is being decoded. */
  picture(position) {
    return this.decoded.get(position) ?? null;
  }

  close() {
    this.closed = true;
    for (const bitmap of this.decoded.values()) bitmap.close();
    this.decoded.clear();
  }
}

/** Load what a clip needs before it is shown. */
export function prefetch(details) {
  cache.copies.get(details.clip).then((copy) => copy.missing && cache.clips.get(details.clip)).catch(() => {});
}

const FIRSTS = 4; // first pictures that are held decoded
const firsts = new Map(); // of clips that come next: the first picture, or null where it cannot be decoded

/** Decode the first picture of a clip that comes next. */
export function decodeFirst(details) {
  if (firsts.has(details.clip)) return;
  const first = cache.copies.get(details.clip).then((copy) => (copy.missing ? null : decodeJpeg(copy.jpegs[0]))).catch(() => null);
  firsts.set(details.clip, first);
  if (firsts.size > FIRSTS) takeFirst(firsts.keys().next().value)?.then((bitmap) => bitmap?.close());
}

/** Return the first picture of a clip if it was decoded before; it is the caller's from then on. */
function takeFirst(clip) {
  const first = firsts.get(clip);
  firsts.delete(clip);
  return first;
}

/** Return the pictures of a clip, the first decoded; without a usable viewing copy, the frames of the store. */
export async function openPictures(details, side, budget) {
  const copy = await cache.copies.get(details.clip);
  let note = copy.missing === 410 ? "The viewing copy of this clip is damaged" : "No viewing copy of this clip is kept";
  if (!copy.missing) {
    try {
      const source = new CopySource(copy, budget);
      const first = await takeFirst(details.clip);
      if (first) source.decoded.set(0, first);
      else await source.decode(0);
      return source;
    } catch {
      note = "This browser cannot decode the viewing copy";
    }
  }
  return new FrameSource(await cache.clips.get(details.clip), side, details, `${note}: shown at ${side} pixels, in gray.`);
}
