/** What to make: sizes of one's own, what is wrong with them, and the address of it all. */

import { announce } from "./page.js";

const outputs = document.getElementById("outputs");
const form = outputs.closest("form");
const ADDRESS_NAMES = { presets: "preset", width: "w", height: "h" };

document.getElementById("add-output").addEventListener("click", () => {
  const last = outputs.lastElementChild;
  const output = last.cloneNode(true);
  renumber(output, outputs.children.length);
  // What is ticked and typed is copied with its element, and what is selected is not.
  for (const select of output.querySelectorAll("select")) {
    select.value = last.querySelector(`[name$=${select.name.split("-").at(-1)}]`).value;
  }
  for (const side of ["width", "height"]) output.querySelector(`[name$=${side}]`).value = "";
  output.querySelector(".remove-output").hidden = false;
  clearProblems(output);
  outputs.append(output);
  output.querySelector("input").focus();
});

function renumber(output, number) {
  const [prefix] = output.querySelector("[name]").name.match(/^outputs-\d+-/);
  for (const element of output.querySelectorAll("*")) {
    for (const attribute of element.attributes) {
      attribute.value = attribute.value.replace(prefix, `outputs-${number}-`);
    }
  }
}

outputs.addEventListener("click", (event) => {
  if (!event.target.closest(".remove-output")) return;
  event.target.closest(".output").remove();
  tellPixels();
  [...outputs.children].forEach(renumber); // The server counts them so, and names what is wrong with one.
  outputs.lastElementChild.querySelector("input").focus();
});

/** Write the recipe as the query of its address; what the server takes for granted is left out. */
export function recipeQuery() {
  const query = new URLSearchParams();
  let number = 0;
  for (const part of form.querySelectorAll(".cards, .output, .responsive, .keep")) {
    const sides = [...part.querySelectorAll("[name$=-width], [name$=-height], [name$=-widths]")];
    if (sides.length && !sides.some((side) => side.value.trim())) continue;
    if (part.matches(".output")) number += 1;
    for (const { name, type, checked, value, dataset } of part.querySelectorAll("[name]")) {
      if (type === "checkbox" ? !checked : value.trim() === dataset.default) continue;
      const field = name.split("-").at(-1);
      const suffix = part.matches(".output") && number > 1 ? number : "";
      query.append((ADDRESS_NAMES[field] ?? field) + suffix, value.trim());
    }
  }
  return query.toString();
}

/** Have the server fill in the same recipe the next time, without a jump on the page. */
export function rememberRecipe() {
  document.cookie = `recipe=${recipeQuery()}; path=/; max-age=31536000; samesite=lax`;
}

const link = document.getElementById("link-recipe");

link?.addEventListener("click", async () => {
  const address = new URL(`?${recipeQuery()}`, location.origin + location.pathname).href;
  history.replaceState(null, "", address);
  const copied = navigator.clipboard?.writeText(address) ?? Promise.reject();
  // Browsers copy only on this machine, or behind TLS.
  link.textContent = await copied.then(() => "Link copied", () => "Link is in the address bar");
  announce(link.textContent);
});

const pixelsError = document.getElementById("pixels-error");
let isTold = false;

/** Tell where all that is asked for has too many pixels, counted as the server does. */
function tellPixels() {
  const isTooMuch = countPixels() > Number(pixelsError.dataset.maxPixels);
  if (isTooMuch && !isTold) announce(pixelsError.textContent.trim());
  pixelsError.hidden = !isTooMuch;
  isTold = isTooMuch;
}

function countPixels() {
  let pixels = 0;
  for (const preset of form.querySelectorAll("[data-pixels]:checked")) {
    pixels += Number(preset.dataset.pixels);
  }
  for (const part of form.querySelectorAll(".output, .responsive")) {
    const value = (name) => part.querySelector(`[name$=-${name}]`)?.value.trim() ?? "";
    const formats = part.querySelectorAll(".choices :checked").length;
    const [width, height] = [Number(value("width")), Number(value("height"))];
    pixels += formats * (width || height) * (height || width);
    for (const side of new Set(value("widths").split(/[\s,]+/))) {
      pixels += formats * Number(side) ** 2;
    }
  }
  return pixels; // NaN, which is never too much, where something is no number.
}

form.addEventListener("input", () => {
  clearProblems();
  tellPixels();
  if (link) link.textContent = link.dataset.words;
});

/** Show a problem beside its field, or above the button if it has none. */
export function showProblem({ message, field }) {
  const place =
    document.getElementById(`${field}-error`) ?? document.getElementById("upload-error");
  place.textContent = message;
  place.hidden = false;
  const named = document.getElementById(field);
  const control = named?.matches("fieldset") ? named.querySelector("input") : named;
  for (let part = control?.closest("details"); part; part = part.parentElement.closest("details")) {
    part.open = true;
  }
  control?.setAttribute("aria-invalid", "true");
  control?.focus();
  place.scrollIntoView({ block: "nearest" }); // The panel may be scrolled, and lower than the window.
}

/** Forget what was wrong before. */
export function clearProblems(part = form) {
  for (const error of part.querySelectorAll(".field-error")) error.hidden = true;
  for (const control of part.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
}
