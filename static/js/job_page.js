/** A job that htmx keeps up to date: say aloud and in the tab what a poll changed, but rarely. */

import { announce, setTitle } from "./page.js";

let path = location.pathname;
let told = quarters(findPanel());

/** Turn this page into the page of a job that was just made; the server renders it from here on. */
export function followJob(panel, job) {
  history.pushState(null, "", job.url);
  path = location.pathname;
  panel.setAttribute("hx-get", job.panel_url);
  htmx.process(panel);
}

function findPanel() {
  return document.getElementById("job-panel");
}

/** Count the finished quarters: below 0 while nobody knows the whole, 4 where no bar is left. */
function quarters(panel) {
  return panel ? Math.floor(4 * (panel.querySelector("progress")?.position ?? 1)) : 0;
}

function tell() {
  const panel = findPanel();
  setTitle("job", panel.dataset.title);
  if (quarters(panel) <= told) return;
  told = quarters(panel);
  announce(panel.querySelector("h1").textContent);
}

// The name in htmx 4, and in htmx 2 that can take its place.
document.addEventListener("htmx:after:swap", tell);
document.addEventListener("htmx:afterSwap", tell);

// The upload page and its job are one document: going back and forward between them must load.
addEventListener("popstate", () => {
  if (location.pathname !== path) location.reload();
});
