/** The upload page: choose photos and sizes, create a job, and go on as its page. */

import { ContactSheet } from "./contacts.js";
import { add, added, gather } from "./gathering.js";
import { announce, moveTo } from "./page.js";
import { queue } from "./queue.js";
import { clearProblems, recipeFields, showProblem } from "./recipe_form.js";
import { rules, say } from "./rules.js";
import { countAgain, showPhoto } from "./sizes.js";
import { post, RequestError, retryWhileTransient } from "./upload.js";

const find = (id) => document.getElementById(id);
const form = find("upload");
const zone = find("zone");
const heading = find("promise");
const promise = heading.textContent;
const input = find("images");
const submit = find("submit");
const waiting = find("waiting");

let jobPage = null; // The promise of what the job's page needs.
let abort = null; // Stops waiting for the job to be created.

const contacts = new ContactSheet({
  onRemove: (item) => queue.remove(item),
  onSelect: showPhoto,
  onPreview: countAgain, // Now its size is known.
});
queue.useView(contacts, showChosen);

// Choose photos

gather({
  open: () => {
    loadJobPage();
    clearProblems(zone); // Such as that no photos were chosen.
  },
  added: (known) => {
    find("already").hidden = !known;
    find("already").textContent = known;
    announce(known || sayChosen());
  },
  fail: (problem) => {
    showProblem(problem);
    if (problem.field) announce(problem.message); // The others are alerts.
  },
  place: () => (zone.hidden ? find("left") : zone),
  has: () => false,
  count: () => 0,
});

function sayChosen() {
  const [photos, skipped] = [queue.count, queue.missingCount];
  return say(skipped ? "chosen_and_skipped" : "chosen", { photos, skipped });
}

/** Load what the job's page needs, once. The first view does without it, to be light. */
function loadJobPage() {
  const { htmx, upsert, jobStyle } = form.dataset;
  jobPage ??= Promise.all([
    import("./job_page.js"),
    load("script", { src: htmx }).then(() => load("script", { src: upsert })),
    load("link", { rel: "stylesheet", href: jobStyle }),
  ]).catch(() => {
    jobPage = null; // For the next attempt.
    throw new RequestError(0);
  });
  jobPage.catch(() => {}); // Reported when it is needed.
  return jobPage;
}

function load(tag, attributes) {
  const part = Object.assign(document.createElement(tag), attributes);
  document.head.append(part);
  return new Promise((resolve, reject) => Object.assign(part, { onload: resolve, onerror: reject }));
}

find("add-photos").addEventListener("click", () => input.click());
find("remove-all").addEventListener("click", () => queue.removeAll());

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

function showChosen() {
  const { count, missingCount } = queue;
  const hadFocus = zone.contains(document.activeElement);
  const wasChosen = zone.hidden;
  zone.hidden = count > 0;
  form.classList.toggle("chosen", zone.hidden);
  for (const id of ["chosen-actions", "contacts"]) find(id).hidden = !zone.hidden;
  find("becomes-steps").hidden = count < 2;
  heading.textContent = count ? say("chosen", { photos: count }) : promise;
  if (zone.hidden && hadFocus) heading.focus();
  const focused = document.activeElement;
  const isLost = [heading, document.body].includes(focused) || !focused.checkVisibility();
  if (wasChosen && !zone.hidden && isLost) input.focus();
  find("skipped").hidden = !missingCount;
  find("skipped-title").textContent = say("skipped", { skipped: missingCount });
  countAgain();
}

// Create the job

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (submit.disabled) return;
  clearProblems();
  submit.disabled = true;
  await added();
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

find("stop-waiting").addEventListener("click", () => abort.abort());

/** Show why the job cannot be created yet, with a button to stop waiting. */
function showWaiting(words) {
  find("waiting-words").textContent = words;
  waiting.hidden = !words;
  // The submit button is disabled and loses the focus.
  if (words && [submit, document.body].includes(document.activeElement)) find("stop-waiting").focus();
}

/** Create the job, and become its page: what was chosen is sent from there. */
async function begin() {
  const open = async () => {
    const [{ followNewJob }] = await loadJobPage();
    return [followNewJob, await post(form.dataset.openUrl, recipeFields())]; // It may be edited while this waits.
  };
  const [followNewJob, job] = await retryWhileTransient(open, showWaiting, abort.signal);
  moveTo(job.url);
  find("main").innerHTML = job.page;
  find("upload-style").remove();
  scrollTo(0, 0); // The submit button may have been far down.
  followNewJob(say("uploading", { photos: queue.count }));
}
