/** One image: what it was and what was made of it, side by side or under one divider; a click for its focal point. */

import "./changing.js";
import "./copying.js";
import { announce } from "./page.js";
import { showPage } from "./panel.js";
import { findPanel, onHtmx } from "./polling.js";

let state = findPanel().dataset.state;

// Compare

let kept = null; // What somebody chose in a panel that is being replaced.

document.addEventListener("input", ({ target }) => {
  if (target.matches(".divider")) divide(target);
});

document.addEventListener("change", ({ target }) => {
  if (target.matches("#after")) compare(target);
});

/** Cut where the slider is. On the root, which no swap touches: htmx copies styles, and our policy forbids that. */
function divide(range) {
  document.documentElement.style.setProperty("--cut", `${range.value}%`);
}

function compare(select) {
  const figure = select.closest(".compare");
  const { dataset, textContent, value } = select.selectedOptions[0];
  show(figure.querySelector(".before"), dataset.before, dataset.beforeSize, `Before: ${dataset.beforeFacts}`);
  show(figure.querySelector(".after"), value, dataset.size, `After: ${textContent}`);
  figure.querySelector(".before-facts").textContent = dataset.beforeFacts;
  figure.className = `compare ${dataset.view}`;
}

function show(picture, src, size, alt) {
  const [width, height] = size.split(" ");
  Object.assign(picture, { width, height, alt });
  if (picture.getAttribute("src") !== src) picture.src = src;
}

onHtmx("before:swap", "beforeSwap", () => {
  const { range, select, code } = findChoices();
  kept = { cut: range?.value, name: select && nameOf(select.value), isOpen: code?.open };
});

// Before the new panel is painted, not when all of the swap is over.
onHtmx("before:settle", "afterSwap", () => {
  const { range, select, code } = findChoices();
  if (range) range.value = kept?.cut ?? range.value;
  if (code) code.open = kept?.isOpen ?? false;
  const choice = [...(select?.options ?? [])].find(({ value }) => nameOf(value) === kept?.name);
  if (!choice) return;
  choice.selected = true;
  compare(select);
});

function findChoices() {
  return {
    range: document.querySelector(".divider"),
    select: document.getElementById("after"),
    code: document.querySelector(".code-of"),
  };
}

/** What is made anew has another address and keeps its name. */
function nameOf(address) {
  return address.split("/").at(-1);
}

// Focal point

document.addEventListener("click", (event) => {
  const picture = event.target.closest(".focus-picture");
  if (!picture) return;
  const box = picture.getBoundingClientRect();
  const form = picture.closest("form");
  form.elements.x.value = fraction((event.clientX - box.left) / box.width);
  form.elements.y.value = fraction((event.clientY - box.top) / box.height);
  form.requestSubmit();
});

function fraction(part) {
  return Math.min(Math.max(part, 0), 1).toFixed(2);
}

// Progress

onHtmx("after:swap", "afterSwap", () => {
  const panel = findPanel();
  showPage(panel);
  const now = panel.dataset.state;
  if (now && now !== state && now !== "working") announce(`${panel.querySelector("h1").textContent.trim()}: ${now}`);
  state = now;
});

showPage(findPanel());
