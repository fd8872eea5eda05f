/** The upload page: gather images, make a job of them, and become its page while they are sent. */

import { findFault, listDropped, listPasted, withoutClutter } from "./files.js";
import { followJob } from "./following.js";
import { announce, setTitle } from "./page.js";
import { refresh } from "./polling.js";
import { Queue } from "./queue.js";
import { clearProblems, rememberRecipe, showProblem } from "./recipe_form.js";
import { insist, post, postLast } from "./upload.js";

const form = document.getElementById("upload");
const TEXT_FIELDS = "input:is([type=text], [type=number])"; // They take what is pasted or dropped.
const zone = form.querySelector(".zone");
const input = document.getElementById("images");
const submit = document.getElementById("submit");
const section = document.getElementById("queue");
const waiting = document.getElementById("waiting");
const dropFrame = document.getElementById("drop-frame");
const facts = document.getElementById("queue-facts");
const pause = document.getElementById("queue-pause");
const progress = document.getElementById("queue-progress");
const retryAll = document.getElementById("queue-retry");
const maxMb = Number(form.dataset.maxFileMb);
const maxImages = Number(form.dataset.maxImages);

const queue = new Queue(section, document.getElementById("row-template"), showQueue);
let adding = Promise.resolve(); // Files are added in the order they came, however long one takes.
let job = null; // What the server said of the job, once it is made.
let stop = null; // Of the waiting until a job can be made.
let isOpen = false; // Whether the server takes images for it.
let isSettling = false;
let notice = ""; // What hinders the page itself, beside what the queue says.
let told = { left: 0, quarter: 0, pause: "" }; // What was spoken of already.

function images(count) {
  return `${count} image${count === 1 ? "" : "s"}`;
}

// Gather

function add(files) {
  adding = adding.then(() => addNow(files)).catch(showProblem);
}

/** Add files a few at a time: the page stays at hand while hundreds are looked into. */
async function addNow(files) {
  const wanted = withoutClutter(await files);
  clearProblems(zone.parentElement); // That there were no images.
  if (!wanted.length) {
    const message = "There are no files in this folder.";
    showProblem({ message, field: "images" });
    announce(message);
    return;
  }
  while (wanted.length) {
    const some = wanted.splice(0, 20);
    const faults = await Promise.all(some.map((file) => findFault(file, maxMb)));
    some.forEach((file, n) => queue.add(file, faults[n] ?? findCrowding()));
  }
  showQueue();
  announce(facts.textContent);
}

function findCrowding() {
  return queue.count < maxImages
    ? null
    : `A job has at most ${images(maxImages)}. Start a new one for the rest.`;
}

for (const chooser of [input, document.getElementById("folder")]) {
  chooser.addEventListener("change", () => {
    add([...chooser.files]);
    chooser.value = ""; // So that the same file can be chosen again.
  });
}

for (const link of form.querySelectorAll(".sample")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    if (event.detail < 2) add(fetchSample(link)); // Not once more for a double click.
  });
}

