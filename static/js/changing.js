/** Send requests and forms without leaving the page, and show errors. */

import { announce, showNotice } from "./page.js";
import { findPanel, refresh } from "./polling.js";

/** Send a request. Throws an error with a message for the user if it fails. */
export async function send(address, options) {
  const response = await fetch(address, options).catch(() => {
    throw new Error("The server could not be reached. Try again.");
  });
  if (response.status < 400) return response; // A redirect that is not followed has status 0.
  const { detail } = await response.json().catch(() => ({})); // A proxy answers in HTML.
  const message = detail ?? "Server error. Try again.";
  throw Object.assign(new Error(message), { status: response.status });
}

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
  else if (form.dataset.done) {
    announce(`${form.dataset.done} ${findPanel().querySelector("time").textContent}`);
  }
  if (hadFocus && document.activeElement === document.body) focusNear(imageId);
});

/** Move the focus from a button that disappeared to its image or the heading. */
function focusNear(id) {
  const target = document.getElementById(id) ?? document.querySelector("h1");
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
}
