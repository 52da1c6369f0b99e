// Reading one clip after the other: for a label, or to decide a disagreement.

import { now, takeBack } from "./api.js";
import { find, make, say, sentence, toggle } from "./dom.js";
import * as store from "./store.js";
import { showSheet } from "./sheet.js";

const AHEAD = 5; // clips loaded before they are asked for
const TOO_SOON = 150; // milliseconds: nobody has seen a clip that is on the screen for less
const SURE = [[null, "not said"], [1, "certain"], [0.75, "probable"], [0.5, "a guess"]];

export class Reading {
  /** @param page {player, retryQueue, views, size, conflict} that all readings share
   *  @param source {kind, more(count, without), about(clip), empty} where clips come from */
  constructor(page, source) {
    Object.assign(this, page);
    this.source = source;
    this.queue = [];
    this.current = null;
    this.done = []; // {clip, saved}: what was answered, in order
    this.passed = new Set();
    this.sure = 0;
    this.active = false;
    this.first = [];
    this.round = 0;
  }

  async open() {
    this.active = true;
    if (this.current) this.show(this.current);
    else await this.next();
  }

  /** Ask for the clips ahead again: some of them got labels elsewhere on the page. */
  restart() {
    this.round += 1;
    this.queue = [];
    this.current = null;
  }

  close() {
    this.active = false;
    this.player.clear();
  }

  /** Load clips until enough are ahead. One loading at a time. */
  fill() {
    if (!this.filling) this.filling = this.load().finally(() => (this.filling = null));
    return this.filling;
  }

  async load() {
    const wanted = AHEAD - this.queue.length;
    if (wanted <= 0 && !this.first.length) return;
    const have = [...this.queue.map((about) => about.clip), ...this.passed, ...this.retryQueue.clips];
    if (this.current) have.push(this.current.clip);
    const first = this.first.splice(0);
    const round = this.round;
    const found = await this.source.more(Math.max(0, wanted) + first.length, have, first);
    if (round !== this.round) {
      this.first.unshift(...first);
      return;
    }
    this.left = found.left;
    if (first.length) this.queue = [...found.clips, ...this.queue];
    else this.queue.push(...found.clips);
    for (const about of found.clips) {
      store.clips.get(about.clip).catch(() => {});
      store.thumbs.get(about.study, about.clip).catch(() => {});
    }
    if (!found.clips.length && !this.queue.length && this.passed.size) {
      this.passed.clear(); // what was passed over comes again at the end
      await this.load();
    }
  }

  /** Go on to the next clip; with the time of the key press, how long it took is measured. */
  async next(pressed = null) {
    this.current = null;
    if (!this.queue.length) {
      find("read").setAttribute("aria-busy", "true");
      try {
        await this.fill();
      } catch (error) {
        this.nothing(sentence(error.message));
        setTimeout(() => this.active && !this.current && this.next(), 2000);
        return;
      }
    }
    const about = this.queue.shift();
    if (about) await this.show(about, pressed);
    else this.nothing(this.source.empty);
    this.fill().catch(() => {}); // asked again with the next clip
  }

  async show(about, pressed = null) {
    this.current = about;
    this.shown = null;
    find("read").setAttribute("aria-busy", "true");
    let pixels;
    try {
      pixels = await store.clips.get(about.clip);
    } catch (error) {
      if (this.current !== about) return;
      if (error.status === 0) this.queue.unshift(about);
      else this.passed.add(about.clip);
      this.current = null;
      this.nothing(`This clip cannot be shown: ${error.message}.`);
      setTimeout(() => this.active && !this.current && this.next(), 2000);
      return;
    }
    if (this.current !== about || !this.active) return;
    toggle(find("nothing"), false);
    this.player.show(pixels, this.size, about.frames, about.frame_ms);
    this.shown = performance.now();
    find("read").setAttribute("aria-busy", "false");
    this.describe();
    // What runs after the next frame was drawn runs when the clip is on the screen.
    if (pressed !== null) requestAnimationFrame(() => setTimeout(() => performance.measure("clip shown", { start: pressed })));
    this.sheet();
  }

  sheet() {
    showSheet(this.current, (clip) => this.jump(clip));
  }

  nothing(text) {
    find("read").setAttribute("aria-busy", "false");
    this.player.clear();
    const place = find("nothing");
    toggle(place, true);
    say(place, text);
    find("clip").setAttribute("aria-label", "No clip");
    find("about").textContent = "";
    toggle(find("hint"), false);
    find("sheet").replaceChildren();
  }

