// Talking to the server that this page came from, and to nobody else.

/** The server refused, or (status 0) could not be reached. */
export class Refused extends Error {
  constructor(status, content) {
    super(content.error || "The server does not answer");
    this.status = status;
    this.content = content;
  }
}

async function call(path, body) {
  const options = { headers: { "X-Heart2Heart": "1" }, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new Refused(0, {});
  }
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

/** Ask for JSON; with a body it is a POST. A reply that breaks off counts as none. */
export async function ask(path, body) {
  const response = await call(path, body);
  try {
    return await response.json();
  } catch {
    throw new Refused(0, {});
  }
}

/** Ask for frames: one byte a pixel. */
export async function frames(path, body) {
  const response = await call(path, body);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new Refused(0, {});
  }
}

let base = Date.now();
let start = performance.now();
let last = 0;

/** Take the server's clock, since a tablet's may be wrong. */
export function setClock(iso) {
  base = Date.parse(iso);
  start = performance.now();
}

/** Take answers of one's own back, all or none: [{clip, event} ...]. */
export const takeBack = (answers) => ask("taken-back", { answers, at: now() });

/** The time by the server's clock, each time a later one: it tells answers apart. */
export function now() {
  last = Math.max(last + 1, Math.round(base + performance.now() - start));
  return new Date(last).toISOString();
}
