/** Requests of the upload page: make a job, send it one file at a time, close it. */

const form = document.getElementById("upload");
const LOST = "The connection is lost.";
const NOT_OURS = "The answer was not the server's own. Try again.";
const TRY_AGAIN = [1, 2, 4, 10]; // Seconds between attempts to reach the server; the last for good.
// Milliseconds without progress after which a request is given up: a dead line need not fail. The
// server gives up a little earlier.
const STALLED = 1000 * form.dataset.stalledSeconds;

let token = form.elements.csrf_token.value;

/** What the server, or the way to it, had against a request; the message is for people. */
export class RequestError extends Error {
  constructor(status, problem, retryAfter) {
    const isLost = status === 0 || status === 408; // The server gave up what did not come.
    super(isLost ? LOST : problem.detail);
    this.field = problem?.field;
    this.isOfSession = problem?.code === "csrf";
    this.isLost = isLost;
    // An answer that sounds as if all were well, and is not ours, is of something on the way.
    this.canRetry = isLost || status < 300 || status === 429 || status >= 500;
    this.waitSeconds = Number(retryAfter); // 0 where the server did not say when to come again.
  }

  /** Whether it is over sometime without anybody doing something. */
  get passes() {
    return this.isLost || this.waitSeconds > 0;
  }

  /** Say in one sentence what is the matter, and when all goes on by itself. */
  get notice() {
    if (this.isLost) return `${this.message} This goes on by itself when it is back.`;
    const moment = new Date(Date.now() + this.waitSeconds * 1000);
    return `${this.message} This goes on by itself at ${moment.toLocaleTimeString()}.`;
  }

  /** Wait until it is over, or until somebody wants to wait no longer. */
  over(signal) {
    const over = this.isLost ? reconnect(signal) : wait(this.waitSeconds);
    return Promise.race([over, aborted(signal)]);
  }
}

/**
 * Do a request again and again while what hinders it passes; `onNotice` gets it, and then "". Throws
 * the signal's reason where somebody stopped the waiting.
 */
export async function insist(request, onNotice, signal) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!error.passes) throw error;
      onNotice(error.notice);
      await error.over(signal);
      onNotice("");
      signal?.throwIfAborted();
    }
  }
}

/** Ask for this page, ever less often and when the browser is online again, until it is there. */
async function reconnect(stop) {
  for (let attempt = 0; !stop?.aborted; attempt += 1) {
    await Promise.race([wait(TRY_AGAIN[attempt] ?? TRY_AGAIN.at(-1)), online()]);
    const signal = AbortSignal.timeout(STALLED);
    const asked = fetch(location.href, { method: "HEAD", cache: "no-store", signal });
    if (await asked.then(() => true, () => false)) return;
  }
}

function online() {
  return new Promise((resolve) => addEventListener("online", resolve, { once: true }));
}

function aborted(signal) {
  return new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true }));
}

function wait(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Post form fields; gives the answer's JSON, or null where it has none. */
export function post(url, body) {
  return inSession(() => postOnce(url, body));
}

/** Do a request, and once more where another tab or the operator began another session meanwhile. */
async function inSession(request) {
  try {
    return await request();
  } catch (error) {
    if (!error.isOfSession) throw error;
    await renewToken();
    return request();
  }
}

/** Read the token that the upload page has now. */
async function renewToken() {
  let text;
  try {
    const signal = AbortSignal.timeout(STALLED);
    text = await (await fetch(form.dataset.pageUrl, { cache: "no-store", signal })).text();
  } catch {
    throw new RequestError(0);
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  token = page.querySelector("[name=csrf_token]")?.value ?? token;
}

/** Post form fields that nobody waits for, from a page that goes. */
export function postLast(url, body) {
  body.append("csrf_token", token); // No headers can be sent along.
  return navigator.sendBeacon(url, body);
}

async function postOnce(url, body) {
  let response, text;
  try {
    const signal = AbortSignal.timeout(STALLED);
    response = await fetch(url, { method: "POST", body, headers: headers(), signal });
    text = await response.text();
  } catch {
    throw new RequestError(0);
  }
  if (!response.ok) {
    const { status, headers } = response;
    throw new RequestError(status, readProblem(status, text), headers.get("Retry-After"));
  }
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    throw new RequestError(response.status, { detail: NOT_OURS }); // A network's page to sign in.
  }
}

/**
 * Send one file; by XMLHttpRequest, because fetch cannot tell how much of it has gone. The server
 * keeps images in the order of their positions, whichever arrives first, and one at each.
 */
export function sendFile(url, item, options) {
  return inSession(() => sendOnce(url, item, options));
}

function sendOnce(url, { file, position }, { signal, onProgress }) {
  signal.throwIfAborted();
  const body = new FormData();
  body.append("position", position);
  body.append("images", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", url);
  for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
  let stalled = 0;
  const watch = () => {
    clearTimeout(stalled);
    stalled = setTimeout(() => request.abort(), STALLED);
  };
  request.upload.onprogress = (event) => {
    watch();
    onProgress(event.loaded / event.total);
  };
  request.upload.onload = () => onProgress(1);
  signal.addEventListener("abort", () => request.abort());
  watch();
  return new Promise((resolve, reject) => {
    request.onload = () => {
      const { status, responseText } = request;
      if (status === 201) resolve();
      else {
        const retryAfter = request.getResponseHeader("Retry-After");
        reject(new RequestError(status, readProblem(status, responseText), retryAfter));
      }
    };
    request.onerror = () => reject(new RequestError(0));
    request.onabort = () => reject(signal.aborted ? signal.reason : new RequestError(0));
    request.onloadend = () => clearTimeout(stalled);
    request.send(body);
  });
}

function headers() {
  return { Accept: "application/json", "X-CSRFToken": token };
}

/** Read the server's reason; a proxy in front of it answers in HTML. */
function readProblem(status, text) {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: `The server did not take this (${status}).` };
  }
}
