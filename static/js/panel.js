/** What a panel sets on its page: the title, the icon, the timer of its expiry. */

import { announce, setIcon, setTitle } from "./page.js";
import { refresh } from "./polling.js";

const HOUR = 3_600_000; // Milliseconds.
const MINUTE = 60_000;
const LONGEST_TIMER = 2 ** 31 - 1; // Milliseconds.

let expiry = null;

/** Update the page around a new panel. */
export function showPage(panel) {
  setTitle("job", panel.dataset.title);
  setIcon(panel.dataset.icon);
  watchExpiry(panel);
  dropShorterRetention(panel);
  if (!panel.dataset.version) showGone(panel.querySelector("h1"));
}

/** Refresh the panel when the job expires: the panel of a finished job does not poll. */
function watchExpiry(panel) {
  clearTimeout(expiry);
  const left = Date.parse(panel.dataset.expires) - Date.now();
  if (!Number.isNaN(left)) {
    expiry = setTimeout(refresh, Math.min(Math.max(left + 1000, 2000), LONGEST_TIMER));
  }
}

/** Remove the choices that would not extend the job, as the server does when it renders them. */
function dropShorterRetention(panel) {
  const choices = document.getElementById("hours");
  if (!choices) return;
  const expires = Date.parse(panel.dataset.expires);
  const latest = Date.parse(choices.dataset.latest);
  for (const choice of [...choices.options]) {
    if (Math.min(Date.now() + choice.value * HOUR, latest) < expires + MINUTE) choice.remove();
  }
  if (choices.options.length) return;
  const form = document.getElementById("keep-job");
  if (form.contains(document.activeElement)) document.getElementById("remake-job").focus();
  form.remove();
}

/** Remove what belongs to a job that is gone. */
function showGone(heading) {
  for (const part of document.querySelectorAll(".tools, .frames, .missing, .sheet-nav")) part.remove();
  announce(heading.textContent);
  focusHeading(heading);
}

/** Move the focus to a heading, unless another element has it. */
export function focusHeading(heading) {
  if (document.activeElement !== document.body) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
