/** Delete jobs, with some seconds to undo it. Without script, a page asks for confirmation instead. */

import { change } from "./changing.js";
import { announce, makeBar, showNotice } from "./page.js";
import { findPanel, refresh, suspendPolling } from "./polling.js";

const UNDO_SECONDS = 8;
const STORAGE_KEY = "pending-delete"; // The address of a delete whose page was left.

const bar = makeBar();
const undo = document.createElement("button");
undo.textContent = "Undo";
bar.append("Deleted.", undo);

let pending = null; // A job that is hidden and will be deleted.

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-delete]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  deletePending();
  scheduleDelete(link);
});

function scheduleDelete(link) {
  const part = document.getElementById(link.dataset.delete);
  pending = { link, part, timer: setTimeout(deletePending, UNDO_SECONDS * 1000) };
  suspendPolling(true);
  part.classList.add("deleted");
  bar.hidden = false;
  undo.focus();
  announce("Deleted.");
}

undo.addEventListener("click", () => {
  const { link, part } = takePending();
  suspendPolling(false);
  part.classList.remove("deleted");
  link.focus();
  announce("Not deleted.");
});

async function deletePending() {
  if (!pending) return;
  const { link, part } = takePending();
  try {
    await change(link.href, tokenFields());
  } catch (error) {
    if (![404, 410].includes(error.status)) return restore(part, error.message);
  }
  suspendPolling(pending !== null); // Another job may be pending by now.
  if (part === findPanel()) await refresh();
  else part.remove();
  // If the focus was on the button that disappeared.
  if (document.activeElement === document.body) document.querySelector("h1").focus({ preventScroll: true });
}

function restore(part, problem) {
  suspendPolling(pending !== null);
  part.classList.remove("deleted");
  showNotice(`Not deleted. ${problem}`);
}

function takePending() {
  const taken = pending;
  clearTimeout(taken.timer);
  pending = null;
  undo.blur(); // Browsers do this only some time after it is hidden.
  bar.hidden = true;
  return taken;
}

function tokenFields() {
  const fields = new FormData();
  fields.append("csrf_token", document.querySelector("[name=csrf_token]").value);
  return fields;
}

// A page that is left can no longer undo.
addEventListener("pagehide", () => {
  if (!pending) return;
  const { link } = takePending();
  navigator.sendBeacon(link.href, tokenFields());
  store(link.href);
});

function store(address) {
  try {
    if (address) sessionStorage.setItem(STORAGE_KEY, address);
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Without storage, the next page may show the job once more.
  }
}

/** Delete a job whose page was left: this page may have been rendered before the beacon arrived. */
function resumePendingDelete() {
  const address = readStored();
  const link = [...document.querySelectorAll("a[data-delete]")].find(({ href }) => href === address);
  store(null);
  if (!link) return;
  scheduleDelete(link);
  deletePending();
}

function readStored() {
  try {
    return sessionStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

resumePendingDelete();
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[data-delete]")) location.reload();
});
