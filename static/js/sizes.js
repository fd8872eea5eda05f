/** What each photo becomes: the server draws it for the form and the photos, whose pictures are here. */

import { announce } from "./page.js";
import { queue } from "./queue.js";
import { recipeFields } from "./recipe_form.js";
import { post } from "./upload.js";

const TYPING_MS = 100; // After the last change.
const PAUSE_MS = 500; // Between two drawings while photos arrive.
const form = document.getElementById("upload");
const name = document.getElementById("becomes-name");

let selected = null;
let timer = 0;
let drawing = null; // The promise of the last one,
let drawn = 0; // and when it began.

form.addEventListener("input", drawSoon);
addEventListener("online", drawSoon);

form.addEventListener("click", ({ target }) => {
  if (target.id === "link-recipe") copyLink();
  document.getElementById(target.dataset.box)?.click(); // Enlarge.
});

/** Count the files of the chosen photos again. */
export function countAgain() {
  timer ||= setTimeout(draw, Math.max(TYPING_MS, drawn + PAUSE_MS - Date.now()));
}

/** Draw the sizes of another photo; of the sample for null. */
export function showPhoto(item) {
  selected = item;
  name.hidden = !item;
  name.firstElementChild.textContent = item?.name ?? "";
  drawPhoto(form);
  drawSoon();
}

function drawSoon() {
  clearTimeout(timer);
  timer = setTimeout(draw, TYPING_MS);
}

function draw() {
  clearTimeout(timer);
  timer = 0;
  if (!form.isConnected) return; // The job was created.
  drawn = Date.now();
  const { photos } = queue;
  const fields = recipeFields();
  fields.append("photos", photos.map(describe).join());
  fields.append("selected", selected ? describe(selected) : "");
  const asked = post(form.dataset.sizesUrl, fields).then(
    ({ parts }) => drawing === asked && show(parts, photos),
    () => {}, // The last drawing stays.
  );
  drawing = asked;
}

/** Write what is known of a photo; "?" if the browser cannot decode it, or has not yet. */
function describe({ preview, file }) {
  return preview ? `${preview.width}x${preview.height} ${file.type.split("/").at(-1)}` : "?";
}

/** Put the parts of an answer in their places, those that differ. */
function show(html, photos) {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  drawPhoto(body);
  for (const one of body.querySelectorAll("[data-photo]")) one.textContent = photos[one.dataset.photo].name;
  for (const part of [...body.children]) {
    const old = document.getElementById(part.id);
    if (!old || old.isEqualNode(part)) continue;
    // In its text node: WebKit loses a click during which that is replaced, as each preview would.
    if (part.matches("span")) old.firstChild.data = part.textContent;
    else old.replaceWith(part);
  }
}

/** Draw the selected photo in all sizes. */
function drawPhoto(root) {
  const href = selected?.preview?.href;
  for (const image of root.querySelectorAll(".print image")) {
    if (href) image.setAttribute("href", href);
    else if (selected) image.removeAttribute("href");
  }
}

async function copyLink() {
  if (timer) draw();
  await drawing;
  const link = document.getElementById("link-recipe");
  const { href } = new URL(link.dataset.address, location.href);
  history.replaceState(null, "", href);
  const copied = navigator.clipboard?.writeText(href) ?? Promise.reject();
  // Browsers have a clipboard only on localhost or with TLS.
  link.textContent = await copied.then(() => link.dataset.copied, () => link.dataset.kept);
  announce(link.textContent);
}
