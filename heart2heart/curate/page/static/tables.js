// Progress and agreement: tables as the server made them.

import { ask } from "./api.js";
import { find, make } from "./dom.js";

export async function showTables(name) {
  const { tables } = await ask(name);
  find("tables").replaceChildren(...tables.map((table) => {
    const head = make("tr", {}, ...table.columns.map((text) => make("th", { scope: "col", textContent: text })));
    const rows = table.rows.map((row) => make("tr", {}, ...row.map((text, place) =>
      place ? make("td", { textContent: text }) : make("th", { scope: "row", textContent: text }))));
    const none = table.rows.length ? [] : [make("p", { textContent: "Nothing yet." })];
    return make("div", { className: "card" },
      make("table", {}, make("caption", { textContent: table.title }), make("thead", {}, head), make("tbody", {}, ...rows)),
      ...none, make("p", { className: "note", textContent: table.note }));
  }));
}
