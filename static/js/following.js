/** The progress of a job that htmx polls: in the title, and announced at every quarter. */

import { placeImages } from "./frames.js";
import { announce } from "./page.js";
import { focusHeading, showPage } from "./panel.js";
import { findPanel } from "./polling.js";

let path = location.pathname;
let announcedQuarters = Infinity; // Of the images; infinite while there is no job.
let wasRunning = false;
let wasIdle = false;

/** Turn this page into the page of a new job, which the server renders from here on. */
export function followJob(panel, job) {
  history.pushState(null, "", job.url);
  path = location.pathname;
  announcedQuarters = 0; // The upload page announces the start.
  wasRunning = true;
  panel.setAttribute("hx-get", job.panel_url);
  panel.dataset.url = job.panel_url;
  htmx.process(panel);
}

/** Count the finished quarters: negative while the total is unknown, 4 without a progress bar. */
function quarters(panel) {
  return Math.floor(4 * (panel.querySelector("progress")?.position ?? 1));
}

function update() {
  const panel = findPanel();
  const heading = panel?.querySelector("h1");
  if (!heading) return; // A new job's panel, before the server's first answer.
  placeImages(panel);
  const takeAll = document.getElementById("take-all");
  if (takeAll) takeAll.disabled = panel.classList.contains("unmade");
  const isRunning = panel.hasAttribute("hx-get");
  const isNews = isRunning ? quarters(panel) !== announcedQuarters : wasRunning;
  showPage(panel);
  // Fewer quarters than before are news, too: the job is being made again.
  const news = isNews && (!isRunning || quarters(panel) >= 0) ? [heading.textContent] : [];
  const idle = panel.querySelector(".idle");
  if (idle && !wasIdle) news.push(idle.textContent);
  if (news.length) announce(news.join(". "));
  if (!isRunning && wasRunning) focusHeading(heading);
  announcedQuarters = isRunning ? Math.max(quarters(panel), 0) : Infinity;
  wasRunning = isRunning;
  wasIdle = Boolean(idle);
}

document.addEventListener("htmx:after:swap", update);
update();

// The upload page and its job's page are one document: going back and forward must reload it.
addEventListener("popstate", () => {
  if (location.pathname === path) return;
  if (!isGuarded()) location.reload();
  else {
    // The address bar has already changed. Restore the job's address, for users who stay when the browser
    // asks them.
    const address = location.href;
    history.pushState(null, "", path);
    location.assign(address);
  }
});

/** Return whether the browser would ask before leaving this page. */
function isGuarded() {
  return !dispatchEvent(new Event("beforeunload", { cancelable: true }));
}
