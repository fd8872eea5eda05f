/** The upload page: collect files, create a job, and turn into its page while they are uploaded. */

import { findFault, listDropped, listPasted, sentences, withoutSystemFiles } from "./files.js";
import { followJob } from "./following.js";
import { announce, setTitle } from "./page.js";
import { refresh } from "./polling.js";
import { Queue } from "./queue.js";
import { clearProblems, rememberRecipe, showProblem } from "./recipe_form.js";
import { post, retryWhileTransient, sendBeacon } from "./upload.js";

const form = document.getElementById("upload");
const TEXT_FIELDS = "input:is([type=text], [type=number])"; // These keep their own paste and drop.
const zone = form.querySelector(".zone");
const input = document.getElementById("images");
const submit = document.getElementById("submit");
const section = document.getElementById("queue");
const list = section.querySelector("details");
const waiting = document.getElementById("waiting");
const dropFrame = document.getElementById("drop-frame");
const facts = document.getElementById("queue-facts");
const pauseMessage = document.getElementById("queue-pause");
const progress = document.getElementById("queue-progress");
const retryAll = document.getElementById("queue-retry");
const maxMb = Number(form.dataset.maxFileMb);
const maxImages = Number(form.dataset.maxImages);

const queue = new Queue(section, document.getElementById("row-template"), showQueue);
let adding = Promise.resolve(); // Files are added one batch after the other.
let job = null; // The server's description of the job, once it is created.
let abort = null; // Stops waiting for the job to be created.
let isOpen = false; // True while the job accepts images.
let isSettling = false;
let reopenNotice = ""; // Why the job cannot be reopened yet; the queue has its own notice.
let announced = { missing: 0, failed: 0, quarter: 0, notice: "" };

function images(count) {
  return `${count} image${count === 1 ? "" : "s"}`;
}

// Collect files

function add(files) {
  adding = adding.then(() => addNow(files)).catch(showProblem);
}

/** Add files in batches, so that the page stays responsive while hundreds are checked. */
async function addNow(files) {
  loadJobStyle();
  const wanted = withoutSystemFiles(await files);
  clearProblems(zone.parentElement); // Such as that no images were chosen.
  if (!wanted.length) {
    const message = "There are no files in this folder.";
    showProblem({ message, field: "images" });
    announce(message);
    return;
  }
  while (wanted.length) {
    const batch = wanted.splice(0, 20);
    const faults = await Promise.all(batch.map((file) => findFault(file, maxMb)));
    batch.forEach((file, n) => queue.add(file, faults[n] ?? findExcess()));
  }
  showQueue();
  announce(facts.textContent);
}

/** Load the style of the job's page once. The first view does without it, to be light. */
function loadJobStyle() {
  if (form.dataset.jobStyle === undefined) return;
  const link = document.createElement("link");
  Object.assign(link, { rel: "stylesheet", href: form.dataset.jobStyle });
  delete form.dataset.jobStyle;
  document.head.append(link);
}

/** Return the reason why the job cannot have another image, or null. */
function findExcess() {
  return queue.count < maxImages ? null : sentences.too_many;
}

for (const chooser of [input, document.getElementById("folder")]) {
  chooser.addEventListener("change", () => {
    add([...chooser.files]);
    chooser.value = ""; // So that choosing the same file again is a change.
  });
}

for (const link of form.querySelectorAll(".sample")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    if (event.detail < 2) add(fetchSample(link)); // Ignore the second click of a double click.
  });
}

async function fetchSample({ href, pathname }) {
  try {
    const response = await fetch(href);
    if (!response.ok) throw new Error(response.statusText);
    const data = await response.blob();
    return [new File([data], pathname.split("/").at(-1), { type: data.type })];
  } catch {
    throw new Error("The sample could not be loaded. Try again.");
  }
}

addEventListener("paste", (event) => {
  const isText = document.activeElement?.matches(TEXT_FIELDS);
  if (job || isText || !event.clipboardData.files.length) return;
  event.preventDefault();
  add(listPasted(event.clipboardData));
});

// On the whole window, even when the page accepts no more files: otherwise the browser would leave
// the page to open a file that was dropped beside the zone.
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(type, drag);

function drag(event) {
  const accepts = !job && event.dataTransfer.types.includes("Files");
  if (!accepts && event.target.matches?.(TEXT_FIELDS)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = accepts ? "copy" : "none";
  const isOver = event.type === "dragleave" ? event.relatedTarget !== null : event.type !== "drop";
  dropFrame.hidden = !accepts || !isOver;
  if (event.type === "drop" && accepts) add(listDropped(event.dataTransfer));
}

// Upload

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (submit.disabled) return;
  clearProblems();
  submit.disabled = true;
  await adding;
  abort = new AbortController();
  try {
    if (queue.count) await begin();
    else showProblem({ message: sentences.no_images, field: "images" });
  } catch (error) {
    if (!abort.signal.aborted) showProblem(error);
  }
  submit.disabled = false;
  if (abort.signal.aborted) submit.focus();
});

document.getElementById("stop-waiting").addEventListener("click", () => abort.abort());

/** Show why the job cannot be created yet, with a button to stop waiting. */
function showWaiting(words) {
  document.getElementById("waiting-words").textContent = words;
  waiting.hidden = !words;
  // The submit button is disabled and loses the focus.
  if (words && [submit, document.body].includes(document.activeElement)) {
    document.getElementById("stop-waiting").focus();
  }
}

