/** The progress of a job that htmx polls: in the title, and announced at every quarter. */

import { announce } from "./page.js";
import { focusHeading, showPage } from "./panel.js";
import { findPanel } from "./polling.js";

let path = location.pathname;
let announcedQuarters = Infinity; // Of the images; infinite while there is no job.
let wasRunning = false;
let isNew = false; // Until the server's first answer about a job of the upload page.
let wasIdle = false;
let places = []; // The ids of where the focus was, the nearest first.

/** Turn this page into the page of a new job, which the server renders from here on. */
export function followJob(panel, job) {
  history.pushState(null, "", job.url);
  path = location.pathname;
  announcedQuarters = 0; // The upload page announces the start.
  wasRunning = isNew = true;
  panel.setAttribute("hx-get", job.panel_url);
  panel.dataset.url = job.panel_url;
  htmx.process(panel);
}

/** Count the finished quarters: negative while the total is unknown, 4 without a progress bar. */
function quarters() {
  return Math.floor(4 * (document.getElementById("progress")?.position ?? 1));
}

function update() {
  const panel = findPanel();
  const heading = panel?.querySelector("h1");
  if (!heading) return; // A new job's panel, before the server's first answer.
  keepFocus();
  const isRunning = panel.hasAttribute("hx-get");
  const isNews = isRunning ? quarters() !== announcedQuarters : wasRunning;
  showPage(panel);
  // Fewer quarters than before are news, too: the job is being made again.
  const news = isNews && (!isRunning || quarters() >= 0) ? [heading.textContent] : [];
  const idle = document.querySelector("#attention .idle");
  if (idle && !wasIdle) news.push(idle.textContent);
  if (news.length) announce(news.join(". "));
  if (isNew || (!isRunning && wasRunning)) focusHeading(heading);
  isNew = false;
  announcedQuarters = isRunning ? Math.max(quarters(), 0) : Infinity;
  wasRunning = isRunning;
  wasIdle = Boolean(idle);
}

/** Note where the focus is: a card that is replaced loses it, and a button may disappear. */
document.addEventListener("htmx:before:swap", () => {
  const { activeElement } = document;
  const around = activeElement.closest(".frame, [popover]");
  const ids = [activeElement.id, around?.id, "job-heading"].filter(Boolean);
  places = activeElement === document.body ? [] : ids;
});

/** Return the focus to where it was, or near it. */
function keepFocus() {
  const { activeElement } = document;
  if (activeElement !== document.body && activeElement.checkVisibility()) return;
  const near = places.map((id) => document.getElementById(id)).find((one) => one?.checkVisibility());
  if (!near) return;
  if (near.tabIndex < 0) near.tabIndex = -1;
  near.focus({ preventScroll: true });
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
