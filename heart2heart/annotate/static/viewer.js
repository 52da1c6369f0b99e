// Plays the pictures of a clip at their own times on a canvas: step, loop, zoom, pan, window and gamma.

const SPEEDS = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2];
const PIVOT = 48 / 255; // the level that contrast keeps: most of a sector is darker than the middle
const MAX_ZOOM = 12;
const LEVELS = 65; // points of the curve of window and gamma
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

export class Viewer {
  /** @param canvas where the clip is drawn
   *  @param overlay canvas over it for the depth ticks, or null
   *  @param filter the SVG filter of window and gamma, or null */
  constructor(canvas, overlay = null, filter = null) {
    Object.assign(this, { canvas, overlay, filter });
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.speed = 1;
    this.window = { low: 0, high: 1, gamma: 1 };
    this.source = null;
    this.onPaint = () => {};
    this.drawn = 0; // pictures drawn, and ticks in which the next one was not decoded yet
    this.stalled = 0;
    this.resetView();
    new ResizeObserver(() => this.fit()).observe(canvas);
    this.stopped = false;
    requestAnimationFrame((time) => this.tick(time));
  }

  /** Let go of the pictures, and draw no more. */
  stop() {
    this.clear();
    this.stopped = true;
  }

  /** Show the first picture at once, and play from there. The pictures shown before are let go. */
  show(source) {
    this.source?.close();
    this.source = source;
    this.loop = [0, source.count - 1];
    this.shownPosition = -1;
    this.zoom = 1;
    this.pan = [0, 0];
    this.goTo(0);
    this.fit();
  }

  clear() {
    this.source?.close();
    this.source = null;
    for (const canvas of [this.canvas, this.overlay]) canvas?.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  /** Number of the frame on the screen, in the recording. */
  get frame() {
    return this.source ? this.source.index[this.position] : null;
  }

  seek(position) {
    this.goTo(position);
    this.source.want(this.position);
    this.paint();
  }

  goTo(position) {
    this.position = clamp(position, 0, this.source.count - 1);
    this.time = this.source.times[this.position];
    this.last = null;
  }

  /** Pause, and go some frames on or back, round at the ends. */
  step(frames) {
    if (!this.source) return;
    this.playing = false;
    this.seek((this.position + frames + this.source.count) % this.source.count);
  }

  /** Set the first (0) or last (1) frame of the loop to the one on the screen, or free it if it is that frame. */
  setLoop(end) {
    if (!this.source) return;
    const free = end ? this.source.count - 1 : 0;
    this.loop[end] = this.loop[end] === this.position ? free : this.position;
    if (this.loop[0] > this.loop[1]) this.loop[1 - end] = end ? 0 : this.source.count - 1;
  }

  tick(time) {
    if (this.source && this.last === null) this.source.want(this.position); // decoding ahead must not delay `show`
    else if (this.source && this.playing) this.advance((time - this.last) * this.speed);
    if (this.source && this.shownPosition !== this.position) this.paint();
    this.last = time;
    if (!this.stopped) requestAnimationFrame((next) => this.tick(next));
  }

  /** Go on by some milliseconds within the loop; wait where the next picture is not decoded yet. */
  advance(elapsed) {
    const { times, duration, count } = this.source;
    const start = times[this.loop[0]];
    const end = this.loop[1] === count - 1 ? duration : times[this.loop[1] + 1];
    let time = this.time + elapsed;
    if (time >= end || time < start) time = start + ((((time - start) % (end - start)) + (end - start)) % (end - start));
    let position = time < times[this.position] ? this.loop[0] : this.position;
    while (position < this.loop[1] && times[position + 1] <= time) position += 1;
    this.source.want(position);
    if (position !== this.position && !this.source.picture(position)) {
      this.stalled += 1;
      return;
    }
    this.time = time;
    this.position = position;
  }

  paint() {
    if (!this.source) return;
    const picture = this.source.picture(this.position);
    if (!picture) return; // painted by a later tick
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    const { scale, left, top } = this.placement();
    context.imageSmoothingQuality = "medium";
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    context.drawImage(picture, left, top, this.source.width * scale, this.source.height * scale);
    if (this.shownPosition !== this.position) this.drawn += 1;
    this.shownPosition = this.position;
    this.onPaint();
  }

  /** Canvas pixels for each picture pixel, and the position of the picture's upper left corner. */
  placement() {
    const { width, height } = this.canvas;
    const scale = this.zoom * Math.min(width / this.source.width, height / this.source.height);
    return {
      scale,
      left: (width - this.source.width * scale) / 2 + this.pan[0],
      top: (height - this.source.height * scale) / 2 + this.pan[1],
    };
  }

  /** Give the canvas the pixels that the screen has for it. */
  fit() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of [this.canvas, this.overlay]) {
      if (!canvas) continue;
      const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
      const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    this.redraw();
  }

