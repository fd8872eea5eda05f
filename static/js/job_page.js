/** The page of a job: its progress, more photos for it, and buttons that do not leave the page. */

import "./changes.js";
import "./copying.js";
import "./finding.js";
import { followJob } from "./following.js";
import { sendToJob } from "./sending.js";

/** Go on as the page of a job that was just created, and send it what was chosen. */
export function followNewJob(words) {
  htmx.process(document.getElementById("main"));
  sendToJob({ isNew: true });
  followJob(words);
}

if (document.getElementById("frames")) sendToJob({ isNew: false });
