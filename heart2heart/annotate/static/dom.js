// Helpers for the document, used by every module.

export const find = (id) => document.getElementById(id);

/** Create an element: make("li", {className: "x"}, "text", child ...). */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Set the text of an element so that a screen reader announces it, also when the text is the same as before. */
export function say(element, text) {
  element.textContent = "";
  element.textContent = text;
}

/** Return a message of the server as a sentence. */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

export function toggle(element, shown) {
  element.hidden = !shown;
}
