// A note on the clip on the screen, and the window by which a clip goes to a colleague.

import { now, requestJson } from "./api.js";
import { find, make, say, sentence } from "./dom.js";
import { shiftButton } from "./marks.js";

/** Make a dialog with a title and a form; `save` returns what to say, and its error stays in the dialog. */
function makeDialog(id, title, fields, action, save) {
  const refusal = make("p", { className: "refusal" });
  refusal.setAttribute("role", "alert");
  const heading = make("h2", { id: `${id}-title`, textContent: title });
  const submit = make("button", { className: "main", textContent: action });
  const cancel = make("button", { type: "button", textContent: "Cancel" });
  const form = make("form", {}, heading, ...fields, refusal, make("div", { className: "tools" }, submit, cancel));
  const dialog = make("dialog", { id, className: "panel" }, form);
  dialog.setAttribute("aria-labelledby", heading.id);
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const text = await save();
      dialog.close();
      say(find("status"), text);
    } catch (error) {
      say(refusal, sentence(error.message));
    }
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  document.body.append(dialog);
  return { dialog, refusal };
}

const path = (clip) => `clips/${encodeURIComponent(clip)}/notes`;

export class Notes {
  /** @param handedOver called when the clip on the screen went to a colleague */
  constructor(handedOver) {
    this.handedOver = handedOver;
    this.details = null;
    this.note = make("textarea", { id: "note-text", rows: 5 });
    this.warning = make("p", { className: "note", id: "note-warning" });
    this.note.setAttribute("aria-describedby", "note-warning");
    this.others = make("ul", { className: "plain" });
    const noteLabel = make("label", { htmlFor: "note-text", textContent: "Your note on this clip" });
    this.noteDialog = makeDialog("note-window", "Note", [noteLabel, this.note, this.warning, this.others], "Save the note", () => this.saveNote());
    this.colleague = make("input", { id: "colleague", required: true, maxLength: 60, autocomplete: "off" });
    this.colleague.setAttribute("list", "colleagues");
    this.message = make("textarea", { id: "hand-over-text", rows: 3 });
    this.names = make("datalist", { id: "colleagues" });
    const fields = [
      make("p", { className: "note", textContent: "The colleague reads the clip in your place. Do not write what you see: the reading stays blind." }),
      make("label", { htmlFor: "colleague", textContent: "Colleague" }), this.colleague, this.names,
      make("label", { htmlFor: "hand-over-text", textContent: "Message (may hold no identity)" }), this.message,
    ];
    this.handDialog = makeDialog("hand-over", "Hand the clip to a colleague", fields, "Hand over", () => this.saveHandover());
    this.element = make("div", { className: "tools" }, shiftButton("Note", "N", () => this.openNote()),
      shiftButton("Hand over", "H", () => this.openHandover()), shiftButton("Link", "L", () => this.link()));
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "This clip");
    this.keys = { n: () => this.openNote(), h: () => this.openHandover(), l: () => this.link() };
  }

  open(details) {
    this.details = details;
  }

  async openNote() {
    const { own, others, handover, warning, longest } = await requestJson(path(this.details.clip));
    this.note.value = own;
    this.note.maxLength = longest;
    this.warning.textContent = warning;
    const lines = others.map(({ rater, text }) => `${rater}: ${text}`);
    if (handover?.text) lines.unshift(`${handover.sender} to ${handover.colleague}: ${handover.text}`);
    this.others.replaceChildren(...lines.map((textContent) => make("li", { textContent })));
    say(this.noteDialog.refusal, "");
    this.noteDialog.dialog.showModal();
    this.note.focus();
  }

  async saveNote() {
    const text = this.note.value.trim();
    await requestJson("notes", { clip: this.details.clip, text, at: now() });
    return text ? "Note saved." : "Note removed.";
  }

  async openHandover() {
    const { colleagues } = await requestJson("tasks");
    this.names.replaceChildren(...colleagues.map((value) => make("option", { value })));
    this.colleague.value = this.message.value = "";
    say(this.handDialog.refusal, "");
    this.handDialog.dialog.showModal();
    this.colleague.focus();
  }

  async saveHandover() {
    const to = this.colleague.value.trim();
    await requestJson("handovers", { clip: this.details.clip, to, text: this.message.value.trim(), at: now() });
    this.handedOver(this.details.clip);
    return `Handed to ${to}.`;
  }

  /** Put the address of the clip into the address bar, and into the clipboard where the browser allows it. */
  async link() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    parameters.set("clip", this.details.clip);
    history.replaceState(null, "", `#${parameters}`);
    try {
      await navigator.clipboard.writeText(location.href);
      say(find("status"), "The link to this clip is copied.");
    } catch {
      say(find("status"), "The link to this clip is in the address bar.");
    }
  }
}
