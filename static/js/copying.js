/** Buttons that copy: what they would show without script goes to the clipboard. */

import { ask } from "./changing.js";
import { announce, showNotice } from "./page.js";
import { onHtmx } from "./polling.js";

const KIND = "markup-kind"; // In what form somebody copied last.
const SHOWN = 2000; // Milliseconds that a button says what it did.

document.addEventListener("submit", async (event) => {
  const { target: form, submitter: button } = event;
  if (form.id !== "markup") return;
  event.preventDefault();
  const address = `${form.action}?${new URLSearchParams(new FormData(form, button))}`;
  const text = ask(address).then((answer) => answer.blob());
  try {
    await write(text);
  } catch {
    const problem = await text.then(() => null, (error) => error.message);
    if (problem) showNotice(`Not copied. ${problem}`);
    else location.assign(address); // No clipboard, over plain HTTP: there it can be copied by hand.
    return;
  }
  say(button);
});

/** Copy a text that is still to come: a browser may allow it only at once after a click. */
async function write(text) {
  const plain = text.then((blob) => new Blob([blob], { type: "text/plain" }));
  await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
}

function say(button) {
  if (button.dataset.label) return;
  const words = button.getAttribute("aria-label").replace(/^Copy/, "Copied");
  button.dataset.label = button.textContent;
  button.style.minInlineSize = `${button.offsetWidth}px`; // Nothing beside it moves.
  button.textContent = button.classList.contains("quiet") ? "✓" : "Copied ✓";
  announce(words);
  setTimeout(() => {
    button.textContent = button.dataset.label;
    delete button.dataset.label;
    if (document.getElementById("status").textContent === words) announce("");
  }, SHOWN);
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("#markup [name=as]")) remember(target.value);
});

function remember(kind) {
  try {
    localStorage.setItem(KIND, kind);
  } catch {
    // Without storage, the choice holds for this page.
  }
}

/** Choose what was chosen last, once for each form that comes. */
function restore() {
  const form = document.querySelector("#markup:not([data-restored])");
  if (!form) return;
  form.dataset.restored = "";
  try {
    const kind = localStorage.getItem(KIND);
    for (const choice of form.elements.as) choice.checked ||= choice.value === kind;
  } catch {
    // Then the first choice it is.
  }
}

onHtmx("after:swap", "afterSwap", restore);
restore();