async function begin() {
  const open = () => post(form.dataset.openUrl, recipe()); // It may be edited while this waits.
  job = await retryWhileTransient(open, showWaiting, abort.signal);
  rememberRecipe();
  const panel = showTemplate("panel-template", form);
  panel.before(section);
  list.open = false; // It would lie over the photos.
  scrollTo(0, 0); // The submit button may have been far down.
  followJob(panel, job);
  // Loaded late, to keep the first view small. If it fails, the buttons work as without script.
  import("./job_page.js").catch(() => {});
  announce(`Uploading ${images(queue.count)}.`);
  isOpen = true;
  queue.start(job.images_url);
}

function recipe() {
  const fields = new FormData(form);
  fields.delete("images");
  fields.delete("csrf_token"); // Sent as a header, and renewed when needed.
  return fields;
}

/** Close the job when the queue is settled, and reopen it when files are added or retried after that. */
async function settle() {
  if (!job || isSettling) return;
  isSettling = true;
  await adding; // Files that were added while the job was created are uploaded, too.
  while (isOpen ? queue.isSettled : queue.isBusy) await (isOpen ? close() : reopen());
  isSettling = false;
}

/** Close the job with the images that arrived. The server deletes a job without images. */
async function close() {
  isOpen = false;
  queue.pause();
  if (!queue.sentCount) showNothingUploaded();
  const request = (fields) => retryWhileTransient(() => post(job.close_url, fields), announce);
  // Without the list of missing files if the server rejects that. A job that stays open closes itself.
  await request(missing()).catch(() => request(null)).catch(() => {});
}

/** The form fields that list the missing files. */
function missing(files = queue.missing) {
  const fields = new FormData();
  fields.append("missing_files", JSON.stringify(files));
  return fields;
}

/** Replace the job's page by one that says that nothing was uploaded. */
function showNothingUploaded() {
  const nothing = showTemplate("nothing-template", document.getElementById("job-panel"));
  for (const part of document.querySelectorAll(".tools, .attention, .frames, .skipped, .nothing-found")) part.remove();
  const heading = nothing.querySelector("h1");
  history.replaceState(null, "", nothing.querySelector("a").href);
  setTitle("job", nothing.dataset.title);
  heading.focus();
  announce(heading.textContent);
}

/** Make a closed job accept images again. */
async function reopen() {
  try {
    await retryWhileTransient(() => post(job.reopen_url, null), (notice) => {
      reopenNotice = notice;
      showQueue();
    });
  } catch (error) {
    queue.fail(error);
    return;
  }
  isOpen = true;
  queue.resume();
  refresh(); // The panel of a finished job does not poll.
}

// Without this page, the remaining files are not uploaded: close the job.
addEventListener("pagehide", () => {
  if (!isOpen) return;
  isOpen = false;
  queue.pause();
  // Browsers limit beacons to 64 kB.
  const short = queue.missing.map(([position, name]) => [position, name.slice(0, 40), ""]);
  for (const files of [queue.missing, short, []]) {
    if (sendBeacon(job.close_url, missing(files))) break;
  }
});

// The page may come back from the back/forward cache, and its job was closed then.
addEventListener("pageshow", settle);

function showTemplate(id, replaced) {
  const content = document.getElementById(id).content.cloneNode(true).firstElementChild;
  replaced.replaceWith(content);
  return content;
}

retryAll.addEventListener("click", () => queue.retryAll());

function warn(event) {
  event.preventDefault();
}

/** Render the queue's summary. Called after its changes. */
function showQueue() {
  const { count, sentCount, missingCount, isBusy } = queue;
  const percent = `${Math.floor(queue.progress * 100)} %`;
  const uploaded = `${isBusy ? `${sentCount} of ${images(count)}` : images(sentCount)} uploaded`;
  const done = job ? uploaded : images(count);
  const hadFocus = section.contains(document.activeElement);
  // The job's page lists the missing files. Only those that can be retried are shown here.
  const isDone = job && sentCount && !isBusy;
  section.classList.toggle("over", isDone);
  section.hidden = isDone ? !queue.failedCount : !section.querySelector("li");
  if (hadFocus && section.hidden) document.querySelector(job ? "h1" : "#images")?.focus();
  facts.textContent = missingCount ? `${done} · ${missingCount} ${job ? "not uploaded" : "rejected"}` : done;
  const notice = queue.pauseNotice || reopenNotice;
  pauseMessage.textContent = notice;
  pauseMessage.hidden = !notice;
  retryAll.hidden = queue.failedCount < 2;
  progress.hidden = !isBusy;
  progress.value = queue.progress;
  submit.textContent = count ? `Make thumbnails of ${images(count)}` : "Make thumbnails";
  const title = notice ? `Paused at ${percent}` : `${percent} uploaded`;
  setTitle("upload", isBusy ? `${title} · Thumbnails` : "");
  if (job) announceProgress(notice);
  if (isBusy) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
  settle();
}

/** Announce pauses, missing files and each uploaded quarter; the end is announced by the job's panel. */
function announceProgress(notice) {
  const { count, sentCount, missingCount, failedCount, isBusy } = queue;
  const quarter = Math.floor((4 * sentCount) / count);
  const isNews = missingCount > announced.missing || (isBusy && quarter > announced.quarter);
  if (notice !== announced.notice) announce(notice || "Uploading resumed.");
  else if (isNews) announce(facts.textContent);
  if (failedCount > announced.failed) list.open = true; // Each has a button to retry it.
  announced = { missing: missingCount, failed: failedCount, quarter, notice };
}
