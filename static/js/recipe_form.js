/** The recipe form: add and remove sizes, show errors. */

const outputs = document.getElementById("outputs");
const form = outputs.closest("form");

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
  form.dispatchEvent(new Event("input"));
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
  [...outputs.children].forEach(renumber); // The server counts from 0 and names fields in its errors.
  form.dispatchEvent(new Event("input"));
  outputs.lastElementChild.querySelector("input").focus();
});

form.addEventListener("input", () => clearProblems());

/** Return what the form asks for, without its photos. */
export function recipeFields() {
  const fields = new FormData(form);
  fields.delete("images");
  fields.delete("csrf_token"); // Sent as a header, and renewed when needed.
  return fields;
}

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
  for (const error of part.querySelectorAll(".field-error:not(#excess)")) error.hidden = true;
  for (const control of part.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
}
