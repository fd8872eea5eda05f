/** The frames of photos that are being sent, until the job's cards take their places. */

import { fileSize } from "./files.js";
import { forgetPreview, showPreviews, watchFrame } from "./previews.js";
import { say } from "./rules.js";

const sent = new Map(); // Photos whose cards have no picture yet, by the ids of the cards.

export class Frames {
  #onRemove;
  #onRetry;

  constructor({ onRemove, onRetry }) {
    this.#onRemove = onRemove;
    this.#onRetry = onRetry;
    showPreviews(showPreview);
  }

  add(item) {
    const { content } = document.getElementById("sending-template");
    const frame = content.cloneNode(true).firstElementChild;
    frame.dataset.position = item.position;
    frame.querySelector("bdi").textContent = frame.querySelector("bdi").title = item.name;
    frame.querySelector(".frame-facts").textContent = fileSize(item.file.size);
    frame.querySelector("progress").ariaLabel = say("progress", item);
    frame.querySelector(".remove").addEventListener("click", () => this.#onRemove(item));
    frame.querySelector(".retry").addEventListener("click", () => {
      this.#onRetry(item);
      frame.querySelector(".remove").focus();
    });
    place(frame, item.position);
    displayPreview(frame, item);
    this.update(item);
  }

  update(item) {
    const { frame, name, state, why, part } = item;
    if (!frame.matches(".frame")) return; // One of hundreds, not shown yet.
    const isSending = state === "sending";
    const canCancel = state !== "sent" && !(isSending && part === 1); // After the last byte, it has no effect.
    const words = isSending && part === 1 ? "checking" : state;
    frame.querySelector(".ribbon").textContent = say(words, { percent: Math.floor(part * 100) });
    frame.classList.toggle("failed", Boolean(why));
    const reason = frame.querySelector(".frame-why");
    reason.textContent = why ?? "";
    reason.hidden = !why;
    const progress = frame.querySelector("progress");
    progress.value = part;
    progress.hidden = !isSending;
    const [retry, remove] = ["retry", "remove"].map((one) => frame.querySelector(`.${one}`));
    retry.hidden = state !== "failed";
    retry.ariaLabel = say("retry", item);
    if (!canCancel && document.activeElement === remove) document.querySelector("h1").focus();
    remove.hidden = !canCancel;
    remove.textContent = say(isSending ? "cancel_short" : "remove_short");
    remove.ariaLabel = say(isSending ? "cancel" : "remove", { name });
    if (state === "sent") handOver(item);
  }

  /** Remove a frame. If it has the focus, its neighbour gets it, not the top of the page. */
  remove(item) {
    const { frame } = item;
    const neighbour = frame.nextElementSibling ?? frame.previousElementSibling;
    const hadFocus = frame.contains(document.activeElement);
    frame.remove();
    forgetPreview(item);
    if (hadFocus) (neighbour?.querySelector("button, a") ?? document.querySelector("h1")).focus();
  }
}

/** Put a frame in the order of positions; most are the last. */
function place(frame, position) {
  const list = document.getElementById("frames");
  let next = null;
  for (let one = list.lastElementChild; one?.dataset.position > position; one = one.previousElementSibling) next = one;
  list.insertBefore(frame, next);
}

/** Let the card of the image take the place of its frame; it may be there already. */
function handOver(item) {
  const id = `image-${item.id}`;
  if (document.getElementById(id)) item.frame.remove();
  else item.frame.id = id;
  sent.set(id, item);
  keepPreviews();
}

/** Keep the preview of a photo that is sent in its card, until that has a picture. */
function keepPreviews() {
  for (const [id, item] of sent) {
    const card = document.getElementById(id);
    if (card === item.frame) continue;
    if (card?.querySelector(".shot img") || !card?.matches(".waiting, .working")) {
      forgetPreview(item);
      sent.delete(id);
    } else {
      displayPreview(card, item);
    }
  }
}

document.addEventListener("htmx:after:swap", () => {
  removeReplaced();
  keepPreviews();
});

/** Remove the frames whose cards a poll brought before the answer to their upload. */
function removeReplaced() {
  for (const frame of document.querySelectorAll("#frames > .sending:not([id])")) {
    if (document.querySelector(`#frames > [id][data-position="${frame.dataset.position}"]`)) frame.remove();
  }
}

function displayPreview(frame, item) {
  if (item.preview === undefined) watchFrame(frame, item);
  else {
    item.frame = frame;
    showPreview(item);
  }
}

function showPreview({ frame, preview, name }) {
  const shown = document.createElement(preview ? "img" : "span");
  shown.className = preview ? "preview" : "kind";
  if (preview) Object.assign(shown, { src: preview.href, alt: "", width: preview.width, height: preview.height });
  else shown.textContent = name.split(".").at(-1).slice(0, 5).toUpperCase();
  frame.querySelector(".shot").prepend(shown);
}
