// Progress and agreement: tables as the server made them.

import { ask } from "./api.js";
import { find, make } from "./dom.js";

const NUMBER = /^-?[\d.]+( %| h| min| s)?$/;

export async function showTables(name) {
  const { tables } = await ask(name);
  find("tables").replaceChildren(...tables.map((table) => {
    const kinds = table.columns.map((_, place) => (table.rows.some((row) => NUMBER.test(row[place])) ? "number" : "text"));
    const line = (texts, cell) => make("tr", {}, ...texts.map((text, place) => cell(text, place, kinds[place])));
    const head = line(table.columns, (textContent, _, className) => make("th", { scope: "col", textContent, className }));
    const rows = table.rows.map((row) => line(row, (textContent, place, className) =>
      place ? make("td", { textContent, className }) : make("th", { scope: "row", textContent, className: "text" })));
    const none = table.rows.length ? [] : [make("p", { textContent: "Nothing yet." })];
    return make("div", { className: "card" },
      make("table", {}, make("caption", { textContent: table.title }), make("thead", {}, head), make("tbody", {}, ...rows)),
      ...none, make("p", { className: "note", textContent: table.note }));
  }));
}