async function fetchSample({ href, pathname }) {
  try {
    const answer = await fetch(href);
    if (!answer.ok) throw new Error(answer.statusText);
    const data = await answer.blob();
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

// On the whole window, and also when nothing more is taken: what is dropped beside the zone must
// not make the browser leave the page for it.
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(type, drag);

function drag(event) {
  const takes = !job && event.dataTransfer.types.includes("Files");
  if (!takes && event.target.matches?.(TEXT_FIELDS)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = takes ? "copy" : "none";
  const isOver = event.type === "dragleave" ? event.relatedTarget !== null : event.type !== "drop";
  dropFrame.hidden = !takes || !isOver;
  if (event.type === "drop" && takes) add(listDropped(event.dataTransfer));
}

// Send

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (submit.disabled) return;
  clearProblems();
  submit.disabled = true;
  await adding;
  stop = new AbortController();
  try {
    if (queue.count) await begin();
    else showProblem({ message: "Choose at least one image.", field: "images" });
  } catch (error) {
    if (!stop.signal.aborted) showProblem(error);
  }
  submit.disabled = false;
  if (stop.signal.aborted) submit.focus();
});

document.getElementById("stop-waiting").addEventListener("click", () => stop.abort());

/** Say what hinders a job from being made, and offer to wait no longer. */
function showWaiting(words) {
  document.getElementById("waiting-words").textContent = words;
  waiting.hidden = !words;
  // The button that began it all is disabled.
  if (words && [submit, document.body].includes(document.activeElement)) {
    document.getElementById("stop-waiting").focus();
  }
}

async function begin() {
  const open = () => post(form.dataset.openUrl, recipe()); // It may change while this waits.
  job = await insist(open, showWaiting, stop.signal);
  rememberRecipe();
  const panel = showTemplate("panel-template", form);
  panel.before(section);
  scrollTo(0, 0); // Another page, and the button that led to it may have been far down.
  followJob(panel, job);
  // Too much for the first view. Should it not come, buttons do what they do without script.
  import("./job_page.js").catch(() => {});
  announce(`Sending ${images(queue.count)}.`);
  isOpen = true;
  queue.start(job.images_url);
}

function recipe() {
  const fields = new FormData(form);
  fields.delete("images");
  fields.delete("csrf_token"); // It is sent beside them, and may be another by then.
  return fields;
}

/** Close the job as soon as nothing more can come, and open it again for what is to come after all. */
async function settle() {
  if (!job || isSettling) return;
  isSettling = true;
  await adding; // What was added while the job was made is sent as well.
  while (isOpen ? queue.isThrough : queue.isBusy) await (isOpen ? close() : reopen());
  isSettling = false;
}

/** End the job with what arrived; the server deletes one that got no image. */
async function close() {
  isOpen = false;
  queue.halt();
  if (!queue.sentCount) showNothing();
  const end = (fields) => insist(() => post(job.close_url, fields), (words) => announce(words));
  // Better without a word of what is missing than not at all; it closes by itself after a while.
  await end(missing()).catch(() => end(null)).catch(() => {});
}

/** What the server is to remember of files that it does not have. */
function missing(files = queue.missing) {
  const fields = new FormData();
  fields.append("missing_files", JSON.stringify(files));
  return fields;
}

/** Say that nothing came of the job, and leave nothing that could be done to it. */
function showNothing() {
  const nothing = showTemplate("nothing-template", document.getElementById("job-panel"));
  for (const part of document.querySelectorAll(".tools, .frames")) part.remove();
  const heading = nothing.querySelector("h1");
  history.replaceState(null, "", nothing.querySelector("a").href);
  setTitle("job", nothing.dataset.title);
  heading.focus();
  announce(heading.textContent);
}

/** Have a job that ended take what is sent again. */
async function reopen() {
  try {
    await insist(() => post(job.reopen_url, null), (words) => {
      notice = words;
      showQueue();
    });
  } catch (error) {
    queue.fail(error);
    return;
  }
  isOpen = true;
  queue.goOn();
  refresh(); // The panel of a job that is finished does not ask by itself.
}

// Nobody sends the rest when this page is gone.
addEventListener("pagehide", () => {
  if (!isOpen) return;
  isOpen = false;
  queue.halt();
  // A browser takes no more than 64 kB along.
  const short = queue.missing.map(([position, name]) => [position, name.slice(0, 40), ""]);
  for (const files of [queue.missing, short, []]) {
    if (postLast(job.close_url, missing(files))) break;
  }
});

// A browser may have kept the page as it was.
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

/** Show what has become of the queue: called soon after every change of it. */
function showQueue() {
  const { count, sentCount, leftCount, isBusy } = queue;
  const percent = `${Math.floor(queue.progress * 100)} %`;
  const sent = isBusy ? `${sentCount} of ${images(count)} sent` : `${images(sentCount)} sent`;
  const done = job ? sent : images(count);
  const hadFocus = section.contains(document.activeElement);
  // The job's page says what is missing: what is left here may be sent again.
  const isOver = job && sentCount && !isBusy;
  section.classList.toggle("over", isOver);
  section.hidden = isOver ? !queue.failedCount : !section.querySelector("li");
  if (hadFocus && section.hidden) (job ? document.querySelector("h1") : input).focus();
  facts.textContent = leftCount ? `${done} · ${leftCount} not ${job ? "sent" : "taken"}` : done;
  const words = queue.pause || notice;
  pause.textContent = words;
  pause.hidden = !words;
  retryAll.hidden = queue.failedCount < 2;
  progress.hidden = !isBusy;
  progress.value = queue.progress;
  submit.textContent = count ? `Make thumbnails of ${images(count)}` : "Make thumbnails";
  const title = words ? `Paused at ${percent}` : `${percent} sent`;
  setTitle("sending", isBusy ? `${title} · Thumbnails` : "");
  if (job) tell(words);
  if (isBusy) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
  settle();
}

/** Say what hinders, what is left behind, and each quarter that is sent; the job says its end. */
function tell(pause) {
  const { count, sentCount, leftCount, isBusy } = queue;
  const quarter = Math.floor((4 * sentCount) / count);
  const isNews = leftCount > told.left || (isBusy && quarter > told.quarter);
  if (pause !== told.pause) announce(pause || "Sending goes on.");
  else if (isNews) announce(facts.textContent);
  told = { left: leftCount, quarter, pause };
}
