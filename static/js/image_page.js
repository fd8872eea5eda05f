/** The page of an image: compare it before and after, and click to set its focal point. */

import "./changing.js";
import "./copying.js";
import { announce } from "./page.js";
import { showPage } from "./panel.js";
import { findPanel } from "./polling.js";

let state = findPanel().dataset.state;

// Compare

let kept = null; // The user's choices in a panel that is being replaced.

document.addEventListener("input", ({ target }) => {
  if (target.matches(".divider")) divide(target);
});

document.addEventListener("change", ({ target }) => {
  if (target.matches("#after")) compare(target);
});

/** Move the divider. The style is on the root, as htmx would copy it in swaps, which the CSP forbids. */
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

document.addEventListener("htmx:before:swap", () => {
  const { range, select, code } = findChoices();
  kept = { cut: range?.value, name: select && nameOf(select.value), isOpen: code?.open };
});

// On before:settle, because after:swap comes after the new panel is painted.
document.addEventListener("htmx:before:settle", () => {
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

/** The file name in an address: a thumbnail that is made again gets a new address, but keeps its name. */
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

document.addEventListener("htmx:after:swap", () => {
  const panel = findPanel();
  showPage(panel);
  const now = panel.dataset.state;
  if (now && now !== state && now !== "working") announce(`${panel.querySelector("h1").textContent.trim()}: ${now}`);
  state = now;
});

showPage(findPanel());
