/** The recipe form: add and remove sizes, show errors, link to the recipe. */

import { announce } from "./page.js";

const outputs = document.getElementById("outputs");
const form = outputs.closest("form");
const ADDRESS_NAMES = { presets: "preset", width: "w", height: "h" };

document.getElementById("add-output").addEventListener("click", () => {
  const last = outputs.lastElementChild;
  const output = last.cloneNode(true);
  renumber(output, outputs.children.length);
  // cloneNode copies ticks and text, but no selections.
  for (const select of output.querySelectorAll("select")) {
    select.value = last.querySelector(`[name$=${select.name.split("-").at(-1)}]`).value;
  }
  for (const side of ["width", "height"]) output.querySelector(`[name$=${side}]`).value = "";
  output.querySelector(".remove-output").hidden = false;
  clearProblems(output);
  outputs.append(output);
  form.dispatchEvent(new Event("recipe"));
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
  checkPixels();
  [...outputs.children].forEach(renumber); // The server counts from 0 and names fields in its errors.
  form.dispatchEvent(new Event("recipe"));
  outputs.lastElementChild.querySelector("input").focus();
});

/** Return the recipe as a query string, without the defaults. */
function recipeQuery() {
  const query = new URLSearchParams();
  let number = 0;
  for (const part of form.querySelectorAll(".presets, .output, .responsive, .keep")) {
    const sides = [...part.querySelectorAll("[name$=-width], [name$=-height], [name$=-widths]")];
    if (sides.length && !sides.some((side) => side.value.trim())) continue;
    if (part.matches(".output")) number += 1;
    for (const { name, type, checked, value, dataset } of part.querySelectorAll("[name]")) {
      const isTicked = type !== "checkbox" && type !== "radio" ? true : checked;
      if (!isTicked || (type !== "checkbox" && value.trim() === dataset.default)) continue;
      const field = name.split("-").at(-1);
      const suffix = part.matches(".output") && number > 1 ? number : "";
      query.append((ADDRESS_NAMES[field] ?? field) + suffix, value.trim());
    }
  }
  return query.toString();
}

const link = document.getElementById("link-recipe");
const linkLabel = link?.textContent;

link?.addEventListener("click", async () => {
  const address = new URL(`?${recipeQuery()}`, location.origin + location.pathname).href;
  history.replaceState(null, "", address);
  const copied = navigator.clipboard?.writeText(address) ?? Promise.reject();
  // Browsers have a clipboard only on localhost or with TLS.
  link.textContent = await copied.then(() => link.dataset.copied, () => link.dataset.kept);
  announce(link.textContent);
});

const pixelsError = document.getElementById("pixels-error");
let isTooLarge = false;

/** Show an error while the outputs have too many pixels in total, counted as the server does. */
function checkPixels() {
  const wasTooLarge = isTooLarge;
  isTooLarge = countPixels() > Number(pixelsError.dataset.maxPixels);
  if (isTooLarge && !wasTooLarge) announce(pixelsError.textContent.trim());
  pixelsError.hidden = !isTooLarge;
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
  return pixels; // NaN, which is never too large, if a field is not a number.
}

form.addEventListener("input", () => {
  clearProblems();
  checkPixels();
  if (link) link.textContent = linkLabel;
});

/** Show an error beside its field, or above the submit button if it has none. */
export function showProblem({ message, field }) {
  const error =
    document.getElementById(`${field}-error`) ?? document.getElementById("upload-error");
  error.textContent = message;
  error.hidden = false;
  const element = document.getElementById(field);
  const control = element?.matches("fieldset") ? element.querySelector("input") : element;
  for (let part = control?.closest("details"); part; part = part.parentElement.closest("details")) {
    part.open = true;
  }
  control?.setAttribute("aria-invalid", "true");
  control?.focus();
  error.scrollIntoView({ block: "nearest" }); // It may be outside the visible part of the form.
}

/** Hide earlier errors. */
export function clearProblems(part = form) {
  for (const error of part.querySelectorAll(".field-error")) error.hidden = true;
  for (const control of part.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
}
