/** The upload page: collect files, create a job, and turn into its page while they are uploaded. */

import { ContactSheet } from "./contacts.js";
import { findFault, listDropped, listPasted, withoutSystemFiles } from "./files.js";
import { announce, setTitle } from "./page.js";
import { Queue } from "./queue.js";
import { clearProblems, rememberRecipe, showProblem } from "./recipe_form.js";
import { Rows } from "./rows.js";
import { rules, say } from "./rules.js";
import { showPhoto, showPrice } from "./sizes.js";
import { post, RequestError, retryWhileTransient, sendBeacon } from "./upload.js";

const form = document.getElementById("upload");
const TEXT_FIELDS = "input:is([type=text], [type=number])"; // These keep their own paste and drop.
const zone = document.getElementById("zone");
const heading = document.getElementById("promise");
const promise = heading.textContent;
const already = document.getElementById("already");
const skipped = document.getElementById("skipped");
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

const contacts = new ContactSheet({
  onRemove: (item) => queue.remove(item),
  onSelect: showPhoto,
  onPreview: () => showPrice(queue.photos), // Now its size is known.
});
const queue = new Queue(contacts, showQueue);
let jobParts = null; // The promise of what the job's page needs.
let adding = Promise.resolve(); // Files are added one batch after the other.
let job = null; // The server's description of the job, once it is created.
let abort = null; // Stops waiting for the job to be created.
let followJob = null;
let refresh = null;
let isOpen = false; // True while the job accepts images.
let isSettling = false;
let reopenNotice = ""; // Why the job cannot be reopened yet; the queue has its own notice.
let announced = { missing: 0, failed: 0, quarter: 0, notice: "" };

// Collect files

function add(files) {
  adding = adding.then(() => addNow(files)).catch(showProblem);
}

/** Add files in batches, so that the page stays responsive while hundreds are checked. */
async function addNow(files) {
  loadJobParts();
  const wanted = withoutSystemFiles(await files);
  clearProblems(zone); // Such as that no photos were chosen.
  if (!wanted.length) {
    const message = say("no_files");
    showProblem({ message, field: "images" });
    announce(message);
    return;
  }
  const known = [];
  const check = (start) => Promise.all(wanted.slice(start, start + 20).map((file) => findFault(file)));
  let checking = check(0);
  for (let start = 0; start < wanted.length; start += 20) {
    const faults = await checking;
    checking = check(start + 20); // Read the next ones meanwhile.
    faults.forEach((fault, n) => {
      const file = wanted[start + n];
      if (queue.has(file)) known.push(file);
      else queue.add(file, fault ?? findExcess());
    });
  }
  already.hidden = !known.length;
  already.textContent = sayAlready(known);
  showQueue();
  if (!job) announce(already.textContent || sayChosen());
}

function sayAlready(known) {
  if (known.length > 1) return say("all_already", { n: known.length });
  return known.length ? say("already", { name: known[0].name }) : "";
}

function sayChosen() {
  const [photos, skipped] = [queue.count, queue.missingCount];
  return say(skipped ? "chosen_and_skipped" : "chosen", { photos, skipped });
}

/** Load what the job's page needs, once. The first view does without it, to be light. */
function loadJobParts() {
  jobParts ??= Promise.all([
    import("./following.js"),
    import("./polling.js"),
    loadPart("script", { src: form.dataset.htmx }).then(() => loadPart("script", { src: form.dataset.upsert })),
    loadPart("link", { rel: "stylesheet", href: form.dataset.jobStyle }),
  ]).catch(() => {
    jobParts = null; // For the next attempt.
    throw new RequestError(0);
  });
  jobParts.catch(() => {}); // Reported when they are needed.
  return jobParts;
}

function loadPart(tag, attributes) {
  const part = Object.assign(document.createElement(tag), attributes);
  document.head.append(part);
  return new Promise((resolve, reject) => Object.assign(part, { onload: resolve, onerror: reject }));
}

/** Return the reason why the job cannot have another image, or null. */
function findExcess() {
  return queue.count < rules.max_images ? null : rules.too_many;
}

for (const chooser of [input, document.getElementById("folder")]) {
  chooser.addEventListener("change", () => {
    if (chooser.files.length) add([...chooser.files]);
    chooser.value = ""; // So that choosing the same file again is a change.
  });
}

