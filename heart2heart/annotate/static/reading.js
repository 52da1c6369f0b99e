// Reading one clip after the other, for a label or to decide a disagreement.

import { now, retract } from "./api.js";
import { find, say, sentence, toggle } from "./dom.js";
import * as cache from "./cache.js";
import { showSheet } from "./contact_sheet.js";
import { decodeFirst, openPictures, prefetch } from "./viewer_pictures.js";

const CLIPS_AHEAD = 5; // clips loaded before they are shown
const CLIPS_DECODED = 2; // clips whose first picture is decoded before they are shown
const MIN_SHOWN_MS = 150; // nobody recognises a clip that is on the screen for less
const CONFIDENCES = [[null, "not stated"], [1, "certain"], [0.75, "probable"], [0.5, "a guess"]];

export class Reading {
  /** @param page {player, controls, study, retryQueue, views, size, conflict}, shared by all readings
   *  @param source {kind, more(count, without, first, unsaved), details(clip), empty}, the requests for clips */
  constructor(page, source) {
    Object.assign(this, page);
    this.source = source;
    this.queue = [];
    this.current = null;
    this.done = []; // {details, saved} of each answer, in order
    this.skipped = new Set();
    this.confidenceIndex = 0;
    this.active = false;
    this.first = [];
    this.round = 0;
    this.answered = 0; // answers of this page that were not retracted
    this.present = null; // the rater's present answer of the clip on the screen
  }

  /** Show a clip, or else the one that was on the screen before, or else the next one. */
  async open(clip = null) {
    this.active = true;
    this.shown = null;
    find("read").setAttribute("aria-busy", "true");
    if (clip !== null && (await this.jump(clip))) return;
    if (this.current) this.show(this.current);
    else await this.next();
  }

  /** Load the next clips again, because some of them were labeled in the grid. */
  restart() {
    this.round += 1;
    this.queue = [];
    this.current = null;
  }

  close() {
    this.active = false;
    this.study.close();
    this.player.clear();
  }

  /** Load clips until enough are ahead, one request at a time. */
  fill() {
    if (!this.filling) this.filling = this.load().finally(() => (this.filling = null));
    return this.filling;
  }

  async load() {
    const missing = CLIPS_AHEAD - this.queue.length;
    if (missing <= 0 && !this.first.length) return;
    const excluded = [...this.queue.map((details) => details.clip), ...this.skipped, ...this.retryQueue.clips];
    if (this.current) excluded.push(this.current.clip);
    const first = this.first.splice(0);
    const { round, answered } = this;
    const reply = await this.source.more(Math.max(0, missing) + first.length, excluded, first, this.retryQueue.clips);
    if (round !== this.round) {
      this.first.unshift(...first);
      return;
    }
    this.left = reply.left - (this.answered - answered); // what was answered since the request counts too
    if (first.length) this.queue = [...reply.clips, ...this.queue];
    else this.queue.push(...reply.clips);
    for (const details of reply.clips) {
      prefetch(details);
      cache.thumbs.get(details.study, details.clip).catch(() => {});
    }
    if (!reply.clips.length && !this.queue.length && this.skipped.size) {
      this.skipped.clear(); // skipped clips come again at the end
      await this.load();
    }
  }

  /** Show the next clip. With the time of the key press, measure how long that takes. */
  async next(pressed = null) {
    this.current = null;
    if (!this.queue.length) {
      find("read").setAttribute("aria-busy", "true");
      try {
        await this.fill();
      } catch (error) {
        this.showMessage(sentence(error.message));
        setTimeout(() => this.active && !this.current && this.next(), 2000);
        return;
      }
    }
    const details = this.queue.shift();
    if (details) await this.show(details, pressed);
    else this.showMessage(this.source.empty);
    this.fill().catch(() => {}); // requested again with the next clip
  }

  async show(details, pressed = null) {
    this.current = details;
    this.shown = null;
    this.study.close();
    find("read").setAttribute("aria-busy", "true");
    let pictures;
    try {
      pictures = await openPictures(details, this.size);
    } catch (error) {
      if (this.current !== details) return;
      if (error.status === 0) this.queue.unshift(details);
      else this.skipped.add(details.clip);
      this.current = null;
      this.showMessage(`This clip cannot be shown: ${error.message}.`);
      setTimeout(() => this.active && !this.current && this.next(), 2000);
      return;
    }
    if (this.current !== details || !this.active) return pictures.close();
    toggle(find("nothing"), false);
    this.player.show(pictures);
    this.controls.open(details, pictures);
    this.rateKnown = pictures.rateKnown;
    this.shown = performance.now();
    find("read").setAttribute("aria-busy", "false");
    this.describe();
    // A task queued in an animation frame runs after the clip is drawn on the screen. What is not needed before follows.
    requestAnimationFrame(() => setTimeout(() => {
      if (pressed !== null) performance.measure("clip shown", { start: pressed });
      if (this.current !== details || !this.active) return;
      this.sheet();
      for (const next of this.queue.slice(0, CLIPS_DECODED)) decodeFirst(next);
    }));
  }

  sheet() {
    showSheet(this.current, (clip) => this.jump(clip));
  }

