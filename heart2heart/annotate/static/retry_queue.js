// The queue of answers that the server has not saved yet. An answer stays in the queue, and in the browser's storage,
// until the server has saved it. If the server does not answer, the page shows "not saved" and tries again. Closing the
// tab loses no answer. The same answer sent twice is one event, so trying again is safe.

import { RequestError, requestJson } from "./api.js";

const PREFIX = "heart2heart.unsaved.";
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 5000;

export class RetryQueue {
  /** @param onChange called with (number of waiting answers, error or null) when either changes
   *  @param onSignedOut called when the server no longer accepts the rater; sending continues after `resume` */
  constructor(onChange, onSignedOut) {
    this.onChange = onChange;
    this.onSignedOut = onSignedOut;
    this.items = [];
    this.busy = false;
    this.rater = null;
  }

  /** Send the answers of this rater, first those that were not saved before. Return how many were not saved. */
  resume(rater) {
    this.rater = rater;
    const queuedKeys = new Set(this.items.map((item) => item.key));
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX)).sort()) {
      const stored = JSON.parse(localStorage.getItem(key));
      if (stored.rater === rater && !queuedKeys.has(key)) this.items.push({ key, ...stored, settle: () => {} });
    }
    this.pump();
    return this.items.length;
  }

  /** Send an answer. Resolves to {event, now}, or to {error, now} if the server refuses it. */
  put(content) {
    const key = `${PREFIX}${content.at}.${Math.random().toString(36).slice(2)}`;
    localStorage.setItem(key, JSON.stringify({ rater: this.rater, content }));
    return new Promise((settle) => {
      this.items.push({ key, rater: this.rater, content, settle });
      this.pump();
    });
  }

  /** The clips whose answers are not saved yet. */
  get clips() {
    return this.items.map((item) => item.content.clip);
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    let pause = MIN_PAUSE_MS;
    for (;;) {
      const item = this.items.find((queued) => queued.rater === this.rater);
      if (!item) break;
      try {
        this.settle(item, await requestJson("answers", item.content));
        pause = MIN_PAUSE_MS;
        this.onChange(this.items.length, null);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        if (error.status === 401) {
          this.busy = false;
          this.onChange(this.items.length, error);
          this.onSignedOut();
          return;
        }
        if (error.status === 0 || error.status >= 500) {
          this.onChange(this.items.length, error);
          await new Promise((done) => setTimeout(done, pause));
          pause = Math.min(2 * pause, MAX_PAUSE_MS);
        } else {
          this.settle(item, { error: error.message, now: error.content.now, status: error.status });
          this.onChange(this.items.length, null);
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
