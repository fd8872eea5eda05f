/** One image: two versions of it under one divider, and a click for its focal point. */

import "./changing.js";
import "./copying.js";
import { announce } from "./page.js";
import { showPage } from "./panel.js";
import { findPanel, onHtmx } from "./polling.js";

let original = null; // Of the person's own disk: it is not sent anywhere.
let state = findPanel().dataset.state;

// Compare

document.addEventListener("input", ({ target }) => {
  if (target.matches(".divider")) divide(target);
});

function divide(range) {
  range.parentElement.querySelector(".compare-pictures").style.setProperty("--cut", `${range.value}%`);
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("#after")) compare();
  if (target.matches(".original-file") && target.files.length) lay(target.files[0]);
});

function lay(file) {
  if (original) URL.revokeObjectURL(original.url);
  original = { url: URL.createObjectURL(file), name: file.name };
  compare();
}

function compare() {
  const figure = document.getElementById("compare");
  const { dataset, textContent, value } = document.getElementById("after").selectedOptions[0];
  const before = figure.querySelector(".before");
  const after = figure.querySelector(".after");
  const facts = original ? original.name : dataset.beforeFacts;
  const [width, height] = dataset.size.split(" ");
  for (const picture of [before, after]) Object.assign(picture, { width, height });
  before.src = original?.url ?? dataset.before;
  before.alt = `Before: ${facts}`;
  after.src = value;
  after.alt = `After: ${textContent}`;
  figure.querySelector(".before-facts").textContent = facts;
  figure.classList.toggle("same", before.src === after.src);
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
  if (original && document.getElementById("compare")) compare();
  const now = panel.dataset.state;
  if (now && now !== state && now !== "working") announce(`${panel.querySelector("h1").textContent.trim()}: ${now}`);
  state = now;
});

showPage(findPanel());
