// The contact sheet: a frame of each clip of the study, with what this rater said of it.

import { find, make } from "./dom.js";
import { draw } from "./player.js";
import * as store from "./store.js";

let wanted = null;

export async function showSheet(about, jump) {
  const key = {};
  wanted = key;
  let pixels, said;
  try {
    [pixels, said] = await Promise.all([store.thumbs.get(about.study, about.clip), store.sheet(about.clip)]);
  } catch {
    if (wanted === key) find("sheet").replaceChildren(); // what is wrong is told where the clip or the answer is
    return;
  }
  if (wanted !== key) return;
  const side = Math.sqrt(pixels.length / said.clips.length);
  const items = said.clips.map(({ clip, mine }, place) => {
    const canvas = make("canvas", { width: side, height: side });
    canvas.setAttribute("aria-hidden", "true");
    draw(canvas, pixels, side, place);
    const here = clip === about.clip;
    const word = mine ? `✓ ${mine.replaceAll("_", " ")}` : here ? "this clip" : "";
    const button = make("button", {}, canvas, make("span", { textContent: word }));
    button.setAttribute("aria-label", `Clip ${place + 1} of the study${here ? ", on the screen" : ""}${mine ? `, you said ${mine}` : ""}`);
    if (here) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => jump(clip));
    return make("li", {}, button);
  });
  find("sheet").replaceChildren(...items);
  // Within the sheet only: the page itself stays where it is.
  const here = items.find((item) => item.querySelector("[aria-current]"));
  find("sheet").scrollTo(here ? { left: here.offsetLeft - 100, top: here.offsetTop - 40 } : {});
}
