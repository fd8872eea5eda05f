/** Copy buttons: put into the clipboard what they would open without script. */

import { send } from "./changing.js";
import { announce, showNotice } from "./page.js";

const STORAGE_KEY = "markup-kind"; // The markup language chosen last.
const CONFIRMATION_MS = 2000;

document.addEventListener("submit", async (event) => {
  const { target: form, submitter: button } = event;
  if (form.id !== "markup") return;
  event.preventDefault();
  const address = `${form.action}?${new URLSearchParams(new FormData(form, button))}`;
  const text = send(address).then((response) => response.blob());
  try {
    await write(text);
  } catch {
    const problem = await text.then(() => null, (error) => error.message);
    if (problem) showNotice(`Not copied. ${problem}`);
    else location.assign(address); // Plain HTTP has no clipboard: show the text to copy by hand.
    return;
  }
  showCopied(button);
});

/** Copy a text that is still loading: browsers may only allow this directly after a click. */
async function write(text) {
  const plain = text.then((blob) => new Blob([blob], { type: "text/plain" }));
  await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
}

/** Show and announce on a button that it has copied. */
function showCopied(button) {
  if (button.dataset.label) return;
  const words = button.getAttribute("aria-label").replace(/^Copy/, "Copied");
  button.dataset.label = button.textContent;
  button.style.minInlineSize = `${button.offsetWidth}px`; // So that nothing moves.
  button.textContent = button.classList.contains("quiet") ? "✓" : "Copied ✓";
  announce(words);
  setTimeout(() => {
    button.textContent = button.dataset.label;
    delete button.dataset.label;
    if (document.getElementById("status").textContent === words) announce("");
  }, CONFIRMATION_MS);
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("#markup [name=as]")) remember(target.value);
});

function remember(kind) {
  try {
    localStorage.setItem(STORAGE_KEY, kind);
  } catch {
    // Without storage, the choice lasts for this page.
  }
}

/** Restore the last choice, once in each new form. */
function restore() {
  const form = document.querySelector("#markup:not([data-restored])");
  if (!form) return;
  form.dataset.restored = "";
  try {
    const kind = localStorage.getItem(STORAGE_KEY);
    for (const choice of form.elements.as) choice.checked ||= choice.value === kind;
  } catch {
    // Without storage, the first choice stays.
  }
}

document.addEventListener("htmx:after:swap", restore);
restore();
