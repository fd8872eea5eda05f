/** The list of a job's images, of which each poll brings the changed ones. */

/** Move the changed images of a new panel into the list. */
export function placeImages(panel) {
  const changed = panel.querySelector("template.changed");
  if (!changed) return;
  const frames = document.querySelector(".frames");
  const images = [...changed.content.children].map((image) => {
    const old = document.getElementById(image.id);
    // Measure all heights before the first change: after it, each would force a new layout.
    return { image, old, height: old?.firstElementChild.offsetHeight };
  });
  for (const { image, old, height } of images) {
    if (old) replace(old, image, height);
    else insert(frames, image);
  }
  changed.remove();
}

/** Replace an image. Estimate its height by the old one, and keep the focus in it. */
function replace(old, image, height) {
  image.firstElementChild.style.containIntrinsicBlockSize = `auto ${height}px`;
  const focused = old.contains(document.activeElement) && document.activeElement.id;
  old.replaceWith(image);
  if (focused === false) return;
  image.tabIndex = -1;
  (document.getElementById(focused) ?? image).focus({ preventScroll: true });
}

/** Insert an image by its position: files that are uploaded in parallel arrive in any order. */
function insert(frames, image) {
  let next = null;
  for (let last = frames.lastElementChild; last; last = last.previousElementSibling) {
    if (Number(last.dataset.position) <= Number(image.dataset.position)) break;
    next = last;
  }
  frames.insertBefore(image, next);
}
