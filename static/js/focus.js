/** Keep the focus where it was when htmx swaps what has it. */

let places = []; // The ids of where the focus was, the nearest first.

/** Note where the focus is: a card that is replaced loses it, and a button may disappear. */
document.addEventListener("htmx:before:swap", () => {
  const { activeElement } = document;
  const around = activeElement.closest(".frame, .photo, [popover]");
  const ids = [activeElement.id, around?.id, "job-heading"].filter(Boolean);
  places = activeElement === document.body ? [] : ids;
});

/** Return the focus to where it was, or near it. */
document.addEventListener("htmx:after:swap", () => {
  const { activeElement } = document;
  if (activeElement !== document.body && activeElement.checkVisibility()) return;
  const near = places.map((id) => document.getElementById(id)).find((one) => one?.checkVisibility());
  if (!near) return;
  if (near.tabIndex < 0) near.tabIndex = -1;
  near.focus({ preventScroll: true });
});
