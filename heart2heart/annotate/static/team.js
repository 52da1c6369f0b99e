// What raters do beside the view: search, quality, marks, notes, tasks, and links to clips.

import { find, make, say, sentence, toggle } from "./dom.js";
import { Filters, describeFilter, readFilter, writeFilter } from "./filters.js";
import { Marks } from "./marks.js";
import { Notes } from "./notes.js";
import { showTables } from "./tables.js";
import { Tasks } from "./tasks.js";

const PAGES = ["search", "tasks", "raters"];

export class Team {
  /** @param viewer the viewer of the page Label
   *  @param openPage opens a page by name
   *  @param label returns the reading of the page Label */
  constructor(viewer, openPage, label) {
    Object.assign(this, { openPage, label, adjudicator: false, clip: null });
    this.marks = new Marks(viewer);
    this.notes = new Notes((clip) => this.handedOver(clip));
    this.filters = new Filters((clip) => this.openClip(clip), (conditions) => this.labelOnly(conditions));
    this.tasks = new Tasks((clip) => this.openClip(clip));
    this.only = make("p", { id: "only", hidden: true });
    find("more").replaceChildren(this.only, this.marks.element, this.notes.element);
    const keys = { ...this.marks.keys, ...this.notes.keys };
    this.keys = Object.fromEntries(Object.entries(keys).map(([letter, action]) => [letter, () => this.ofClip(action)]));
    this.keys.q = () => this.openPage("search");
    this.keys.t = () => this.openPage("tasks");
    addEventListener("clip", (event) => {
      this.marks.open(event.detail);
      this.notes.open(event.detail);
    });
    addEventListener("hashchange", () => this.follow());
  }

  /** Handle a letter typed with the shift key, and return whether it is one of the keys. */
  press(letter) {
    if (!(letter in this.keys)) return false;
    this.keys[letter]();
    return true;
  }

  async ofClip(action) {
    if (find("read").hidden || !this.marks.details) return;
    try {
      await action();
    } catch (error) {
      say(find("status"), sentence(error.message));
    }
  }

  start(session) {
    this.adjudicator = session.adjudicator;
    toggle(document.querySelector("nav [data-page=raters]"), session.adjudicator);
  }

  /** Open what the address names: the page Search, or a clip on the page Label. */
  follow() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    this.clip = parameters.get("clip");
    this.showOnly();
    return this.openPage(!this.clip && parameters.get("page") === "search" ? "search" : "label");
  }

  /** Return the clip that the page Label is to show first, once. */
  takeClip() {
    const clip = this.clip;
    this.clip = null;
    return clip;
  }

  has(name) {
    return PAGES.includes(name);
  }

  /** Show the sections of a page; null hides them. */
  async open(name) {
    toggle(find("search"), name === "search");
    toggle(find("tasks"), name === "tasks");
    if (name === "search") await this.filters.open(this.adjudicator);
    else if (name === "tasks") await this.tasks.open();
    else if (name === "raters") await showTables("raters");
  }

  openClip(clip) {
    this.clip = clip;
    return this.openPage("label");
  }

  /** The conditions of the clips to label, or null. */
  get filter() {
    const conditions = readFilter();
    return Object.keys(conditions).length ? conditions : null;
  }

  async labelOnly(conditions) {
    writeFilter(conditions);
    this.label().restart();
    this.label().skipped.clear();
    this.showOnly();
    await this.openPage("label");
  }

  showOnly() {
    const conditions = readFilter();
    const text = describeFilter(conditions);
    const all = make("button", { type: "button", textContent: "All clips" });
    all.addEventListener("click", () => this.labelOnly({}));
    this.only.replaceChildren(`Only clips with: ${text} `, all);
    toggle(this.only, Boolean(text));
  }

  handedOver(clip) {
    const label = this.label();
    label.queue = label.queue.filter((details) => details.clip !== clip);
    if (label.current?.clip === clip) label.next();
  }
}
