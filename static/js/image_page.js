/** The page of an image: compare it with its files, and set the point that its crops keep in view. */

import "./changes.js";
import "./copying.js";
import { announce } from "./page.js";
import { focusHeading, showPage } from "./panel.js";
import { findPanel } from "./polling.js";

const STEP = 0.01; // Of the picture's side, by an arrow key.
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

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
  const isPicture = event.target.closest(".compare, .whole") && !event.target.closest("#divider, #point");
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

// Set the crop point

/** Show what the crops would be with the point in the two fields, or with none. */
function drawPoint() {
  const form = find("focus");
  if (!form) return;
  const fields = [form.elements.x, form.elements.y];
  const isSet = fields.every((field) => field.value && field.validity.valid);
  form.classList.toggle("tried", isSet && fields.some((field) => field.value !== field.defaultValue));
  const marks = find("marks");
  marks.classList.toggle("unset", !isSet);
  const [x, y] = fields.map((field) => 100 * field.value);
  for (const mark of marks.querySelectorAll(".mark")) {
    const [left, top, width, height] = mark.dataset.box.split(" ").map(Number);
    const box = isSet ? [within(x - width / 2, width), within(y - height / 2, height)] : [left, top];
    mark.setAttribute("x", `${box[0]}%`);
    mark.setAttribute("y", `${box[1]}%`);
    find(mark.dataset.trial)?.setAttribute("viewBox", [...box, width, height].join(" "));
  }
  if (!isSet) return;
  for (const circle of marks.querySelectorAll("circle")) {
    circle.setAttribute("cx", `${x}%`);
    circle.setAttribute("cy", `${y}%`);
  }
  const words = find("point").dataset.words;
  find("point").ariaLabel = words.replace("{x}", Math.round(x)).replace("{y}", Math.round(y));
}

/** Keep a crop within the picture, as the server does. */
function within(start, length) {
  return Math.min(Math.max(start, 0), 100 - length);
}

function setPoint(x, y) {
  const { elements } = find("focus");
  elements.x.value = fraction(x);
  elements.y.value = fraction(y);
  drawPoint();
}

function fraction(part) {
  return Math.min(Math.max(part, 0), 1).toFixed(2);
}

function point({ target, clientX, clientY }) {
  const box = target.getBoundingClientRect();
  setPoint((clientX - box.left) / box.width, (clientY - box.top) / box.height);
}

document.addEventListener("pointerdown", (event) => {
  if (event.target.id !== "point") return;
  event.target.setPointerCapture(event.pointerId);
  point(event);
});

document.addEventListener("pointermove", (event) => {
  if (event.target.id === "point" && event.target.hasPointerCapture(event.pointerId)) point(event);
});

for (const type of ["pointerup", "pointercancel"]) {
  document.addEventListener(type, () => delete find("stage")?.dataset.drag);
}

document.addEventListener("keydown", (event) => {
  const move = ARROWS[event.key];
  if (event.target.id !== "point" || !move) return;
  event.preventDefault();
  const { x, y } = find("focus").elements;
  const faster = event.shiftKey ? 10 : 1;
  setPoint(Number(x.value || 0.5) + faster * move[0], Number(y.value || 0.5) + faster * move[1]);
  announce(event.target.ariaLabel);
});

document.addEventListener("input", ({ target }) => {
  if (target.id === "divider") divide(target);
  if (target.matches("#focus-x, #focus-y")) drawPoint();
});

document.addEventListener("reset", ({ target }) => {
  if (target.id !== "focus") return;
  setTimeout(drawPoint); // The fields change after this event.
  find("point").focus();
});

// Changes and progress

document.addEventListener("htmx:before:swap", () => {
  hadFocus = Boolean(findPanel()?.contains(document.activeElement));
});

document.addEventListener("htmx:after:swap", () => {
  const panel = findPanel();
  showPage(panel);
  drawPoint();
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
drawPoint();
