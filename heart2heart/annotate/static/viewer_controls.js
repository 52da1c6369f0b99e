// The controls of the viewer: scrub bar with marks, loop, sliders of window and gamma, wheel, pinch, drag, full screen.

import { find, make, say, toggle } from "./dom.js";

const STEP_ZOOM = 1.25;
const PAN = 0.1; // of the canvas, by an arrow key

export class ViewerControls {
  /** @param changed called when the clip starts or stops playing */
  constructor(viewer, changed) {
    Object.assign(this, { viewer, changed, marks: { ed: [], es: [] }, clip: null });
    viewer.onPaint = () => this.showPosition();
    find("scrub").addEventListener("input", () => this.seek(Number(find("scrub").value)));
    for (const name of ["low", "high", "gamma"]) {
      find(`level-${name}`).addEventListener("input", () => this.setLevels(name));
    }
    for (const [id, action] of Object.entries(this.buttons())) find(id).addEventListener("click", action);
    addEventListener("marks", (event) => {
      if (event.detail.clip === this.clip) this.showMarks(event.detail.marks);
    });
    this.followPointers(find("clip"));
    this.showLevels();
  }

  buttons() {
    return {
      "frame-back": () => this.step(-1), "frame-on": () => this.step(1), "loop-start": () => this.setLoop(0),
      "loop-end": () => this.setLoop(1), "zoom-in": () => this.viewer.zoomBy(STEP_ZOOM),
      "zoom-out": () => this.viewer.zoomBy(1 / STEP_ZOOM), "zoom-reset": () => this.reset(), "full-screen": () => this.fullScreen(),
    };
  }

  /** The actions of the viewer's keys. */
  actions() {
    const { viewer } = this;
    const pan = (x, y) => viewer.panBy(x * PAN * viewer.canvas.width, y * PAN * viewer.canvas.height);
    return {
      ",": () => this.step(-1), ".": () => this.step(1), "[": () => this.setLoop(0), "]": () => this.setLoop(1),
      0: () => this.reset(), f: () => this.fullScreen(), PageUp: () => viewer.zoomBy(STEP_ZOOM),
      PageDown: () => viewer.zoomBy(1 / STEP_ZOOM), "Shift+ArrowLeft": () => pan(1, 0), "Shift+ArrowRight": () => pan(-1, 0),
      "Shift+ArrowUp": () => pan(0, 1), "Shift+ArrowDown": () => pan(0, -1),
    };
  }

  /** Show the controls of a clip. */
  open(details, source) {
    this.clip = details.clip;
    const scrub = find("scrub");
    scrub.max = String(source.count - 1);
    scrub.disabled = source.count < 2;
    say(find("viewer-note"), source.note);
    toggle(find("viewer-note"), Boolean(source.note));
    this.showMarks(details.marks ?? { ed: [], es: [] });
    this.showPosition();
  }

  seek(position) {
    if (!this.viewer.source) return;
    this.viewer.playing = false;
    this.viewer.seek(position);
    this.changed();
  }

  step(frames) {
    this.viewer.step(frames);
    this.changed();
  }

  setLoop(end) {
    this.viewer.setLoop(end);
    this.showPosition();
    this.placeLoop();
  }

  reset() {
    this.viewer.resetView();
    this.showLevels();
    this.changed();
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else find("stage").requestFullscreen?.().catch(() => say(find("status"), "This browser refuses full screen."));
  }

  showPosition() {
    const { source, position, loop } = this.viewer;
    if (!source) return;
    find("scrub").value = String(position);
    const whole = loop[0] === 0 && loop[1] === source.count - 1;
    const seconds = (source.times[position] / 1000).toFixed(2);
    const text = `Frame ${position + 1} of ${source.count}, ${seconds} s${whole ? "" : `, loop ${loop[0] + 1} to ${loop[1] + 1}`}`;
    if (find("frame-position").textContent !== text) find("frame-position").textContent = text;
    find("scrub").setAttribute("aria-valuetext", text);
  }

  /** Draw the marks of end-diastole and end-systole, frames of the recording, and the ends of the loop. */
  showMarks(marks) {
    this.marks = marks;
    const { source } = this.viewer;
    if (!source) return;
    const marked = ["ed", "es"].flatMap((phase) => (marks[phase] ?? []).map((frame) => [phase, source.index.indexOf(frame)]));
    find("marks").replaceChildren(...marked.filter(([, position]) => position >= 0).map(([phase, position]) => {
      const mark = make("span", { className: phase, textContent: phase.toUpperCase(), title: `${phase.toUpperCase()}, frame ${position + 1}` });
      mark.style.left = this.share(position);
      return mark;
    }));
    this.placeLoop();
  }

  placeLoop() {
    const { source, loop } = this.viewer;
    const band = find("loop-band");
    band.hidden = !source || (loop[0] === 0 && loop[1] === source.count - 1);
    if (band.hidden) return;
    band.style.left = this.share(loop[0]);
    band.style.right = `calc(100% - ${this.share(loop[1])})`;
  }

  share(position) {
    return `${(100 * position) / Math.max(1, this.viewer.source.count - 1)}%`;
  }

  setLevels(name) {
    this.viewer.setWindow({ [name]: Number(find(`level-${name}`).value) / 100 });
    this.changed();
  }

  showLevels() {
    for (const name of ["low", "high", "gamma"]) find(`level-${name}`).value = String(Math.round(100 * this.viewer.window[name]));
  }

  /** Zoom by wheel and by two fingers, pan by one. */
  followPointers(canvas) {
    const { viewer } = this;
    const pointers = new Map();
    const onCanvas = (event) => {
      const box = canvas.getBoundingClientRect();
      const ratio = canvas.width / box.width;
      return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      viewer.zoomBy(STEP_ZOOM ** -Math.sign(event.deltaY), ...onCanvas(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, onCanvas(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const [x, y] = onCanvas(event);
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const distance = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
        viewer.zoomBy(distance([x, y]) / distance(before), (x + other[0]) / 2, (y + other[1]) / 2);
      } else viewer.panBy(x - before[0], y - before[1]);
      pointers.set(event.pointerId, [x, y]);
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
}
