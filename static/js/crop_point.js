/** The points that crops keep in view, each set on a picture by click, drag and arrow keys. */

import { announce } from "./page.js";

const STEP = 0.01; // Of the picture's side, by an arrow key.
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

/** Show what the crops would be with the point in the two fields of a form, or with none. */
function draw(point) {
  const { form, parentElement: picture } = point;
  const fields = [form.elements.x, form.elements.y];
  const isSet = fields.every((field) => field.value && field.validity.valid);
  form.classList.toggle("tried", isSet && fields.some((field) => field.value !== field.defaultValue));
  const marks = picture.querySelector(".marks");
  marks.classList.toggle("unset", !isSet);
  const [x, y] = fields.map((field) => 100 * field.value);
  for (const mark of marks.querySelectorAll(".mark")) {
    const [left, top, width, height] = mark.dataset.box.split(" ").map(Number);
    const box = isSet ? [within(x - width / 2, width), within(y - height / 2, height)] : [left, top];
    mark.setAttribute("x", `${box[0]}%`);
    mark.setAttribute("y", `${box[1]}%`);
    document.getElementById(mark.dataset.trial)?.setAttribute("viewBox", [...box, width, height].join(" "));
  }
  if (!isSet) return;
  for (const circle of marks.querySelectorAll("circle")) {
    circle.setAttribute("cx", `${x}%`);
    circle.setAttribute("cy", `${y}%`);
  }
  point.ariaLabel = point.dataset.words.replace("{x}", Math.round(x)).replace("{y}", Math.round(y));
}

/** Keep a crop within the picture, as the server does. */
function within(start, length) {
  return Math.min(Math.max(start, 0), 100 - length);
}

function set(point, x, y) {
  point.form.elements.x.value = fraction(x);
  point.form.elements.y.value = fraction(y);
  draw(point);
}

function fraction(part) {
  return Math.min(Math.max(part, 0), 1).toFixed(2);
}

/** Follow a click or a drag. */
function follow({ target, buttons, pointerId, clientX, clientY }) {
  if (buttons !== 1 || !target.matches(".point")) return;
  target.setPointerCapture(pointerId);
  const box = target.getBoundingClientRect();
  set(target, (clientX - box.left) / box.width, (clientY - box.top) / box.height);
}

function pointOf(form) {
  return form && document.querySelector(`.point[form="${form.id}"]`);
}

document.addEventListener("pointerdown", follow);
document.addEventListener("pointermove", follow);

// A finger that scrolls the page moves no point.
document.addEventListener("pointercancel", ({ target }) => {
  if (target.matches(".point")) target.form.reset();
});

document.addEventListener("keydown", (event) => {
  const move = ARROWS[event.key];
  if (!event.target.matches(".point") || !move) return;
  event.preventDefault();
  const { form, dataset } = event.target;
  const faster = event.shiftKey ? 10 : 1;
  const [x, y] = ["x", "y"].map((axis) => Number(form.elements[axis].value || dataset[axis]));
  set(event.target, x + faster * move[0], y + faster * move[1]);
  announce(event.target.ariaLabel);
});

document.addEventListener("input", ({ target }) => {
  if (target.matches("[name=x], [name=y]")) draw(pointOf(target.form));
});

document.addEventListener("reset", ({ target }) => {
  const point = pointOf(target);
  if (!point) return;
  setTimeout(() => draw(point)); // The fields change after this event.
  point.focus();
});

/** Draw all again: a swap sets the marks as the server knows them, and leaves what was typed. */
function drawAll() {
  document.querySelectorAll(".point").forEach(draw);
}

document.addEventListener("htmx:after:swap", drawAll);
drawAll();
