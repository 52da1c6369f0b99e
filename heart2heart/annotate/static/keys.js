// The keys of the rater's answers: strokes typed, and the window that shows and changes them.

import { requestJson } from "./api.js";
import { find, make, say, sentence } from "./dom.js";

const WAIT = 2000; // milliseconds for the second stroke

/** Turns strokes into answers; a key of two strokes waits for the second. */
export class AnswerKeys {
  constructor(answers) {
    this.answers = new Map(answers.map((answer) => [answer.key, answer]));
    this.pending = "";
  }

  /** Return the answer of a stroke, null if a second stroke must follow, or undefined if it is no key of an answer. */
  press(stroke) {
    const key = this.pending + stroke;
    const second = this.pending !== "";
    this.cancel();
    if (this.answers.has(key)) return this.answers.get(key).name;
    const following = [...this.answers.values()].filter((answer) => stroke.length === 1 && answer.key.length === 2 && answer.key[0] === key);
    if (following.length) {
      this.pending = key;
      this.timer = setTimeout(() => this.cancel(), WAIT);
      say(find("status"), `${key} and then: ${following.map((answer) => `${answer.key[1]} ${answer.name.replaceAll("_", " ")}`).join(", ")}`);
      return null;
    }
    if (second) {
      say(find("status"), `No answer has the keys ${[...key].join(" ")}.`);
      return null;
    }
    return undefined;
  }

  cancel() {
    clearTimeout(this.timer);
    if (this.pending) say(find("status"), "");
    this.pending = "";
  }
}

/** Show all keys in a window; a rater may change those of the answers. `chosen` gets the answers with their new keys. */
export class KeysWindow {
  constructor(presets, chosen) {
    this.presets = presets;
    this.chosen = chosen;
    find("save-keys").onclick = () => this.save();
    find("close-keys").onclick = () => find("keys").close();
    for (const [id, name] of [["mnemonic-keys", "mnemonic"], ["former-keys", "former"]]) {
      find(id).onclick = () => this.fill(presets[name]);
    }
  }

  open(answers) {
    this.answers = answers;
    find("keys-of-answers").replaceChildren(...answers.map((answer) => {
      const input = make("input", { maxLength: 2, value: answer.key, autocomplete: "off", spellcheck: false });
      input.setAttribute("aria-label", `Key of ${answer.name.replaceAll("_", " ")}`);
      input.autocapitalize = "off";
      input.dataset.word = answer.name;
      return make("label", {}, input, make("b", { textContent: answer.name.replaceAll("_", " ") }), make("span", { textContent: answer.title }));
    }));
    say(find("keys-refusal"), "");
    find("keys").showModal();
  }

  fill(keys) {
    for (const input of find("keys-of-answers").querySelectorAll("input")) input.value = keys[input.dataset.word];
    say(find("keys-refusal"), "");
  }

  async save() {
    const inputs = [...find("keys-of-answers").querySelectorAll("input")];
    const keys = Object.fromEntries(inputs.map((input) => [input.dataset.word, input.value.trim()]));
    try {
      const { answers } = await requestJson("keys", { keys });
      find("keys").close();
      this.chosen(answers);
    } catch (error) {
      say(find("keys-refusal"), sentence(error.message));
    }
  }
}
