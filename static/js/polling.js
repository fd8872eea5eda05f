/** Control htmx's polls: pause them on hidden pages, slow them down after errors, report errors. */

import { announce, isUploading, makeBar } from "./page.js";

const PAUSES = [1, 2, 4, 10]; // Seconds after the first, second … failure; the last repeats.
const { lost, unwell, restored } = document.getElementById("status").dataset; // What to say.

const bar = makeBar();
let failures = 0;
let pausedUntil = 0;
let isPressed = false;
let latest = null; // The last request of refresh().

// The element that refresh() requests for: a request of the panel itself would wait for its poll.
const source = document.getElementById("main");

export function findPanel() {
  return document.querySelector("#job-panel, #image-panel");
}

/** Request the panel now, even if it does not poll. The response of a running poll is dropped. */
export async function refresh() {
  const panel = findPanel();
  const address = new URL(panel.dataset.url, location.href);
  if (panel.dataset.version) address.searchParams.set("v", panel.dataset.version);
  pausedUntil = 0;
  source.setAttribute("hx-sync", `#${panel.id}:replace`);
  let request;
  const swap = panel.getAttribute("hx-swap") ?? "outerHTML";
  latest = htmx.ajax("GET", address.href, { source, target: panel, swap });
  while (request !== latest) {
    request = latest; // Another refresh may have replaced it meanwhile.
    await request;
  }
}

document.addEventListener("htmx:before:request", (event) => {
  if (isPoll(event) && (document.hidden || Date.now() < pausedUntil)) event.preventDefault();
});

// Drop responses that arrive while the pointer is down: a button that is replaced between pointerdown
// and pointerup gets no click. The next poll brings the same.
document.addEventListener("htmx:before:swap", (event) => {
  const panel = findPanel() ?? event.target; // A refresh fires this on `source`.
  if (isPressed && panel.hasAttribute?.("hx-get")) event.preventDefault();
});

for (const type of ["pointerdown", "pointerup", "pointercancel"]) {
  addEventListener(type, () => (isPressed = type === "pointerdown"), true);
}

document.addEventListener("htmx:after:request", (event) => {
  const status = event.detail.ctx.response?.status;
  if (status >= 500 && isPoll(event)) fail(unwell);
  else if (status < 500) recover();
});

document.addEventListener("htmx:error", (event) => {
  if (isPoll(event)) fail(lost);
});

/** Return whether an event is of a poll, and not of a change: changes.js reports those. */
function isPoll({ detail }) {
  return detail.ctx?.request.method === "GET";
}

function fail(words) {
  pausedUntil = Date.now() + PAUSES[Math.min(failures, PAUSES.length - 1)] * 1000;
  failures += 1;
  if (failures < 2 && navigator.onLine) return; // A single failure is not worth a message.
  if (words === lost && isUploading()) return; // The queue reports it.
  bar.textContent = words;
  bar.hidden = false;
  announce(words);
}

function recover() {
  failures = 0;
  pausedUntil = 0;
  if (bar.hidden) return;
  bar.hidden = true;
  announce(restored);
}

/** Refresh a panel that becomes visible again: even a finished job may have changed elsewhere. */
function refreshVisible() {
  if (!document.hidden && findPanel()?.dataset.version) refresh();
}

document.addEventListener("visibilitychange", refreshVisible);
addEventListener("online", refreshVisible);
addEventListener("offline", () => {
  if (findPanel()?.hasAttribute("hx-get")) fail(lost);
});
