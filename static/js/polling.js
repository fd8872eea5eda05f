/** A panel that htmx asks for again and again: calmly while nobody looks or the server is away. */

import { announce, makeBar } from "./page.js";

const PAUSES = [1, 2, 4, 10]; // Seconds, the more often it failed.
const LOST = "Connection lost. Still trying; your job goes on at the server.";
const TROUBLE = "The server has trouble just now. Still trying; nothing is lost.";

const bar = makeBar();
let failures = 0;
let silentUntil = 0;
let isHeld = false;

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

/** Ask for the panel now, whether it polls or not. */
export async function refresh() {
  const panel = findPanel();
  const address = new URL(`${location.pathname}/panel`, location.href);
  if (panel.dataset.version) address.searchParams.set("v", panel.dataset.version);
  silentUntil = 0;
  await htmx.ajax("GET", address.href, { source: panel, target: panel, swap: "outerHTML" });
}

onHtmx("before:request", "beforeRequest", (event) => {
  if (document.hidden || isHeld || Date.now() < silentUntil) event.preventDefault();
});

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

/** Come back to a panel that went on while nobody could see it. */
function comeBack() {
  if (!document.hidden && findPanel()?.hasAttribute("hx-get")) refresh();
}

document.addEventListener("visibilitychange", comeBack);
addEventListener("online", comeBack);
addEventListener("offline", () => {
  if (findPanel()?.hasAttribute("hx-get")) fail(LOST);
});

// What is changed by a button is changed without leaving the page.

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (!form.matches(".changes")) return;
  event.preventDefault();
  const place = submitter?.closest("[id^=image-]")?.id ?? "job-heading";
  const hadFocus = submitter === document.activeElement;
  const problem = await change(
    submitter?.hasAttribute("formaction") ? submitter.formAction : form.action,
    new FormData(form),
  );
  if (problem) {
    bar.textContent = problem;
    bar.hidden = false;
    announce(problem);
  }
  await refresh();
  if (form.dataset.said && !problem) {
    announce(`${form.dataset.said} ${findPanel().querySelector("time").textContent}`);
  }
  if (hadFocus && document.activeElement === document.body) focusOn(place);
});

/** Ask the server to change something; give what it has against that, if anything. */
async function change(url, body) {
  try {
    const headers = { Accept: "application/json" };
    const answer = await fetch(url, { method: "POST", body, headers, redirect: "manual" });
    return answer.status < 400 ? null : (await answer.json()).detail;
  } catch {
    return "That did not reach the server. Try again.";
  }
}

/** Stay near a button that is gone with what it did. */
function focusOn(id) {
  const place = document.getElementById(id);
  if (!place) return;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
}
