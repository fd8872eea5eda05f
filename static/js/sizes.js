/** What each photo becomes: the chosen sizes drawn to scale, and the number of files in words. */

import { rules, say } from "./rules.js";

const form = document.getElementById("upload");
const prints = document.getElementById("prints");
const name = document.getElementById("becomes-name");
const title = document.getElementById("becomes-title");
const submit = document.getElementById("submit");
const price = document.getElementById("price");
const note = document.getElementById("price-note");
const keep = document.getElementById("keep_hours");
const hours = document.getElementById("brief-hours");
const GROUPS = { cover: "cropped", pad: "padded", contain: "whole" };
const WIDEST = 2.4; // Crops are this wide at most, as a part of their height.
const LANDSCAPE = 1.5; // The shape that photos are given room for.
// Drawn before a photo is chosen; no size is larger.
const SAMPLE = { href: prints.dataset.sample, width: 6000, height: 4000 };

let photos = [];
let selected = null;

form.addEventListener("input", draw);
form.addEventListener("recipe", draw); // A size was added or removed.

/** Update the price and the button to the chosen photos. */
export function showPrice(chosen) {
  photos = chosen;
  drawPrice(chosenOutputs());
}

/** Draw the sizes of another photo; of the sample for null. */
export function showPhoto(item) {
  selected = item;
  name.hidden = !item;
  name.firstElementChild.textContent = item?.name ?? "";
  draw();
}

function draw() {
  const outputs = chosenOutputs();
  drawPrice(outputs);
  drawPrints(outputs);
}

function drawPrice(outputs) {
  const each = outputs.length;
  const counts = photos.map(({ preview }) => (preview ? filesOf(outputs, preview).size : each));
  const files = counts.reduce((sum, count) => sum + count, 0);
  const most = photos.length * each;
  const small = photos.filter((_, n) => counts[n] < each);
  const isSure = photos.every(({ preview }) => preview) || !outputs.some(hasFreeSide);
  price.textContent = say(photos.length ? "price" : "each", { photos: photos.length, each, files: most });
  note.hidden = !small.length;
  note.textContent = small.length
    ? say(small.length > 1 ? "smalls" : "small", { n: small.length, name: small[0].name, less: most - files })
    : "";
  // In its text node: WebKit loses a click during which that is replaced, as each preview would.
  submit.firstChild.data = say(files ? (isSure ? "make_count" : "make_most") : "make", { files });
  hours.textContent = keep.selectedOptions[0].textContent;
}

/** List the outputs that the form asks for, without duplicates, as the server does. */
function chosenOutputs() {
  const presets = [...form.querySelectorAll("[name=presets]:checked")];
  const all = [
    ...presets.flatMap(({ value }) => rules.presets[value]),
    ...[...form.querySelectorAll(".output")].flatMap(ownOutputs),
    ...widthsOf(form.querySelector(".responsive")),
  ];
  return [...new Map(all.map((output) => [keyOf(output), output])).values()];
}

function ownOutputs(part) {
  const field = (name) => part.querySelector(`[name$="-${name}"]`);
  const [width, height] = [number(field("width")), number(field("height"))];
  if (!width && !height) return [];
  const fit = part.querySelector("[name$=-fit]:checked").value;
  const rest = [...part.querySelectorAll(".more [name]")];
  const own = {
    title: width && height ? "" : String(width || height),
    name: nameOf(width, height, fit),
    width, height, fit,
    background: field("transparent").checked ? "transparent" : field("background").value,
    focus: field("focus").value,
    enlarge: field("enlarge").checked,
    enlargeBox: field("enlarge"),
    quality: number(field("quality")),
    rest: rest.map(({ type, checked, value }) => (type === "checkbox" ? checked : value)).join(),
  };
  return formatsOf(part, "format").map((format) => ({ ...own, format }));
}

function widthsOf(part) {
  const widths = part.querySelector("[name$=-widths]").value.split(/[\s,]+/).map(Number);
  return widths.filter((width) => width > 0).flatMap((width) =>
    formatsOf(part, "formats").map((format) => ({
      title: String(width), name: nameOf(width, null, "contain"), width, height: null, fit: "contain", format,
    })),
  );
}

function formatsOf(part, name) {
  return [...part.querySelectorAll(`[name$="-${name}"]:checked`)].map(({ value }) => value);
}

function number(field) {
  return Number(field.value) > 0 ? Number(field.value) : null;
}

/** The name that the server gives an output without one. */
function nameOf(width, height, fit) {
  return width && height ? `${width}x${height}-${fit}` : width ? `${width}w` : `${height}h`;
}

const DEFAULTS = ",,#ffffff,false,,srgb,false,false,false"; // Of the rest of a size of one's own.

function keyOf({ name, width, height, fit, format, rest = DEFAULTS }) {
  return [name, width, height, fit, format, rest].join("|");
}

