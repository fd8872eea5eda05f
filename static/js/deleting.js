/** Deleting, with some seconds to think better of it; without script, a page asks before. */

import { change } from "./changing.js";
import { announce, makeBar, showNotice } from "./page.js";
import { findPanel, hold, refresh } from "./polling.js";

const SECONDS = 8;
const LEFT = "left-to-delete"; // The address of a delete that was under way when its page was left.

const bar = makeBar();
const undo = document.createElement("button");
undo.textContent = "Undo";
bar.append("Deleted.", undo);

let pending = null; // What looks deleted, but is not yet.

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-delete]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  finish();
  begin(link);
});

function begin(link) {
  const part = document.getElementById(link.dataset.delete);
  pending = { link, part, timer: setTimeout(finish, SECONDS * 1000) };
  hold(true);
  part.classList.add("deleted");
  bar.hidden = false;
  undo.focus();
  announce("Deleted.");
}

undo.addEventListener("click", () => {
  const { link, part } = end();
  hold(false);
  part.classList.remove("deleted");
  link.focus();
  announce("Not deleted.");
});

async function finish() {
  if (!pending) return;
  const { link, part } = end();
  try {
    await change(link.href, form());
  } catch (error) {
    if (![404, 410].includes(error.status)) return restore(part, error.message);
  }
  hold(pending !== null); // The next may be looking deleted by now.
  if (part === findPanel()) await refresh();
  else part.remove();
  // Who was at the button that is gone, but nobody else.
  if (document.activeElement === document.body) document.querySelector("h1").focus({ preventScroll: true });
}

function restore(part, problem) {
  hold(pending !== null);
  part.classList.remove("deleted");
  showNotice(`Not deleted. ${problem}`);
}

function end() {
  const ended = pending;
  clearTimeout(ended.timer);
  pending = null;
  undo.blur(); // At once: a browser takes its time to see that it is hidden.
  bar.hidden = true;
  return ended;
}

function form() {
  const fields = new FormData();
  fields.append("csrf_token", document.querySelector("[name=csrf_token]").value);
  return fields;
}

// Whoever leaves does not come back for it.
addEventListener("pagehide", () => {
  if (!pending) return;
  const { link } = end();
  navigator.sendBeacon(link.href, form());
  remember(link.href);
});

function remember(address) {
  try {
    if (address) sessionStorage.setItem(LEFT, address);
    else sessionStorage.removeItem(LEFT);
  } catch {
    // Without storage, the next page may show it once more.
  }
}

/** Take away what was left to be deleted: the server may have been asked for this page before. */
function takeUp() {
  const address = recall();
  const link = [...document.querySelectorAll("a[data-delete]")].find(({ href }) => href === address);
  remember(null);
  if (!link) return;
  begin(link);
  finish();
}

function recall() {
  try {
    return sessionStorage.getItem(LEFT);
  } catch {
    return null;
  }
}

takeUp();
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[data-delete]")) location.reload();
});
