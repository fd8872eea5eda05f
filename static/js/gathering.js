/** Gather files for the queue: chosen, dropped or pasted ones. */

import { cleanName, findFault, listDropped, listPasted, withoutSystemFiles } from "./files.js";
import { queue } from "./queue.js";
import { rules, say } from "./rules.js";

const TEXT_FIELDS = "input:is([type=text], [type=number], [type=search]), textarea"; // These keep their own paste and drop.
const FIELDS = "[type=file][data-gather]";
const CHECKED_AT_ONCE = 20; // Files: the page stays responsive while hundreds are checked.

let page = null;
let adding = Promise.resolve(); // Files are added one batch after the other.

/**
 * Gather files for a page. `open` is called before they are added and may fail, `added` after it with
 * those that were there already; `has` tells of one, `fail` gets errors, `place` where files can be dropped.
 */
export function gather(forPage) {
  page = forPage;
  for (const field of document.querySelectorAll(FIELDS)) addFrom(field); // Chosen before this script was loaded.
}

/** Wait until all files are added. */
export function added() {
  return adding;
}

/** Add files; if `missing`, only those that the job misses, at their positions. */
export function add(files, missing = null) {
  adding = adding.then(() => addNow(files, missing)).catch((error) => page.fail(error));
}

async function addNow(files, missing) {
  let wanted = withoutSystemFiles(await files);
  if (!wanted.length) throw Object.assign(new Error(say("no_files")), { field: "images" });
  const positions = new Map(missing && wanted.map((file) => [file, take(missing, file)]));
  if (missing) wanted = wanted.filter((file) => positions.get(file));
  if (!wanted.length) throw new Error(say("none_missing"));
  await page.open();
  const known = [];
  const check = (start) => Promise.all(wanted.slice(start, start + CHECKED_AT_ONCE).map((file) => findFault(file)));
  let checking = check(0);
  for (let start = 0; start < wanted.length; start += CHECKED_AT_ONCE) {
    const faults = await checking;
    checking = check(start + CHECKED_AT_ONCE); // Read the next ones meanwhile.
    faults.forEach((fault, n) => {
      const file = wanted[start + n];
      if (queue.has(file) || page.has(file)) known.push(file);
      else queue.add(file, fault ?? findExcess(), positions.get(file));
    });
  }
  page.added(sayKnown(known));
}

/** Return the position of a file that is missing, by its name's beginning and its size, and take it off the list. */
function take(missing, file) {
  const name = cleanName(file.name);
  const n = missing.findIndex((one) => name.startsWith(one.name) && one.bytes === file.size);
  return n < 0 ? null : missing.splice(n, 1)[0].position;
}

/** Return the reason why the job cannot have another image, or null. */
function findExcess() {
  return queue.count + page.count() < rules.max_images ? null : rules.too_many;
}

function sayKnown(known) {
  if (known.length > 1) return say("all_already", { n: known.length });
  return known.length ? say("already", { name: known[0].name }) : "";
}

document.addEventListener("change", ({ target }) => target.matches(FIELDS) && addFrom(target));

/** Add what a file input chose. */
function addFrom(field) {
  if (!field.files.length) return;
  add([...field.files], field.dataset.gather === "missing" ? page.missing() : null);
  field.value = ""; // So that choosing the same file again is a change.
}

addEventListener("paste", (event) => {
  const isText = document.activeElement?.matches(TEXT_FIELDS);
  if (!page.place() || isText || !event.clipboardData.files.length) return;
  event.preventDefault();
  add(listPasted(event.clipboardData));
});

// On the whole window, even when the page accepts no more files: otherwise the browser would leave
// the page to open a file that was dropped beside the zone.
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(type, drag);

function drag(event) {
  const place = event.dataTransfer.types.includes("Files") ? page.place() : null;
  if (!place && event.target.matches?.(TEXT_FIELDS)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = place ? "copy" : "none";
  if (event.type === "dragenter" && place) showDropFrame(place, event.dataTransfer.items.length);
  if (event.type === "drop" || (event.type === "dragleave" && !event.relatedTarget)) hideDropFrame();
  if (event.type === "drop" && place) add(listDropped(event.dataTransfer));
}

function showDropFrame(place, n) {
  const frame = document.getElementById("drop-frame");
  place.append(frame);
  document.getElementById("drop-words").textContent = say(n ? "drop" : "drop_some", { n });
  frame.hidden = false;
  document.body.classList.add("dragging");
}

function hideDropFrame() {
  document.getElementById("drop-frame")?.toggleAttribute("hidden", true);
  document.body.classList.remove("dragging");
}
