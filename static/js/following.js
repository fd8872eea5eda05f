/** The progress of a job that htmx polls: in the title, and announced at every quarter. */

import "./focus.js"; // First: what is lost returns before the heading gets it.
import { announce } from "./page.js";
import { focusHeading, showPage } from "./panel.js";
import { findPanel } from "./polling.js";

let announcedQuarters = Infinity; // Of the images; infinite while there is no job.
let wasRunning = false;
let wasIdle = false;

/** Follow the new job of which this has become the page, and announce that. */
export function followJob(words) {
  announcedQuarters = 0;
  wasRunning = true;
  update();
  const idle = document.querySelector("#attention .idle");
  announce(idle ? `${words} ${idle.textContent}` : words);
  document.getElementById("job-heading").focus();
}

/** Count the finished quarters: negative while the total is unknown, 4 without a progress bar. */
function quarters() {
  return Math.floor(4 * (document.getElementById("progress")?.position ?? 1));
}

function update() {
  const panel = findPanel();
  const heading = panel?.querySelector("h1");
  if (!heading) return; // The upload page.
  const isRunning = panel.hasAttribute("hx-get");
  const isNews = isRunning ? quarters() !== announcedQuarters : wasRunning;
  showPage(panel);
  // Fewer quarters than before are news, too: the job is being made again.
  const news = isNews && (!isRunning || quarters() >= 0) ? [heading.textContent] : [];
  const idle = document.querySelector("#attention .idle");
  if (idle && !wasIdle) news.push(idle.textContent);
  if (news.length) announce(news.join(". "));
  if (!isRunning && wasRunning) focusHeading(heading);
  announcedQuarters = isRunning ? Math.max(quarters(), 0) : Infinity;
  wasRunning = isRunning;
  wasIdle = Boolean(idle);
}

document.addEventListener("htmx:after:swap", update);
update();
