/** A job that htmx keeps up to date: say aloud and in the tab what a poll changed, but rarely. */

import { placeImages } from "./frames.js";
import { announce } from "./page.js";
import { leadTo, showPage } from "./panel.js";
import { findPanel, onHtmx } from "./polling.js";

let path = location.pathname;
let told = Infinity; // Quarters of the images that were spoken of: all, where there is no job yet.
let wasRunning = false;
let wasIdle = false;

/** Turn this page into the page of a job that was just made; the server renders it from here on. */
export function followJob(panel, job) {
  history.pushState(null, "", job.url);
  path = location.pathname;
  told = 0; // Whoever sends the images says so.
  wasRunning = true;
  panel.setAttribute("hx-get", job.panel_url);
  panel.dataset.url = job.panel_url;
  htmx.process(panel);
}

/** Count the finished quarters: below 0 while nobody knows the whole, 4 where no bar is left. */
function quarters(panel) {
  return Math.floor(4 * (panel.querySelector("progress")?.position ?? 1));
}

function tell() {
  const panel = findPanel();
  const heading = panel?.querySelector("h1");
  if (!heading) return; // A new job's panel, before the server's first answer.
  placeImages(panel);
  const takeAll = document.getElementById("take-all");
  if (takeAll) takeAll.disabled = panel.classList.contains("unmade");
  const isRunning = panel.hasAttribute("hx-get");
  const isNews = isRunning ? quarters(panel) !== told : wasRunning;
  showPage(panel);
  // Fewer than before are those of a job that is made again.
  const news = isNews && (!isRunning || quarters(panel) >= 0) ? [heading.textContent] : [];
  const idle = panel.querySelector(".idle");
  if (idle && !wasIdle) news.push(idle.textContent);
  if (news.length) announce(news.join(". "));
  if (!isRunning && wasRunning) leadTo(heading);
  told = isRunning ? Math.max(quarters(panel), 0) : Infinity;
  wasRunning = isRunning;
  wasIdle = Boolean(idle);
}

onHtmx("after:swap", "afterSwap", tell);
tell();

// The upload page and its job are one document: going back and forward between them must load.
addEventListener("popstate", () => {
  if (location.pathname === path) return;
  if (!isGuarded()) location.reload();
  else {
    // The browser asks only now, when its bar has the other address already: whoever stays is to
    // find that of the job there.
    const address = location.href;
    history.pushState(null, "", path);
    location.assign(address);
  }
});

/** Whether somebody wants a question asked before this page is left. */
function isGuarded() {
  return !dispatchEvent(new Event("beforeunload", { cancelable: true }));
}
