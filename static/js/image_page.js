/** The page of an image: compare it with its files. */

import "./changes.js";
import "./copying.js";
import "./crop_point.js";
import { announce } from "./page.js";
import { focusHeading, showPage } from "./panel.js";
import { findPanel } from "./polling.js";

const find = (id) => document.getElementById(id);
let state = findPanel().dataset.state;
let hadFocus = false; // In the panel, before it was replaced.

// Compare

/** Move the divider. The style is on the root, as htmx would copy it in swaps, which the CSP forbids. */
function divide(range) {
  document.documentElement.style.setProperty("--cut", `${range.value}%`);
  range.ariaValueText = range.dataset.words.replace("{}", range.value);
}

/** Pan the enlarged picture with a mouse, and move the line by its handle. In the fitted picture, the range does. */
document.addEventListener("pointerdown", (event) => {
  const stage = event.target.closest("#stage");
  const isLine = event.target.closest("#handle");
  const isPicture = event.target.closest(".compare, .whole") && !event.target.closest("#divider, .point");
  if (!stage || !(isLine || (isPicture && event.pointerType === "mouse"))) return;
  event.preventDefault(); // Pictures can be dragged away.
  stage.setPointerCapture(event.pointerId);
  stage.dataset.drag = isLine ? "line" : "picture";
});

document.addEventListener("pointermove", (event) => {
  const stage = event.target.closest("#stage");
  if (stage?.dataset.drag === "picture") stage.scrollBy(-event.movementX, -event.movementY);
  if (stage?.dataset.drag !== "line") return;
  const range = find("divider");
  const box = range.getBoundingClientRect();
  range.value = (100 * (event.clientX - box.left)) / box.width;
  divide(range);
});

// Zoom into the middle.
document.addEventListener("change", ({ target }) => {
  if (target.name !== "zoom") return;
  const stage = find("stage");
  stage.scrollTo((stage.scrollWidth - stage.clientWidth) / 2, (stage.scrollHeight - stage.clientHeight) / 2);
});

for (const type of ["pointerup", "pointercancel"]) {
  document.addEventListener(type, () => delete find("stage")?.dataset.drag);
}

document.addEventListener("input", ({ target }) => {
  if (target.id === "divider") divide(target);
});

// Changes and progress

document.addEventListener("htmx:before:swap", () => {
  hadFocus = Boolean(findPanel()?.contains(document.activeElement));
});

document.addEventListener("htmx:after:swap", () => {
  const panel = findPanel();
  showPage(panel);
  if (find("divider")) divide(find("divider"));
  if (hadFocus && panel.dataset.version) keepFocus();
  const now = panel.dataset.state;
  if (now && now !== state && now !== "working") {
    announce(`${document.querySelector("h1").textContent.trim()}: ${now}`);
  }
  state = now;
});

/** Focus the heading where what had the focus disappeared. */
function keepFocus() {
  const { activeElement } = document;
  if (!activeElement.checkVisibility({ visibilityProperty: true })) activeElement.blur();
  focusHeading(document.querySelector("h1"));
}

// A reload compares the same file.
document.addEventListener("change", ({ target }) => {
  if (target.name === "after") history.replaceState(null, "", `?after=${encodeURIComponent(target.value)}`);
});

showPage(findPanel());
