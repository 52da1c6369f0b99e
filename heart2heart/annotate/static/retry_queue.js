// Answers on their way to the server. An answer stays here, and in the browser's storage, until the server has written
// it: if the server is gone the page says "not saved" and tries again, and a tab that is closed loses nothing.
// The same answer sent twice is one event, so trying again is safe.

import { Refused, ask } from "./api.js";

const PREFIX = "heart2heart.unsaved.";
const SOONEST = 500;
const LATEST = 5000;

export class RetryQueue {
  /** @param tell called with (number waiting, error or null) whenever either changes
   *  @param entry called when the server no longer knows who we are; sending goes on after `resume` */
  constructor(tell, entry) {
    this.tell = tell;
    this.entry = entry;
    this.items = [];
    this.busy = false;
    this.rater = null;
  }

  /** Send for this rater from now on, beginning with what was not saved before. Returns how much that is. */
  resume(rater) {
    this.rater = rater;
    const known = new Set(this.items.map((item) => item.key));
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX)).sort()) {
      const kept = JSON.parse(localStorage.getItem(key));
      if (kept.rater === rater && !known.has(key)) this.items.push({ key, ...kept, settle: () => {} });
    }
    this.pump();
    return this.items.length;
  }

  /** Send an answer. Resolves to {event, now}, or to {error, now} if the server will never take it. */
  put(content) {
    const key = `${PREFIX}${content.at}.${Math.random().toString(36).slice(2)}`;
    localStorage.setItem(key, JSON.stringify({ rater: this.rater, content }));
    return new Promise((settle) => {
      this.items.push({ key, rater: this.rater, content, settle });
      this.pump();
    });
  }

  /** The clips of answers that are not saved yet. */
  get clips() {
    return this.items.map((item) => item.content.clip);
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    let pause = SOONEST;
    for (;;) {
      const item = this.items.find((one) => one.rater === this.rater);
      if (!item) break;
      try {
        this.settle(item, await ask("answers", item.content));
        pause = SOONEST;
        this.tell(this.items.length, null);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 401) {
          this.busy = false;
          this.tell(this.items.length, error);
          this.entry();
          return;
        }
        if (error.status === 0 || error.status >= 500) {
          this.tell(this.items.length, error);
          await new Promise((done) => setTimeout(done, pause));
          pause = Math.min(2 * pause, LATEST);
        } else {
          this.settle(item, { error: error.message, now: error.content.now, status: error.status });
          this.tell(this.items.length, null);
        }
      }
    }
    this.busy = false;
  }

  settle(item, result) {
    localStorage.removeItem(item.key);
    this.items.splice(this.items.indexOf(item), 1);
    item.settle(result);
  }
}