  showMessage(text) {
    find("read").setAttribute("aria-busy", "false");
    this.player.clear();
    const message = find("nothing");
    toggle(message, true);
    say(message, text);
    find("clip").setAttribute("aria-label", "No clip");
    find("clip-details").textContent = "";
    toggle(find("hint"), false);
    find("sheet").replaceChildren();
  }

  describe() {
    const details = this.current;
    const description = `hospital ${details.site}, ${this.player.source.count} frames${this.rateKnown ? "" : " (rate not recorded)"}`;
    const left = this.left === undefined ? "" : `, ${this.left} left`;
    find("clip-details").textContent = `Clip of ${description}${left}`;
    find("clip").setAttribute("aria-label", `Clip of ${description}, playing in a loop`);
    toggle(find("synthetic"), details.synthetic);
    dispatchEvent(new CustomEvent("clip", { detail: details }));
    const hints = [];
    if (this.source.kind === "adjudication") {
      hints.push(`The readers answered: ${details.answers.join(" / ")}`);
      if (details.own_answer) hints.push(`You read this clip yourself and answered ${details.own_answer}: skip it, so that another adjudicator decides`);
    }
    if (details.suggestion) {
      const share = Math.round(100 * details.suggestion.probability);
      hints.push(`Model: ${details.suggestion.view}, ${share} %`);
    }
    if (details.reason) hints.push(`Reason: ${details.reason}`);
    find("hint").textContent = hints.join(". ");
    toggle(find("hint"), hints.length > 0);
    this.present = this.source.kind === "adjudication" ? details.adjudication : details.own_answer;
    this.mark();
    this.setConfidence(0);
  }

  /** Mark the button of the rater's present answer. */
  mark() {
    for (const button of find("answers").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.word === this.present));
    }
  }

  setConfidence(index) {
    this.confidenceIndex = index;
    find("sure").querySelector("span").textContent = CONFIDENCES[index][1];
  }

  nextConfidence() {
    this.setConfidence((this.confidenceIndex + 1) % CONFIDENCES.length);
  }

  /** Answer with a view, `unusable` or `unsure`. Ignored while the clip was on the screen for too short a time. */
  answer(word) {
    const details = this.current;
    const time = performance.now();
    if (!details || this.shown === null || time - this.shown < MIN_SHOWN_MS) return;
    const withoutView = word === "unusable" || word === "unsure";
    const saved = this.retryQueue.put({
      clip: details.clip,
      kind: this.source.kind,
      answer: withoutView ? word : "view",
      view: withoutView ? "" : word,
      at: now(),
      seconds: (time - this.shown) / 1000,
      confidence: CONFIDENCES[this.confidenceIndex][0],
      frame_hash: details.frame_hash,
      seen: details.seen,
      shown: details.suggestion !== null,
    });
    const entry = { details, saved };
    this.done.push(entry);
    this.answered += 1;
    if (this.left) this.left -= 1;
    say(find("status"), `Saving ${word} …`);
    saved.then((result) => this.showResult(entry, word, result));
    this.next(time);
  }

  showResult(entry, word, result) {
    if (!result.error) {
      entry.event = result.event;
      say(find("status"), `Saved: ${word}.`);
      if (this.active && this.shown !== null && this.current?.study === entry.details.study) this.sheet();
      return;
    }
    this.done.splice(this.done.indexOf(entry), 1);
    say(find("status"), `Not saved: ${word}.`);
    cache.clips.drop(entry.details.clip);
    cache.copies.drop(entry.details.clip);
    const again = async () => {
      if (await this.jump(entry.details.clip)) say(find("status"), `Not saved: ${word}. Look again.`);
    };
    this.conflict(word, result, again, () => this.skipped.add(entry.details.clip));
  }

  /** Show a clip of the contact sheet or an answered one; the present clip comes next. Return whether it was found. */
  async jump(clip) {
    try {
      const details = await this.source.details(clip);
      if (this.current && this.current.clip !== clip) this.queue.unshift(this.current);
      this.queue = this.queue.filter((queued) => queued.clip !== clip);
      await this.show(details);
      return true;
    } catch (error) {
      say(find("status"), sentence(error.message));
      return false;
    }
  }

  async back() {
    const index = this.done.findIndex((entry) => this.current && entry.details.clip === this.current.clip);
    const entry = index < 0 ? this.done.at(-1) : this.done[index - 1];
    if (!entry) return;
    await entry.saved;
    await this.jump(entry.details.clip);
  }

  skip() {
    if (!this.current) return;
    if (!this.done.some((entry) => entry.details.clip === this.current.clip)) this.skipped.add(this.current.clip);
    this.next();
  }

  async undo() {
    const entry = this.done.pop();
    if (!entry) {
      say(find("status"), "Nothing to undo.");
      return;
    }
    const result = await entry.saved;
    if (result.error) return; // the error is shown with the answer
    try {
      await retract([{ clip: entry.details.clip, event: result.event }]);
      this.answered -= 1;
      if (this.left !== undefined) this.left += 1;
      await this.jump(entry.details.clip);
      say(find("status"), "Retracted.");
    } catch (error) {
      this.done.push(entry);
      say(find("status"), `Not retracted: ${error.message}.`);
    }
  }
}
