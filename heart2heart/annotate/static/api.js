// Requests to the server of this page, the only server that the page calls.

/** The server refused the request, or (status 0) did not answer. */
export class RequestError extends Error {
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
    throw new RequestError(0, {});
  }
  if (!response.ok) throw new RequestError(response.status, await response.json().catch(() => ({})));
  return response;
}

/** Request JSON; a request with a body is a POST. An incomplete reply counts as no reply. */
export async function requestJson(path, body) {
  const response = await call(path, body);
  try {
    return await response.json();
  } catch {
    throw new RequestError(0, {});
  }
}

/** Request frames: one byte per pixel. */
export async function requestFrames(path, body) {
  const response = await call(path, body);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new RequestError(0, {});
  }
}

let base = Date.now();
let start = performance.now();
let last = 0;

/** Set the clock to the server's time, because the clock of a tablet may be wrong. */
export function setClock(iso) {
  base = Date.parse(iso);
  start = performance.now();
}

/** Retract the rater's own answers, all or none: [{clip, event} ...]. */
export const retract = (answers) => requestJson("retractions", { answers, at: now() });

/** Return the server's time. Each call returns a later time, so that no two answers have the same. */
export function now() {
  last = Math.max(last + 1, Math.round(base + performance.now() - start));
  return new Date(last).toISOString();
}
