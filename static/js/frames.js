/** The sheet with a job's images, of which each answer of the server brings those that changed. */

/** Put the images that a panel brought where they belong. */
export function placeImages(panel) {
  const changed = panel.querySelector("template.changed");
  if (!changed) return;
  const frames = document.querySelector(".frames");
  const images = [...changed.content.children].map((image) => {
    const old = document.getElementById(image.id);
    // Looked at before any is replaced: after that, each look would lay out the page anew.
    return { image, old, height: old?.firstElementChild.offsetHeight };
  });
  for (const { image, old, height } of images) {
    if (old) replace(old, image, height);
    else insert(frames, image);
  }
  changed.remove();
}

/** Replace an image by what became of it, as high; whoever is at a button of it stays near. */
function replace(old, image, height) {
  image.firstElementChild.style.containIntrinsicBlockSize = `auto ${height}px`;
  const focused = old.contains(document.activeElement) && document.activeElement.id;
  old.replaceWith(image);
  if (focused === false) return;
  image.tabIndex = -1;
  (document.getElementById(focused) ?? image).focus({ preventScroll: true });
}

/** Files that are sent side by side arrive in any order: each goes before those of later places. */
function insert(frames, image) {
  let next = null;
  for (let last = frames.lastElementChild; last; last = last.previousElementSibling) {
    if (Number(last.dataset.position) <= Number(image.dataset.position)) break;
    next = last;
  }
  frames.insertBefore(image, next);
}
