// The buttons of the answers: fine views are grouped with their coarse one.

import { find, make } from "./dom.js";

/** Return the name of a view; the part that it shares with its coarse view is not shown. */
function nameParts(name, coarse) {
  const words = name.replaceAll("_", " ");
  const shared = `${coarse.replaceAll("_", " ")} `;
  return words.startsWith(shared) ? [make("i", { textContent: shared }), words.slice(shared.length)] : [words];
}

/** Make the answer buttons, each with its key of one or two strokes, in the order of the coarse views. */
export function makeAnswerButtons(answers, press) {
  const parents = new Map(answers.map((answer) => [answer.name, answer.parent]));
  const coarsest = (name) => (parents.get(name) ? coarsest(parents.get(name)) : name);
  const groups = new Map();
  for (const answer of answers) {
    const name = coarsest(answer.name);
    const strokes = make("kbd", { textContent: [...answer.key].join(" ") });
    const button = make("button", { className: answer.name === name ? "answer" : "answer fine", title: answer.title }, strokes,
      make("b", {}, ...nameParts(answer.name, name)), make("span", { textContent: answer.title }));
    button.dataset.word = answer.name;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-keyshortcuts", [...answer.key].join(" "));
    if (answer.name !== name) button.setAttribute("aria-label", `${answer.name.replaceAll("_", " ")}: ${answer.title}`);
    button.addEventListener("click", () => press(answer.name));
    groups.set(name, [...(groups.get(name) ?? []), button]);
  }
  find("answers").replaceChildren(...[...groups].map(([name, buttons]) => {
    const index = buttons.findIndex((button) => button.dataset.word === name);
    const [coarse] = buttons.splice(index, 1);
    if (!buttons.length) return coarse;
    const group = make("div", { className: "family" }, coarse, make("div", { className: "finer" }, ...buttons));
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", coarse.title);
    return group;
  }));
}
