/** What htmx asks for again and again, a panel or rows: calmly while nobody looks or the server is away. */

import { announce, isSending, makeBar } from "./page.js";

const PAUSES = [1, 2, 4, 10]; // Seconds, the more often it failed.
const LOST = "Connection lost. Still trying; your job goes on at the server.";
const TROUBLE = "The server has trouble just now. Still trying; nothing is lost.";

const bar = makeBar();
let failures = 0;
let silentUntil = 0;
let isHeld = false;
let isPressed = false;
let latest = null; // Of the requests of refresh().

const source = document.getElementById("main"); // Of refresh(): a request of the panel's own would queue.

export function findPanel() {
  return document.querySelector("#job-panel, #image-panel");
}

/** Listen to htmx, by the name of an event in htmx 4, and in htmx 2 that can take its place. */
export function onHtmx(name, oldName, listener) {
  document.addEventListener(`htmx:${name}`, listener);
  document.addEventListener(`htmx:${oldName}`, listener);
}

/** Leave the panel as it is, or go on. */
export function hold(held) {
  isHeld = held;
}

/** Ask for the panel now, whether it polls or not; an answer that is on its way comes too late. */
export async function refresh() {
  const panel = findPanel();
  const address = new URL(panel.dataset.url, location.href);
  if (panel.dataset.version) address.searchParams.set("v", panel.dataset.version);
  silentUntil = 0;
  source.setAttribute("hx-sync", `#${panel.id}:replace`);
  let request;
  latest = htmx.ajax("GET", address.href, { source, target: panel, swap: "outerHTML" });
  while (request !== latest) {
    request = latest; // Another may take its place meanwhile.
    await request;
  }
}

onHtmx("before:request", "beforeRequest", (event) => {
  if (document.hidden || isHeld || Date.now() < silentUntil) event.preventDefault();
});

// What was asked for before it was held. And of a button that is replaced while somebody presses it,
// the click is lost: the next poll will do.
onHtmx("before:swap", "beforeSwap", (event) => {
  const asking = findPanel() ?? event.target; // The source of a refresh is another.
  if (isHeld || (isPressed && asking.hasAttribute?.("hx-get"))) event.preventDefault();
});

for (const type of ["pointerdown", "pointerup", "pointercancel"]) {
  addEventListener(type, () => (isPressed = type === "pointerdown"), true);
}

onHtmx("after:request", "afterRequest", ({ detail }) => {
  const status = detail.ctx?.response?.status ?? detail.xhr?.status;
  if (status >= 500) fail(TROUBLE);
  else if (status) recover();
});

onHtmx("error", "sendError", () => fail(LOST));

function fail(words) {
  silentUntil = Date.now() + PAUSES[Math.min(failures, PAUSES.length - 1)] * 1000;
  failures += 1;
  if (failures < 2 && navigator.onLine) return; // Once is nothing to speak of.
  if (words === LOST && isSending()) return; // Whoever sends says so.
  bar.textContent = words;
  bar.hidden = false;
  announce(words);
}

function recover() {
  failures = 0;
  silentUntil = 0;
  if (bar.hidden) return;
  bar.hidden = true;
  announce("The connection is back.");
}

/** Come back to a panel that nobody could see: also a finished job may have been changed elsewhere. */
function comeBack() {
  if (!document.hidden && findPanel()?.dataset.version) refresh();
}

document.addEventListener("visibilitychange", comeBack);
addEventListener("online", comeBack);
addEventListener("offline", () => {
  if (findPanel()?.hasAttribute("hx-get")) fail(LOST);
});
