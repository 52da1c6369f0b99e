// The page Search, and the filter of the clips to label. Both are kept in the address, after the #.

import { requestJson } from "./api.js";
import { find, make, say } from "./dom.js";

const SELECTS = [["site", "Hospital"], ["view", "Answer"], ["mode", "Mode"], ["flag", "Flag"], ["quality", "Quality"], ["reader", "Reader"]];
const CHECKS = [["mine", "I answered"], ["unsure", "I was unsure"], ["noted", "With my note"]];

/** Return the conditions in the address. */
export function readFilter() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const conditions = {};
  for (const [name] of [...SELECTS, ["study"]]) if (parameters.get(name)) conditions[name === "study" ? "clip" : name] = parameters.get(name);
  for (const [name] of CHECKS) if (parameters.get(name) === "1") conditions[name] = true;
  return conditions;
}

/** Write conditions to the address; a link to a clip in it goes. */
export function writeFilter(conditions, page = "") {
  const parameters = new URLSearchParams();
  if (page) parameters.set("page", page);
  for (const [name, value] of Object.entries(conditions)) {
    if (value) parameters.set(name === "clip" ? "study" : name, value === true ? "1" : value);
  }
  history.replaceState(null, "", parameters.size ? `#${parameters}` : location.pathname);
}

export class Filters {
  /** @param openClip opens a clip on the page Label
   *  @param labelThese called with the conditions when only their clips are to be labeled */
  constructor(openClip, labelThese) {
    this.openClip = openClip;
    this.fields = new Map();
    const form = make("form", { className: "filters" });
    for (const [name, title] of SELECTS) {
      const select = make("select", { name });
      this.fields.set(name, select);
      form.append(make("label", {}, make("span", { textContent: title }), select));
    }
    const text = make("input", { name: "clip", autocomplete: "off", spellcheck: false, maxLength: 200 });
    this.fields.set("clip", text);
    form.append(make("label", {}, make("span", { textContent: "Clip or study begins with" }), text));
    for (const [name, title] of CHECKS) {
      const box = make("input", { type: "checkbox", name });
      this.fields.set(name, box);
      form.append(make("label", { className: "check" }, box, make("span", { textContent: title })));
    }
    const only = make("button", { type: "button", className: "main", textContent: "Label only these" });
    const clear = make("button", { type: "button", textContent: "Clear" });
    only.addEventListener("click", () => labelThese(this.conditions()));
    clear.addEventListener("click", () => this.fill({}));
    form.append(make("div", { className: "tools" }, only, clear));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => this.search());
    this.count = make("p", { id: "search-count" });
    this.count.setAttribute("role", "status");
    this.list = make("ul", { id: "found", className: "plain" });
    find("search").replaceChildren(make("h2", { textContent: "Search" }), form, this.count, this.list);
  }

  async open(adjudicator) {
    const choices = await requestJson("search");
    for (const [name] of SELECTS) {
      const select = this.fields.get(name);
      const options = choices[name].map((value) => make("option", { value, textContent: value.replaceAll("_", " ") }));
      select.replaceChildren(make("option", { value: "", textContent: "any" }), ...options);
    }
    this.fields.get("reader").parentElement.hidden = !adjudicator;
    this.fill(readFilter());
  }

  conditions() {
    const conditions = {};
    for (const [name, field] of this.fields) {
      const value = field.type === "checkbox" ? field.checked : field.value.trim();
      if (value) conditions[name] = value;
    }
    return conditions;
  }

  fill(conditions) {
    for (const [name, field] of this.fields) {
      if (field.type === "checkbox") field.checked = Boolean(conditions[name]);
      else field.value = conditions[name] ?? "";
    }
    return this.search();
  }

  async search() {
    const conditions = this.conditions();
    writeFilter(conditions, "search");
    const request = (this.latest = {});
    const { clips, total } = await requestJson("search", conditions);
    if (this.latest !== request) return;
    const shown = clips.length < total ? `, the first ${clips.length} are listed` : "";
    say(this.count, `${total} ${total === 1 ? "clip" : "clips"}${shown}.`);
    this.list.replaceChildren(...clips.map((clip) => {
      const facts = [clip.site, clip.mode.replaceAll("_", " "), ...clip.flags.map((flag) => flag.replaceAll("_", " "))];
      if (clip.own_answer) facts.push(`you: ${clip.own_answer.replaceAll("_", " ")}`);
      if (clip.quality) facts.push(`quality ${clip.quality}`);
      if (clip.noted) facts.push("your note");
      const button = make("button", { type: "button" }, make("b", { textContent: clip.clip.slice(0, 12) }), ` ${facts.join(" · ")}`);
      button.addEventListener("click", () => this.openClip(clip.clip));
      return make("li", {}, button);
    }));
  }
}

/** Return the conditions as a sentence. */
export function describeFilter(conditions) {
  const parts = SELECTS.filter(([name]) => conditions[name]).map(([name, title]) => `${title.toLowerCase()} ${conditions[name].replaceAll("_", " ")}`);
  parts.push(...CHECKS.filter(([name]) => conditions[name]).map(([, title]) => title.toLowerCase()));
  if (conditions.clip) parts.push(`clip or study ${conditions.clip}…`);
  return parts.join(", ");
}
