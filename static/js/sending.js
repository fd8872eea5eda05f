/** Send the queue to the job of this page: open the job, close it once all is sent, say how far it is. */

import { cleanName } from "./files.js";
import { Frames } from "./frames.js";
import { added, gather } from "./gathering.js";
import { announce, setTitle, showNotice } from "./page.js";
import { refresh } from "./polling.js";
import { queue } from "./queue.js";
import { say } from "./rules.js";
import { post, retryWhileTransient, sendBeacon } from "./upload.js";

const find = (id) => document.getElementById(id);
let addresses = null; // Where the job takes images, is closed, and opened again.
let isSettling = false;
let isGone = false; // The job, which may be restored.
let reopenNotice = ""; // Why the job cannot be reopened yet; the queue has its own notice.
let announced = { missing: 0, quarter: 0, notice: "" };

/** Send to the job whose page this is; one that was just created is open. */
export function sendToJob({ isNew }) {
  addresses = { ...find("frames").dataset };
  gather({
    open: async () => queue.isPaused && (await reopen()),
    added: (words) => {
      if (words) showNotice(words);
      settle();
    },
    fail: ({ message }) => showNotice(message),
    place: () => find("frames") && find("main"),
    has: isCard,
    count: () => document.querySelectorAll("#frames > .frame[id]").length - queue.sentCount,
    missing: listMissing,
  });
  const frames = new Frames({ onRemove: (item) => queue.remove(item), onRetry: (item) => queue.retry(item) });
  queue.useView(frames, showUpload);
  queue.start(addresses.images);
  if (isNew) queue.resume();
}

document.addEventListener("click", ({ target }) => {
  if (target.id !== "send-again") return;
  queue.retry();
  document.querySelector("h1").focus(); // The button disappears.
});

document.addEventListener("htmx:after:swap", () => {
  if (!isGone || !find("frames")) return;
  isGone = false;
  sendToJob({ isNew: false });
  queue.retry();
});

/** List the files that the job misses, and that may be sent again. */
function listMissing() {
  return [...document.querySelectorAll("#skipped [data-bytes]")].map(({ dataset: { name, bytes, position } }) => ({
    name, bytes: Number(bytes), position: Number(position),
  }));
}

/** Return whether the job has a photo of this name and size. */
function isCard({ name, size }) {
  const cards = document.querySelectorAll(`#frames > [data-bytes="${size}"] .frame-name`);
  return [...cards].some((card) => card.textContent.trim() === cleanName(name));
}

function hasImages() {
  return queue.sentCount > 0 || document.querySelector("#frames > .frame[id]") !== null;
}

/**
 * Return whether nothing more is uploaded without an action of the user. Not if all files failed: they
 * can be retried, but the server would delete a closed job without images.
 */
function isSettled() {
  return !queue.isBusy && (hasImages() || !queue.failedCount);
}

/** Close the job when the queue is settled, and reopen it when files are added or retried after that. */
async function settle() {
  if (isSettling) return;
  isSettling = true;
  await added(); // Files that were added while the job was created are uploaded, too.
  while (queue.isPaused ? queue.isBusy : isSettled()) {
    try {
      await (queue.isPaused ? reopen() : close());
    } catch (error) {
      queue.fail(error);
    }
  }
  isSettling = false;
}

/** Close the job with the images that arrived. The server deletes a job without images. */
async function close() {
  queue.pause();
  if (!hasImages()) showNothingUploaded();
  const request = (fields) => retryWhileTransient(() => post(addresses.close, fields), announce);
  // Without the list of missing files if the server rejects that. A job that stays open closes itself.
  await request(missing()).catch(() => request(null)).catch(() => {});
  queue.removeRefused(); // The job's page lists them.
}

/** The form fields that list the missing files. */
function missing(files = queue.missing) {
  const fields = new FormData();
  fields.append("missing_files", JSON.stringify(files));
  return fields;
}

/** Replace the job's page by one that says that nothing was uploaded. */
function showNothingUploaded() {
  const nothing = find("nothing-template").content.cloneNode(true).firstElementChild;
  find("main").replaceChildren(nothing);
  const heading = nothing.querySelector("h1");
  history.replaceState(null, "", nothing.querySelector("a").href);
  setTitle("job", nothing.dataset.title);
  heading.focus();
  announce(heading.textContent);
}

/** Make a closed job accept images again. */
async function reopen() {
  const { position } = await retryWhileTransient(() => post(addresses.reopen, null), (notice) => {
    reopenNotice = notice;
    showUpload();
  });
  queue.continueAt(position);
  queue.resume();
  refresh(); // The panel of a finished job does not poll.
}

// Without this page, the remaining files are not uploaded: close the job.
addEventListener("pagehide", () => {
  if (queue.isPaused) return;
  queue.pause();
  // Browsers limit beacons to 64 kB. The beginning of a name is enough to find its file again.
  const short = queue.missing.map(([position, name, , bytes]) => [position, name.slice(0, 40), "", bytes]);
  for (const files of [queue.missing, short, []]) {
    if (sendBeacon(addresses.close, missing(files))) break;
  }
});

// The page may come back from the back/forward cache, and its job was closed then.
addEventListener("pageshow", () => addresses && settle());

function warn(event) {
  event.preventDefault();
}

function showUpload() {
  const section = find("sending");
  if (!section) return leave(); // The job is gone, or nothing was uploaded.
  const { count, sentCount, missingCount, isBusy } = queue;
  const percent = Math.floor(queue.progress * 100);
  const done = say(isBusy ? "uploaded_of" : "uploaded", { sent: sentCount, photos: isBusy ? count : sentCount });
  const notice = queue.pauseNotice || reopenNotice;
  section.hidden = !isBusy && !queue.failedCount && !notice;
  find("sending-facts").textContent = missingCount ? say("and_not", { facts: done, n: missingCount }) : done;
  find("sending-pause").textContent = notice;
  find("sending-pause").hidden = !notice;
  find("send-again").hidden = queue.failedCount < 2;
  find("upload-progress").hidden = !isBusy;
  find("upload-progress").value = queue.progress;
  setTitle("upload", isBusy ? say(notice ? "title_paused" : "title", { percent }) : "");
  announceProgress(notice);
  if (isBusy) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
  settle();
}

function leave() {
  isGone = true;
  queue.pause();
  setTitle("upload", "");
  removeEventListener("beforeunload", warn);
}

/** Announce pauses, missing files and each uploaded quarter; the end is announced by the job's panel. */
function announceProgress(notice) {
  const { count, sentCount, missingCount, isBusy } = queue;
  const quarter = Math.floor((4 * sentCount) / count);
  const isNews = missingCount > announced.missing || (isBusy && quarter > announced.quarter);
  if (notice !== announced.notice) announce(notice || say("resumed"));
  else if (isNews) announce(find("sending-facts").textContent);
  announced = { missing: missingCount, quarter, notice };
}
