// A clip on a canvas: gray bytes through a table of contrast, at its own pace.

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.5, 2];
const DARK = 48; // the gray that contrast turns around: most of a sector is darker than the middle

export function contrastTable(contrast) {
  const table = new Uint32Array(256);
  for (let gray = 0; gray < 256; gray++) {
    const shown = Math.max(0, Math.min(255, Math.round((gray - DARK) * contrast + DARK)));
    table[gray] = (255 << 24) | (shown << 16) | (shown << 8) | shown;
  }
  return table;
}

const PLAIN = contrastTable(1);

/** Draw frame `index` of `pixels` (side x side bytes each) on a canvas. */
export function draw(canvas, pixels, side, index, table = PLAIN) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  const out = new Uint32Array(image.data.buffer);
  const start = index * side * side;
  for (let at = 0; at < out.length; at++) out[at] = table[pixels[start + at]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export class Player {
  constructor(canvas) {
    this.canvas = canvas;
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.speed = 1;
    this.contrast = 1;
    this.table = PLAIN;
    this.clip = null;
    requestAnimationFrame((time) => this.tick(time));
  }

  /** Show a clip from its first frame, at once. */
  show(pixels, side, count, pace) {
    this.clip = { pixels, side, count, pace };
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
      const before = Math.floor(this.position);
      if (this.last !== null) {
        this.position = (this.position + ((time - this.last) / this.clip.pace) * this.speed) % this.clip.count;
      }
      if (Math.floor(this.position) !== before) this.paint();
    }
    this.last = time;
    requestAnimationFrame((next) => this.tick(next));
  }

  changeSpeed(step) {
    const place = SPEEDS.indexOf(this.speed) + step;
    this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, place))];
  }

  changeContrast(step) {
    this.contrast = Math.max(0.6, Math.min(3, Math.round((this.contrast + step * 0.2) * 10) / 10));
    this.table = contrastTable(this.contrast);
    this.paint();
  }
}