  describe() {
    const about = this.current;
    const place = `hospital ${about.site}, ${about.frames} frames`;
    const left = this.left === undefined ? "" : `, ${this.left} left`;
    find("about").textContent = `Clip of ${place}${left}`;
    find("clip").setAttribute("aria-label", `Clip of ${place}, playing in a loop`);
    toggle(find("synthetic"), about.synthetic);
    const hints = [];
    if (this.source.kind === "adjudication") {
      hints.push(`Readers said: ${about.said.join(" / ")}`);
      if (about.mine) hints.push(`You read this clip yourself and said ${about.mine}: better let another adjudicator decide, and pass over it`);
    }
    if (about.suggestion) {
      const share = Math.round(100 * about.suggestion.probability);
      hints.push(`Model: ${about.suggestion.view}, ${share} %`);
    }
    if (about.why) hints.push(`Asked because: ${about.why}`);
    find("hint").textContent = hints.join(". ");
    toggle(find("hint"), hints.length > 0);
    const said = this.source.kind === "adjudication" ? about.ruling : about.mine;
    for (const button of find("answers").children) {
      button.setAttribute("aria-pressed", String(button.dataset.word === said));
    }
    this.setSure(0);
  }

  setSure(place) {
    this.sure = place;
    find("sure").querySelector("span").textContent = SURE[place][1];
  }

  nextSure() {
    this.setSure((this.sure + 1) % SURE.length);
  }

  /** Answer with a view, `unusable` or `unsure`, unless nobody can have seen the clip yet. */
  answer(word) {
    const about = this.current;
    const time = performance.now();
    if (!about || this.shown === null || time - this.shown < TOO_SOON) return;
    const plain = word === "unusable" || word === "unsure";
    const saved = this.retryQueue.put({
      clip: about.clip,
      kind: this.source.kind,
      answer: plain ? word : "view",
      view: plain ? "" : word,
      at: now(),
      seconds: (time - this.shown) / 1000,
      confidence: SURE[this.sure][0],
      frame_hash: about.frame_hash,
      seen: about.seen,
      shown: about.suggestion !== null,
    });
    const entry = { about, saved };
    this.done.push(entry);
    if (this.left) this.left -= 1;
    say(find("status"), `Saving ${word} …`);
    saved.then((result) => this.told(entry, word, result));
    this.next(time);
  }

  told(entry, word, result) {
    if (!result.error) {
      entry.event = result.event;
      say(find("status"), `Saved: ${word}.`);
      if (this.active && this.shown !== null && this.current?.study === entry.about.study) this.sheet();
      return;
    }
    this.done.splice(this.done.indexOf(entry), 1);
    say(find("status"), `Not saved: ${word}.`);
    store.clips.drop(entry.about.clip);
    const again = async () => {
      if (await this.jump(entry.about.clip)) say(find("status"), `Not saved: ${word}. Look again.`);
    };
    this.conflict(word, result, again, () => this.passed.add(entry.about.clip));
  }

  /** Go to a clip: one of the sheet, or one that was answered. The clip on the screen waits. Returns whether it is there. */
  async jump(clip) {
    try {
      const about = await this.source.about(clip);
      if (this.current && this.current.clip !== clip) this.queue.unshift(this.current);
      this.queue = this.queue.filter((one) => one.clip !== clip);
      await this.show(about);
      return true;
    } catch (error) {
      say(find("status"), sentence(error.message));
      return false;
    }
  }

  async back() {
    const place = this.done.findIndex((entry) => this.current && entry.about.clip === this.current.clip);
    const entry = place < 0 ? this.done.at(-1) : this.done[place - 1];
    if (!entry) return;
    await entry.saved;
    await this.jump(entry.about.clip);
  }

  pass() {
    if (!this.current) return;
    if (!this.done.some((entry) => entry.about.clip === this.current.clip)) this.passed.add(this.current.clip);
    this.next();
  }

  async undo() {
    const entry = this.done.pop();
    if (!entry) {
      say(find("status"), "Nothing to undo.");
      return;
    }
    const result = await entry.saved;
    if (result.error) return; // told where it was answered
    try {
      await takeBack([{ clip: entry.about.clip, event: result.event }]);
      if (this.left !== undefined) this.left += 1;
      await this.jump(entry.about.clip);
      say(find("status"), "Taken back.");
    } catch (error) {
      this.done.push(entry);
      say(find("status"), `Not taken back: ${error.message}.`);
    }
  }
}

/** The buttons of the answers, one key each. */
export function answerButtons(views, press) {
  const words = [...views, { name: "unsure", title: "I cannot tell", key: "u" },
    { name: "unusable", title: "Nobody could tell", key: "x" }];
  const buttons = words.map((view) => {
    const button = make("button", { className: "answer" }, make("kbd", { textContent: view.key }),
      make("b", { textContent: view.name.replaceAll("_", " ") }), make("span", { textContent: view.title }));
    button.dataset.word = view.name;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-keyshortcuts", view.key);
    button.addEventListener("click", () => press(view.name));
    return button;
  });
  find("answers").replaceChildren(...buttons);
  return new Map(words.map((view) => [view.key, view.name]));
}
