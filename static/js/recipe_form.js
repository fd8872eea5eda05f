/** The form's outputs of one's own, and what is wrong with what was filled in. */

const outputs = document.getElementById("outputs");
const form = outputs.closest("form");

document.getElementById("add-output").addEventListener("click", () => {
  const last = outputs.lastElementChild;
  const output = last.cloneNode(true);
  const [prefix, number] = last.querySelector("[name]").name.match(/^outputs-(\d+)-/);
  const next = `outputs-${Number(number) + 1}-`;
  for (const element of output.querySelectorAll("*")) {
    for (const attribute of element.attributes) {
      attribute.value = attribute.value.replace(prefix, next);
    }
  }
  const legend = output.querySelector("legend");
  const count = outputs.children.length + 1;
  legend.textContent = legend.textContent.replace(/(, \d+)?$/, `, ${count}`);
  for (const side of ["width", "height"]) output.querySelector(`[name$=${side}]`).value = "";
  output.querySelector(".remove-output").hidden = false;
  clearProblems(output);
  outputs.append(output);
  output.querySelector("input").focus();
});

outputs.addEventListener("click", (event) => {
  if (!event.target.matches(".remove-output")) return;
  event.target.closest("fieldset").remove();
  outputs.lastElementChild.querySelector("input").focus();
});

/** Show a problem beside its field, or above the button if it has none. */
export function showProblem({ message, field }) {
  const beside = document.getElementById(`${field}-error`);
  const place = beside ?? document.getElementById("upload-error");
  place.textContent = message;
  place.hidden = false;
  const control = document.getElementById(field);
  control?.setAttribute("aria-invalid", "true");
  control?.focus();
}

/** Forget what was wrong before. */
export function clearProblems(part = form) {
  for (const error of part.querySelectorAll(".field-error")) error.hidden = true;
  for (const control of part.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
}