  redraw() {
    this.paint();
    this.drawTicks();
  }

  /** Draw a tick for each centimetre below the top of the sector, where the spacing is known. */
  drawTicks() {
    if (!this.overlay) return;
    const context = this.overlay.getContext("2d");
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (!this.source?.spacing) return;
    const { scale, left, top } = this.placement();
    const centimetre = (10 / this.source.spacing) * scale;
    const unit = Math.min(2, devicePixelRatio || 1);
    const right = clamp(left + this.source.width * scale, 0, this.overlay.width) - 2 * unit;
    context.font = `${12 * unit}px sans-serif`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (let depth = 0; depth * 10 <= this.source.height * this.source.spacing; depth++) {
      const y = top + depth * centimetre;
      const length = (depth % 5 ? 6 : 12) * unit;
      for (const [colour, grow] of [["#000", 2], ["#ffe08a", 0]]) {
        context.fillStyle = colour;
        context.fillRect(right - length - grow / 2, y - unit / 2 - grow / 2, length + grow, unit + grow);
      }
      if (depth && depth % 5 === 0) context.fillText(`${depth} cm`, right - length - 4 * unit, y);
    }
  }

  /** Zoom about a point of the canvas, by default its middle. */
  zoomBy(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    if (!this.source) return;
    const before = this.placement();
    this.zoom = clamp(this.zoom * factor, 1, MAX_ZOOM);
    const ratio = this.placement().scale / before.scale;
    const centre = [this.canvas.width / 2, this.canvas.height / 2];
    this.pan = [x, y].map((point, axis) => (point - centre[axis]) * (1 - ratio) + this.pan[axis] * ratio);
    this.panBy(0, 0);
  }

  panBy(dx, dy) {
    if (!this.source) return;
    const { scale } = this.placement();
    const size = [this.source.width * scale, this.source.height * scale];
    const room = [this.canvas.width, this.canvas.height].map((length, axis) => Math.max(0, (size[axis] - length) / 2));
    this.pan = [this.pan[0] + dx, this.pan[1] + dy].map((value, axis) => clamp(value, -room[axis], room[axis]));
    this.redraw();
  }

  /** Show the whole picture, with the levels as recorded. */
  resetView() {
    this.zoom = 1;
    this.pan = [0, 0];
    this.setWindow({ low: 0, high: 1, gamma: 1 });
    if (this.source) this.redraw();
  }

  /** Map the levels `low` to `high` (0 to 1) onto black to white, by a curve of exponent 1 / gamma. */
  setWindow(change) {
    Object.assign(this.window, change);
    const { low, high, gamma } = this.window;
    if (!this.filter) return;
    const plain = low === 0 && high === 1 && gamma === 1;
    const level = (point) => clamp((point / (LEVELS - 1) - low) / Math.max(0.02, high - low), 0, 1) ** (1 / gamma);
    const table = Array.from({ length: LEVELS }, (_, point) => level(point).toFixed(4)).join(" ");
    for (const channel of this.filter.querySelectorAll("[type=table]")) channel.setAttribute("tableValues", table);
    this.canvas.style.filter = plain ? "none" : `url(#${this.filter.id})`;
  }

  get contrast() {
    return 1 / (this.window.high - this.window.low);
  }

  changeContrast(step) {
    const contrast = clamp(Math.round((this.contrast + step * 0.2) * 10) / 10, 1, 3);
    this.setWindow({ low: PIVOT * (1 - 1 / contrast), high: PIVOT + (1 - PIVOT) / contrast });
  }

  changeSpeed(step) {
    this.speed = SPEEDS[clamp(SPEEDS.indexOf(this.speed) + step, 0, SPEEDS.length - 1)];
  }
}
