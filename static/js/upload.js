/** Requests of the upload page: make a job, send it one file at a time, close it. */

/** What the server, or the way to it, had against a request; the message is for people. */
export class RequestError extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail);
    this.field = problem.field;
    this.canRetry = status === 0 || status === 429 || status >= 500;
    this.waitSeconds = Number(retryAfter); // 0 where the server did not say when to come again.
  }
}

const LOST = { detail: "The connection was lost." };

/** Say in one sentence what the server is busy with, and when this goes on by itself. */
export function describeWait({ message, waitSeconds }) {
  const moment = new Date(Date.now() + waitSeconds * 1000);
  return `${message} This goes on by itself at ${moment.toLocaleTimeString()}.`;
}

export function wait(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Post form fields; gives the answer's JSON, or null where it has none. */
export async function post(url, body, token) {
  let response;
  try {
    response = await fetch(url, { method: "POST", body, headers: headers(token) });
  } catch {
    throw new RequestError(0, LOST);
  }
  const text = await response.text();
  if (!response.ok) {
    const { status, headers } = response;
    throw new RequestError(status, readProblem(status, text), headers.get("Retry-After"));
  }
  return text ? JSON.parse(text) : null;
}

/**
 * Send one file; by XMLHttpRequest, because fetch cannot tell how much of it has gone. The server
 * keeps images in the order of their positions, whichever arrives first.
 */
export function sendFile(url, { file, position }, token, { signal, onProgress }) {
  const body = new FormData();
  body.append("position", position);
  body.append("images", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", url);
  for (const [name, value] of Object.entries(headers(token))) request.setRequestHeader(name, value);
  request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
  request.upload.onload = () => onProgress(1);
  signal.addEventListener("abort", () => request.abort());
  return new Promise((resolve, reject) => {
    request.onload = () => {
      const { status, responseText } = request;
      if (status < 300) resolve();
      else {
        const retryAfter = request.getResponseHeader("Retry-After");
        reject(new RequestError(status, readProblem(status, responseText), retryAfter));
      }
    };
    request.onerror = () => reject(new RequestError(0, LOST));
    request.onabort = () => reject(signal.reason);
    request.send(body);
  });
}

function headers(token) {
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
