/** Small pictures of the photos in sight, drawn one at a time. */

const SIDE = 512; // Pixels of the longest side: a frame has 180, and screens up to three for each.

const items = new WeakMap(); // By the frame of each.
const wanted = new Set(); // In sight and without a preview.
const observer = new IntersectionObserver(look, { rootMargin: "200px" });
let worker = null;
let isDrawing = false;
let onPreview = () => {};

/** Call `show` with each item that got its preview; null if the browser cannot decode it. */
export function showPreviews(show) {
  onPreview = show;
}

/** Draw the preview of an item once its frame is in sight. */
export function watchFrame(frame, item) {
  if (item.frame) observer.unobserve(item.frame);
  item.frame = frame;
  items.set(frame, item);
  observer.observe(frame);
}

/** Draw the preview of an item next, in sight or not. */
export function wantPreview(item) {
  if (item.preview === undefined) wanted.add(item);
  drawNext();
}

export function forgetPreview(item) {
  observer.unobserve(item.frame);
  wanted.delete(item);
  if (item.preview) URL.revokeObjectURL(item.preview.href);
}

function look(entries) {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) wanted.add(items.get(target));
    else wanted.delete(items.get(target));
  }
  drawNext();
}

async function drawNext() {
  if (isDrawing) return;
  isDrawing = true;
  for (const item of wanted) {
    wanted.delete(item);
    observer.unobserve(item.frame);
    item.preview = await draw(item.file);
    if (item.preview) item.preview.href = URL.createObjectURL(item.preview.picture);
    onPreview(item);
  }
  isDrawing = false;
}

function draw(file) {
  return new Promise((resolve) => {
    worker ??= new Worker(new URL("preview_worker.js", import.meta.url));
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => resolve(null);
    worker.postMessage({ file, side: SIDE });
  });
}
