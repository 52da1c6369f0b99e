// The tables of progress and agreement, as the server computed them.

import { requestJson } from "./api.js";
import { find, make } from "./dom.js";

const NUMBER = /^-?[\d.]+( %| h| min| s)?$/;
const BAR = /^▪+$/;
const SHORT = 13; // characters of a cell that is kept on one line

/** Return the classes of the cells of a column. */
function classOf(texts) {
  if (texts.some((text) => BAR.test(text))) return "bar";
  const kind = texts.some((text) => NUMBER.test(text)) ? "number" : "text";
  return texts.every((text) => text.length <= SHORT) ? `${kind} short` : kind;
}

export async function showTables(name) {
  const { tables } = await requestJson(name);
  find("tables").replaceChildren(...tables.map((table) => {
    const classNames = table.columns.map((_, column) => classOf(table.rows.map((row) => row[column])));
    const makeRow = (texts, cell) => make("tr", {}, ...texts.map((text, column) => cell(text, column, classNames[column])));
    const head = makeRow(table.columns, (textContent, _, className) => make("th", { scope: "col", textContent, className }));
    const rows = table.rows.map((row) => makeRow(row, (textContent, column, className) =>
      column ? make("td", { textContent, className }) : make("th", { scope: "row", textContent, className: className.replace("number", "text") })));
    const emptyNote = table.rows.length ? [] : [make("p", { textContent: "No data yet." })];
    return make("div", { className: "card" },
      make("table", {}, make("caption", { textContent: table.title }), make("thead", {}, head), make("tbody", {}, ...rows)),
      ...emptyNote, make("p", { className: "note", textContent: table.note }));
  }));
}
