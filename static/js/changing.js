/** Send requests and forms without leaving the page, and show errors. */

import { announce, showNotice } from "./page.js";
import { refresh } from "./polling.js";

const UNREACHABLE = "The server could not be reached. Try again.";

/** Send a request. Throws an error with a message for the user if it fails. */
export async function send(address, options) {
  const response = await fetch(address, options).catch(() => {
    throw new Error(UNREACHABLE);
  });
  if (response.status < 400) return response; // A redirect that is not followed has status 0.
  throw Object.assign(new Error(readProblem(await response.text())), { status: response.status });
}

/** Return the sentence of an error's answer; a proxy answers in HTML. */
function readProblem(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return "Server error. Try again.";
  }
}

// A change that the server rejects was of an old page: show what the job is like now.
document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.request.method === "POST") refresh();
});

// The server confirms a change by this event (HX-Trigger).
document.addEventListener("confirm", ({ detail }) => showNotice(detail.value));

/** Post a change. */
export function change(address, body) {
  const headers = { Accept: "application/json" };
  return send(address, { method: "POST", body, headers, redirect: "manual" });
}

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (!form.matches(".changes")) return;
  event.preventDefault();
  const imageId = submitter?.closest("li[id^=image-]")?.id;
  const hadFocus = submitter === document.activeElement;
  const address = submitter?.hasAttribute("formaction") ? submitter.formAction : form.action;
  let problem = null;
  try {
    await change(address, new FormData(form));
  } catch (error) {
    problem = error.message;
    showNotice(problem);
  }
  await refresh();
  if (problem) announce(problem); // Again, as the refresh may have announced something else.
  if (hadFocus && document.activeElement === document.body) focusNear(imageId);
});

/** Move the focus from a button that disappeared to its image or the heading. */
function focusNear(id) {
  const target = document.getElementById(id) ?? document.querySelector("h1");
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
}
