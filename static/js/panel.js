/** What a panel says of its page: the title, the icon, when all of it is over, and that it is. */

import { announce, setIcon, setTitle } from "./page.js";
import { refresh } from "./polling.js";

const HOUR = 3_600_000; // Milliseconds.
const MINUTE = 60_000;
const LONGEST_TIMER = 2 ** 31 - 1; // Milliseconds.

let expiry = null;

/** Show around a panel what it says of the page. */
export function showPage(panel) {
  setTitle("job", panel.dataset.title);
  setIcon(panel.dataset.icon);
  watchExpiry(panel);
  offerLater(panel);
  if (!panel.dataset.version) end(panel.querySelector("h1"));
}

/** Ask again when the job's time is over: a finished job asks for nothing else. */
function watchExpiry(panel) {
  clearTimeout(expiry);
  const left = Date.parse(panel.dataset.expires) - Date.now();
  if (!Number.isNaN(left)) {
    expiry = setTimeout(refresh, Math.min(Math.max(left + 1000, 2000), LONGEST_TIMER));
  }
}

/** Offer to keep the job for longer than it is kept by now, as the server does with the next page. */
function offerLater(panel) {
  const choices = document.getElementById("hours");
  if (!choices) return;
  const expires = Date.parse(panel.dataset.expires);
  const latest = Date.parse(choices.dataset.latest);
  for (const choice of [...choices.options]) {
    if (Math.min(Date.now() + choice.value * HOUR, latest) < expires + MINUTE) choice.remove();
  }
  if (choices.options.length) return;
  const keeping = document.getElementById("keep-job");
  if (keeping.contains(document.activeElement)) document.getElementById("remake-job").focus();
  keeping.remove();
}

/** Take away what belongs to a job that is gone. */
function end(heading) {
  for (const part of document.querySelectorAll(".tools, .frames, .missing, .sheet-nav")) part.remove();
  announce(heading.textContent);
  leadTo(heading);
}

/** Lead whoever waited for this to it, but nobody away from what they are at. */
export function leadTo(heading) {
  if (document.activeElement !== document.body) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
