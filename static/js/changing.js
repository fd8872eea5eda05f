/** Asking the server for something without leaving the page, and saying what it has against that. */

import { announce, showNotice } from "./page.js";
import { findPanel, refresh } from "./polling.js";

/** Send a request; throw what is against it, in words to show. */
export async function ask(address, options) {
  const answer = await fetch(address, options).catch(() => {
    throw new Error("That did not reach the server. Try again.");
  });
  if (answer.status < 400) return answer; // A redirect that is not followed has 0.
  const { detail } = await answer.json().catch(() => ({})); // A proxy's own page has no words for us.
  const words = detail ?? "The server has trouble just now. Try again.";
  throw Object.assign(new Error(words), { status: answer.status });
}

/** Have the server change something. */
export function change(address, body) {
  const headers = { Accept: "application/json" };
  return ask(address, { method: "POST", body, headers, redirect: "manual" });
}

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (!form.matches(".changes")) return;
  event.preventDefault();
  const place = submitter?.closest("li[id^=image-]")?.id;
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
  if (problem) announce(problem); // Again, if there was other news meanwhile.
  else if (form.dataset.said) {
    announce(`${form.dataset.said} ${findPanel().querySelector("time").textContent}`);
  }
  if (hadFocus && document.activeElement === document.body) focusOn(place);
});

/** Stay near a button that is gone with what it did. */
function focusOn(id) {
  const place = document.getElementById(id) ?? document.querySelector("h1");
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
}
