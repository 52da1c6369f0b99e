// The few things every module needs of the document.

export const find = (id) => document.getElementById(id);

/** Make an element: make("li", {className: "x"}, "text", child ...). */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Say something where a screen reader hears it; the same text twice is said twice. */
export function say(element, text) {
  element.textContent = "";
  element.textContent = text;
}

/** A clause of the server as a sentence. */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

export function toggle(element, shown) {
  element.hidden = !shown;
}
