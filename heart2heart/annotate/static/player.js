// Plays a clip on a canvas: gray bytes, mapped by a contrast table, at the frame rate of the clip.

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.5, 2];
const CONTRAST_PIVOT = 48; // the gray level that contrast keeps: most of a sector is darker than the middle

export function contrastTable(contrast) {
  const table = new Uint32Array(256);
  for (let gray = 0; gray < 256; gray++) {
    const shown = Math.max(0, Math.min(255, Math.round((gray - CONTRAST_PIVOT) * contrast + CONTRAST_PIVOT)));
    table[gray] = (255 << 24) | (shown << 16) | (shown << 8) | shown;
  }
  return table;
}

const IDENTITY_TABLE = contrastTable(1);

/** Draw frame `index` of `pixels` (side x side bytes each) on a canvas. */
export function draw(canvas, pixels, side, index, table = IDENTITY_TABLE) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  const out = new Uint32Array(image.data.buffer);
  const start = index * side * side;
  for (let offset = 0; offset < out.length; offset++) out[offset] = table[pixels[start + offset]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export class Player {
  constructor(canvas) {
    this.canvas = canvas;
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.speed = 1;
    this.contrast = 1;
    this.table = IDENTITY_TABLE;
    this.clip = null;
    requestAnimationFrame((time) => this.tick(time));
  }

  /** Show the first frame of a clip at once, and play it from there. */
  show(pixels, side, count, frameMs) {
    this.clip = { pixels, side, count, frameMs };
    this.position = 0;
    this.last = null;
    this.paint();
  }

  clear() {
    this.clip = null;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  paint() {
    if (this.clip) draw(this.canvas, this.clip.pixels, this.clip.side, Math.floor(this.position), this.table);
  }

  tick(time) {
    if (this.clip && this.playing) {
      const previousFrame = Math.floor(this.position);
      if (this.last !== null) {
        this.position = (this.position + ((time - this.last) / this.clip.frameMs) * this.speed) % this.clip.count;
      }
      if (Math.floor(this.position) !== previousFrame) this.paint();
    }
    this.last = time;
    requestAnimationFrame((next) => this.tick(next));
  }

  changeSpeed(step) {
    const index = SPEEDS.indexOf(this.speed) + step;
    this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, index))];
  }

  changeContrast(step) {
    this.contrast = Math.max(0.6, Math.min(3, Math.round((this.contrast + step * 0.2) * 10) / 10));
    this.table = contrastTable(this.contrast);
    this.paint();
  }
}
