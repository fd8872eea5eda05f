/** Show what became of a change that htmx sent: the server's confirmation, or why it was not made. */

import { showNotice } from "./page.js";
import { findPanel, refresh } from "./polling.js";

const { unreachable, failed } = document.getElementById("status").dataset;

// The server confirms a change by this event (HX-Trigger).
document.addEventListener("confirm", ({ detail }) => showNotice(detail.value));

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.request.method !== "POST") return;
  showNotice(readProblem(ctx.text));
  if (findPanel()) refresh(); // The change was of an old page: show what the job is like now.
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (ctx?.request.method === "POST") showNotice(unreachable);
});

/** Read the sentence of an error; that of a proxy is a page. */
export function readProblem(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return failed;
  }
}
