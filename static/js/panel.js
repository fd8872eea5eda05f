/** What a panel sets on its page: the title, the icon, the timer of its expiry. */

import { announce, setIcon, setTitle } from "./page.js";
import { refresh } from "./polling.js";
import "./times.js";

const HOUR = 3_600_000; // Milliseconds.

let expiry = null;

/** Update the page around a new panel. */
export function showPage(panel) {
  setTitle("job", panel.dataset.title);
  setIcon(panel.dataset.icon);
  watchExpiry(panel);
  if (!panel.dataset.version) showGone(panel.querySelector("h1"));
}

/** Refresh the panel when the job expires, and hourly: the panel of a finished job does not poll. */
function watchExpiry(panel) {
  clearTimeout(expiry);
  const left = Date.parse(panel.dataset.expires) - Date.now();
  if (!Number.isNaN(left)) {
    expiry = setTimeout(refresh, Math.min(Math.max(left + 1000, 2000), HOUR));
  }
}

/** Remove what belongs to a job that is gone. */
function showGone(heading) {
  for (const part of document.querySelectorAll(".tools, #sending, .attention, .frames, .skipped, .nothing-found, .webhook, .curl, .sheet-nav")) part.remove();
  announce(heading.textContent);
  focusHeading(heading);
}

/** Move the focus to a heading, unless another element has it. */
export function focusHeading(heading) {
  if (document.activeElement !== document.body) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
