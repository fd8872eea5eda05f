/** Copy buttons: put into the clipboard what they would open without script. */

import { send } from "./changing.js";
import { showNotice } from "./page.js";

const STORAGE_KEY = "markup-kind"; // The markup language chosen last.

document.addEventListener("submit", async (event) => {
  const { target: form, submitter: button } = event;
  if (form.id !== "markup") return;
  event.preventDefault();
  const fields = new FormData(form, button);
  if (button.name === "as") remember(button.value);
  else if (!fields.has("as") && recall()) fields.set("as", recall());
  const address = `${form.action}?${new URLSearchParams(fields)}`;
  const until = document.getElementById("links")?.textContent ?? "";
  const done = `${button.ariaLabel.replace(/^Copy/, "Copied")}. ${until}`;
  await copy(send(address).then((response) => response.text()), done.trim());
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("#share");
  if (!button) return;
  const url = location.origin + location.pathname;
  if (navigator.share) await navigator.share({ title: document.title, url }).catch(() => {});
  else await copy(Promise.resolve(url), button.dataset.done);
});

/** Copy a text that may still be loading, and confirm it; show why not, or the text to copy by hand. */
async function copy(text, done) {
  try {
    const isCopied = (await write(text)) || copySelected(await text);
    if (isCopied) showNotice(done);
    else showText(await text);
  } catch (error) {
    showNotice(`Not copied. ${error.message}`);
  }
}

/** Write to the clipboard; return false where it is not allowed, as over plain HTTP. */
async function write(text) {
  try {
    // With a promise, because browsers may only allow this directly after a click.
    const plain = text.then((words) => new Blob([words], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
    return true;
  } catch {
    return false;
  }
}

/** Copy by selecting; return whether the browser allowed it. */
function copySelected(words) {
  const { activeElement } = document;
  const area = document.createElement("textarea");
  area.className = "visually-hidden";
  area.value = words;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  activeElement.focus({ preventScroll: true });
  return isCopied;
}

function showText(words) {
  const dialog = document.getElementById("copy-by-hand");
  const area = dialog.querySelector("textarea");
  area.value = words;
  dialog.showModal();
  area.select();
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

function recall() {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

/** Restore the last choice, once in each new form. */
function restore() {
  const form = document.querySelector("#markup:not([data-restored])");
  if (!form?.elements.as?.forEach) return;
  form.dataset.restored = "";
  for (const choice of form.elements.as) choice.checked ||= choice.value === recall();
}

document.addEventListener("htmx:after:swap", restore);
restore();