function hasFreeSide({ width, height }) {
  return !width || !height;
}

/** Map the files of a photo to their outputs: of widths that come out equal, only the first is made. */
function filesOf(outputs, photo) {
  const files = new Map();
  for (const output of outputs) {
    const size = sizeOf(output, photo);
    const quality = output.quality ?? rules.qualities[output.format];
    const key = hasFreeSide(output) ? [...size, output.format, quality].join("|") : keyOf(output);
    if (!files.has(key)) files.set(key, output);
  }
  return files;
}

/** Return the size of a thumbnail of a photo, by the server's rules. */
function sizeOf({ width, height, fit, enlarge }, photo) {
  if (fit === "pad") return [width, height];
  const parts = [(width || rules.max_side) / photo.width, (height || rules.max_side) / photo.height];
  if (fit === "cover") {
    const shrink = enlarge ? 1 : Math.min(1, photo.width / width, photo.height / height);
    return [Math.max(1, Math.round(width * shrink)), Math.max(1, Math.round(height * shrink))];
  }
  const scale = enlarge ? Math.min(...parts) : Math.min(1, ...parts);
  return [Math.max(1, Math.round(photo.width * scale)), Math.max(1, Math.round(photo.height * scale))];
}

/** Draw all outputs: crops at one height, and whole photos to one scale. The height is the same for all photos. */
function drawPrints(outputs) {
  const photo = selected ? (selected.preview ?? {}) : SAMPLE;
  const each = outputs.length;
  title.textContent = say(each ? (selected ? "see" : "becomes") : "becomes_none", { each });
  const made = photo.width ? new Set(filesOf(outputs, photo).values()) : null;
  const whole = outputs.filter(({ fit }) => fit === "contain");
  const largest = Math.max(...whole.map(({ width, height }) => width ?? height * LANDSCAPE));
  const groups = Object.entries(GROUPS).map(([fit, key]) => {
    const those = outputs.filter((output) => output.fit === fit);
    if (fit === "contain") those.sort((one, other) => (other.width ?? 0) - (one.width ?? 0));
    return those.length ? drawGroup(key, those, (output) => drawPrint(output, photo, largest, made)) : null;
  });
  prints.replaceChildren(...groups.filter(Boolean));
  document.getElementById("becomes-note").hidden = !outputs.some(({ focus }) => focus === "smart");
}

/** Draw the outputs of one fit, one print for all formats of a size. */
function drawGroup(key, outputs, drawOne) {
  const group = clone("print-group-template");
  const formats = new Set(outputs.map(({ format }) => rules.format_names[format]));
  group.querySelector("h3").textContent = `${say(key)} · ${[...formats].join(" + ")}`;
  const shapes = new Map();
  for (const output of outputs) {
    const shape = keyOf({ ...output, format: "" });
    if (!shapes.has(shape)) shapes.set(shape, output);
  }
  group.querySelector("ul").append(...[...shapes.values()].map(drawOne));
  return group;
}

function drawPrint(output, photo, largest, made) {
  const print = clone("print-template");
  const { width, height, fit } = output;
  const box = [width ?? height * LANDSCAPE, height ?? width / LANDSCAPE];
  const scale = fit === "contain"
    ? Math.min(LANDSCAPE / largest, 1 / box[1])
    : Math.min(1, WIDEST / (box[0] / box[1])) / box[1];
  const svg = print.querySelector("svg");
  set(svg, { viewBox: `0 0 ${box.join(" ")}`, width: `${box[0] * scale}em`, height: `${box[1] * scale}em` });
  set(svg.querySelector("rect"), { fill: fit === "pad" ? output.background : "none" });
  const ratio = fit === "cover" ? "xMidYMid slice" : fit === "pad" ? "xMidYMid meet" : "xMinYMax meet";
  set(svg.querySelector("image"), { width: box[0], height: box[1], preserveAspectRatio: ratio });
  if (photo.href) svg.querySelector("image").setAttribute("href", photo.href);
  const size = photo.width ? sizeOf(output, photo) : [width, height];
  const asked = photo === SAMPLE || !photo.width ? size : sizeOf({ ...output, enlarge: true }, photo);
  const isSmaller = size.join() !== asked.join();
  const isMade = !made || made.has(output);
  print.querySelector("b").textContent = output.title || say("own");
  print.querySelector(".print-size").textContent = size[0] && size[1] ? (isMade ? size : asked).join(" × ") : "";
  if (isSmaller) print.querySelector(".print-small").textContent = say(isMade ? "smaller" : "left_out");
  const enlarge = print.querySelector("button");
  enlarge.hidden = !isSmaller || !output.enlargeBox;
  enlarge.addEventListener("click", () => output.enlargeBox.click());
  return print;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

function clone(id) {
  return document.getElementById(id).content.cloneNode(true).firstElementChild;
}

draw();
