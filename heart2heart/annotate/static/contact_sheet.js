// The contact sheet: a thumbnail of each clip of the study, with this rater's answer.

import { find, make } from "./dom.js";
import { draw } from "./player.js";
import * as cache from "./cache.js";

let latestRequest = null;

export async function showSheet(details, jump) {
  const request = {};
  latestRequest = request;
  let pixels, study;
  try {
    [pixels, study] = await Promise.all([cache.thumbs.get(details.study, details.clip), cache.studyClips(details.clip)]);
  } catch {
    if (latestRequest === request) find("sheet").replaceChildren(); // the clip or the answer shows the error
    return;
  }
  if (latestRequest !== request) return;
  const side = Math.sqrt(pixels.length / study.clips.length);
  const items = study.clips.map(({ clip, own_answer: answer }, index) => {
    const canvas = make("canvas", { width: side, height: side });
    canvas.setAttribute("aria-hidden", "true");
    draw(canvas, pixels, side, index);
    const current = clip === details.clip;
    const text = answer ? `✓ ${answer.replaceAll("_", " ")}` : current ? "this clip" : "";
    const button = make("button", {}, canvas, make("span", { textContent: text }));
    button.setAttribute("aria-label", `Clip ${index + 1} of the study${current ? `, on the screen${answer ? "" : ": this clip"}` : ""}${answer ? `, you answered ${answer}` : ""}`);
    if (current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => jump(clip));
    return make("li", {}, button);
  });
  find("sheet").replaceChildren(...items);
  // Scroll the sheet only, not the page.
  const currentItem = items.find((item) => item.querySelector("[aria-current]"));
  find("sheet").scrollTo(currentItem ? { left: currentItem.offsetLeft - 100, top: currentItem.offsetTop - 40 } : {});
}