document.getElementById("add-photos").addEventListener("click", () => input.click());
document.getElementById("remove-all").addEventListener("click", () => queue.removeAll());

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
    const lastModified = Date.parse(response.headers.get("Last-Modified")) || 0;
    return [new File([data], pathname.split("/").at(-1), { type: data.type, lastModified })];
  } catch {
    throw new Error(say("no_sample"));
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
  if (accepts && event.type === "dragenter") placeDropFrame(event.dataTransfer.items.length);
  dropFrame.hidden = !accepts || !isOver;
  document.body.classList.toggle("dragging", !dropFrame.hidden);
  if (event.type === "drop" && accepts) add(listDropped(event.dataTransfer));
}

/** Lay the frame over the zone; over the photos once there are some. */
function placeDropFrame(n) {
  (zone.hidden ? document.getElementById("left") : zone).append(dropFrame);
  document.getElementById("drop-words").textContent = say(n ? "drop" : "drop_some", { n });
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
    else showProblem({ message: rules.no_images, field: "images" });
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
  const open = async () => {
    [{ followJob }, { refresh }] = await loadJobParts();
    return post(form.dataset.openUrl, recipe()); // It may be edited while this waits.
  };
  job = await retryWhileTransient(open, showWaiting, abort.signal);
  rememberRecipe();
  contacts.close(queue.photos);
  const panel = showTemplate("panel-template", form);
  panel.before(section);
  list.open = false; // It would lie over the photos.
  scrollTo(0, 0); // The submit button may have been far down.
  followJob(panel, job);
  // Loaded late, to keep the first view small. If it fails, the buttons work as without script.
  import("./job_page.js").catch(() => {});
  announce(say("uploading", { photos: queue.count }));
  isOpen = true;
  const retry = (item) => queue.retry(item);
  const rows = new Rows(section, document.getElementById("row-template"), (item) => queue.remove(item), retry);
  queue.start(job.images_url, rows);
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

retryAll.addEventListener("click", () => {
  queue.retryAll();
  section.focus(); // The button disappears.
});

function warn(event) {
  event.preventDefault();
}

/** Show what changed in the queue. */
function showQueue() {
  if (job) showUpload();
  else showChosen();
}

function showChosen() {
  const { count, missingCount } = queue;
  const hadFocus = zone.contains(document.activeElement);
  const wasChosen = zone.hidden;
  zone.hidden = count > 0;
  form.classList.toggle("chosen", zone.hidden);
  for (const id of ["chosen-actions", "contacts"]) document.getElementById(id).hidden = !zone.hidden;
  document.getElementById("becomes-steps").hidden = count < 2;
  heading.textContent = count ? say("chosen", { photos: count }) : promise;
  if (zone.hidden && hadFocus) heading.focus();
  const focused = document.activeElement;
  const isLost = [heading, document.body].includes(focused) || !focused.checkVisibility();
  if (wasChosen && !zone.hidden && isLost) input.focus();
  skipped.hidden = !missingCount;
  document.getElementById("skipped-title").textContent = say("skipped", { skipped: missingCount });
  showPrice(queue.photos);
}

function showUpload() {
  const { count, sentCount, missingCount, isBusy } = queue;
  const percent = Math.floor(queue.progress * 100);
  const done = say(isBusy ? "uploaded_of" : "uploaded", { sent: sentCount, photos: isBusy ? count : sentCount });
  const hadFocus = section.contains(document.activeElement);
  // The job's page lists the missing files. Only those that can be retried are shown here.
  const isDone = sentCount && !isBusy;
  section.classList.toggle("over", isDone);
  section.hidden = isDone ? !queue.failedCount : !section.querySelector("li");
  if (hadFocus && section.hidden) document.querySelector("h1")?.focus();
  facts.textContent = missingCount ? say("and_not", { facts: done, n: missingCount }) : done;
  const notice = queue.pauseNotice || reopenNotice;
  pauseMessage.textContent = notice;
  pauseMessage.hidden = !notice;
  retryAll.hidden = queue.failedCount < 2;
  progress.hidden = !isBusy;
  progress.value = queue.progress;
  setTitle("upload", isBusy ? say(notice ? "title_paused" : "title", { percent }) : "");
  announceProgress(notice);
  if (isBusy) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
  settle();
}

/** Announce pauses, missing files and each uploaded quarter; the end is announced by the job's panel. */
function announceProgress(notice) {
  const { count, sentCount, missingCount, failedCount, isBusy } = queue;
  const quarter = Math.floor((4 * sentCount) / count);
  const isNews = missingCount > announced.missing || (isBusy && quarter > announced.quarter);
  if (notice !== announced.notice) announce(notice || say("resumed"));
  else if (isNews) announce(facts.textContent);
  if (failedCount > announced.failed) list.open = true; // Each has a button to retry it.
  announced = { missing: missingCount, failed: failedCount, quarter, notice };
}
