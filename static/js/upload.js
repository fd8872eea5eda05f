/** The requests of an upload: create a job, upload its files one by one, close it. */

import { rules, say } from "./rules.js";

const RECONNECT_SECONDS = [1, 2, 4, 10]; // Between attempts to reach the server; the last repeats.
// Abort a request after so many milliseconds without progress: a dead connection may never fail by
// itself.
const STALL_MS = rules.stalled_ms;

let token = document.querySelector("[name=csrf_token]").value;

/** A request that was rejected or did not reach the server. The message is for the user. */
export class RequestError extends Error {
  constructor(status, problem, retryAfter) {
    const isLost = status === 0 || status === 408; // 408: the server stopped waiting for the rest.
    super(isLost ? say("lost") : problem.detail);
    this.field = problem?.field;
    this.isSessionError = problem?.code === "csrf";
    this.isOfClosedJob = problem?.code === "job_closed"; // As by another tab that is done.
    this.isLost = isLost;
    // A 2xx response that we did not expect comes from something in between, such as a proxy.
    this.canRetry = isLost || status < 300 || status === 410 || status === 429 || status >= 500;
    this.waitSeconds = Number(retryAfter); // 0 without the header Retry-After.
  }

  /** True if a retry can succeed without any action of the user. */
  get isTransient() {
    return this.isLost || this.waitSeconds > 0;
  }

  /** What went wrong and when the request is retried, for the user. */
  get notice() {
    const time = new Date(Date.now() + this.waitSeconds * 1000).toLocaleTimeString();
    return say(this.isLost ? "resumes" : "retries", { message: this.message, time });
  }

  /** Wait until a retry can succeed, or until the signal is aborted. */
  untilRetryable(signal) {
    const retryable = this.isLost ? reconnect(signal) : wait(this.waitSeconds);
    return Promise.race([retryable, aborted(signal)]);
  }
}

/**
 * Repeat a request until it succeeds or fails with an error that is not transient. `onNotice` gets
 * the notice of each transient error, then "". Throws the signal's reason once it is aborted.
 */
export async function retryWhileTransient(request, onNotice, signal) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!error.isTransient) throw error;
      onNotice(error.notice);
      await error.untilRetryable(signal);
      onNotice("");
      signal?.throwIfAborted();
    }
  }
}

/** Request this page until it answers, with longer and longer pauses that end when the browser is online. */
async function reconnect(stopSignal) {
  for (let attempt = 0; !stopSignal?.aborted; attempt += 1) {
    await Promise.race([wait(RECONNECT_SECONDS[attempt] ?? RECONNECT_SECONDS.at(-1)), online()]);
    const signal = AbortSignal.timeout(STALL_MS);
    const response = fetch(location.href, { method: "HEAD", cache: "no-store", signal });
    if (await response.then(() => true, () => false)) return;
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

/** Post form fields. Returns the JSON of the response, or null if the body is empty. */
export function post(url, body, options) {
  return withValidToken(() => postOnce(url, body, options));
}

/**
 * Upload one file. The server orders images by position, whichever arrives first. Returns the id of the
 * image.
 */
export async function uploadFile(url, { file, position }, options) {
  const body = new FormData();
  body.append("position", position);
  body.append("images", file, file.name);
  return (await post(url, body, options)).id;
}

/** Run a request; once more with a new token if the session changed, as in another tab. */
async function withValidToken(request) {
  try {
    return await request();
  } catch (error) {
    if (!error.isSessionError) throw error;
    await renewToken();
    return request();
  }
}

/** Read the current token from this page. */
async function renewToken() {
  let text;
  try {
    const signal = AbortSignal.timeout(STALL_MS);
    text = await (await fetch(location.href, { cache: "no-store", signal })).text();
  } catch {
    throw new RequestError(0);
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  token = page.querySelector("[name=csrf_token]")?.value ?? token;
}

/** Post form fields from a page that is being left. Returns false if the browser refuses. */
export function sendBeacon(url, body) {
  body.append("csrf_token", token); // A beacon cannot have headers.
  return navigator.sendBeacon(url, body);
}

/** Uses XMLHttpRequest, because fetch does not report upload progress. */
function postOnce(url, body, { signal, onProgress = () => {} } = {}) {
  signal?.throwIfAborted();
  const request = new XMLHttpRequest();
  request.open("POST", url);
  const headers = { Accept: "application/json", "X-CSRFToken": token };
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  let stallTimer = 0;
  const restartStallTimer = () => {
    clearTimeout(stallTimer);
    stallTimer = setTimeout(() => request.abort(), STALL_MS);
  };
  request.upload.onprogress = (event) => {
    restartStallTimer();
    onProgress(event.loaded / event.total);
  };
  request.upload.onload = () => onProgress(1);
  signal?.addEventListener("abort", () => request.abort());
  restartStallTimer();
  return new Promise((resolve, reject) => {
    request.onload = () => {
      const { status, responseText } = request;
      const answer = readAnswer(status, responseText);
      if (status < 300 && !answer?.detail) resolve(answer);
      else reject(new RequestError(status, answer, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new RequestError(0));
    request.onabort = () => reject(signal?.aborted ? signal.reason : new RequestError(0));
    request.onloadend = () => clearTimeout(stallTimer);
    request.send(body);
  });
}

/** Parse the server's JSON; a proxy in front of it, or a captive portal, answers in HTML. */
function readAnswer(status, text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return { detail: say(status < 300 ? "foreign" : "rejected", { status }) };
  }
}
