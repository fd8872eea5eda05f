/** Copy buttons: put into the clipboard what they would open without script. */

import { readProblem } from "./changes.js";
import { showNotice } from "./page.js";

const STORAGE_KEY = "markup-kind"; // The markup language chosen last.
const findDialog = () => document.getElementById("copy-by-hand");

document.addEventListener("submit", async (event) => {
  const { target: form, submitter: button } = event;
  if (form.id !== "markup") return;
  event.preventDefault();
  const fields = new FormData(form, button);
  if (button.name === "as") remember(button.value);
  else if (!fields.has("as") && recall()) fields.set("as", recall());
  const address = `${form.action}?${new URLSearchParams(fields)}`;
  const { copy: verb, copied, [fields.get("as")]: lasting } = findDialog().dataset;
  const until = lasting ?? document.getElementById("links")?.textContent ?? "";
  await copy(load(address), `${button.ariaLabel.replace(verb, copied)}. ${until}`.trim());
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest(".share");
  if (!button) return;
  const { title } = button.dataset;
  const { href: url } = new URL(button.dataset.url, location);
  if (navigator.share) await navigator.share({ title, url }).catch(() => {});
  else await copy(Promise.resolve(url), button.querySelector(".done").textContent);
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copies]");
  if (!button) return;
  const { textContent: words } = document.getElementById(button.dataset.copies);
  await copy(Promise.resolve(words), button.querySelector(".done").textContent);
});

/** Load a text. Throws an error with a message for the user if that fails. */
async function load(address) {
  const response = await fetch(address).catch(() => {
    throw new Error(document.getElementById("status").dataset.unreachable);
  });
  const text = await response.text();
  if (!response.ok) throw new Error(readProblem(text));
  return text;
}

/** Copy a text that may still be loading, and confirm it; show why not, or the text to copy by hand. */
async function copy(text, done) {
  try {
    const isCopied = (await write(text)) || copySelected(await text);
    if (isCopied) showNotice(done);
    else showText(await text);
  } catch (error) {
    showNotice(findDialog().dataset.failed.replace("{}", error.message));
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
  const dialog = findDialog();
  const area = dialog.querySelector("textarea");
  area.value = words;
  dialog.showModal();
  area.select();
}

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
