/** The rows of files that are being uploaded. */

import { fileSize } from "./files.js";
import { say } from "./rules.js";

const POINTER_MS = 3000; // After the pointer moved in the list, a click may follow for so long.

export class Rows {
  #section;
  #list;
  #template;
  #onRemove;
  #onRetry;
  #sentRows = []; // Removed when the queue is idle, because removing a row moves all after it.
  #followed = null; // The row that `follow` scrolled to last.
  #pointerMovedAt = -Infinity;

  constructor(section, template, onRemove, onRetry) {
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#template = template;
    this.#onRemove = onRemove;
    this.#onRetry = onRetry;
    // Not :hover: the submit button may have been where the list is now.
    this.#list.addEventListener("pointermove", ({ timeStamp }) => (this.#pointerMovedAt = timeStamp));
  }

  add(item) {
    item.row = this.#template.content.cloneNode(true).firstElementChild;
    item.row.querySelector(".row-name").textContent = item.name;
    item.row.querySelector("progress").ariaLabel = say("progress", item);
    item.row.querySelector(".row-remove").addEventListener("click", () => this.#onRemove(item));
    item.row.querySelector(".row-retry").addEventListener("click", () => {
      this.#onRetry(item);
      item.row.querySelector(".row-remove").focus();
    });
    this.#list.append(item.row);
    this.update(item);
  }

  update({ file, name, row, state, why, part }) {
    const isSending = state === "sending";
    const isSent = state === "sent";
    const canCancel = !isSent && !(isSending && part === 1); // After the last byte, it has no effect.
    const size = fileSize(file.size);
    const sending = part < 1 ? "part" : "checking";
    const words = isSending ? sending : why || isSent ? state : "";
    row.querySelector(".row-state").textContent = words
      ? say(words, { size, percent: Math.floor(part * 100) })
      : size;
    row.classList.toggle("refused", Boolean(why));
    const reason = row.querySelector(".row-why");
    reason.textContent = why ?? "";
    reason.hidden = !why;
    const progress = row.querySelector("progress");
    progress.value = part;
    progress.hidden = !isSending;
    const remove = row.querySelector(".row-remove");
    if (!canCancel && document.activeElement === remove) this.#section.focus();
    row.classList.toggle("gone", !canCancel);
    label(remove, isSending ? "cancel" : "remove", name);
    label(row.querySelector(".row-retry"), "retry", name);
    row.querySelector(".row-retry").hidden = state !== "failed";
    if (isSent) this.#sentRows.push(row);
  }

  /** Remove a row. If it has the focus, its neighbour gets it, not the top of the page. */
  remove({ row }) {
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    const hadFocus = row.contains(document.activeElement);
    row.remove();
    if (hadFocus) (neighbour?.querySelector(".row-remove") ?? this.#section).focus();
  }

  removeSent() {
    while (this.#sentRows.length) this.#sentRows.pop().remove();
  }

  /** Scroll to the file being uploaded, unless the user has scrolled away or is about to click. */
  follow(item) {
    if (!item || item.row === this.#followed) return;
    const mayClick = performance.now() < this.#pointerMovedAt + POINTER_MS;
    if (mayClick || this.#list.contains(document.activeElement)) return;
    if (!this.#followed?.isConnected || this.#isVisible(this.#followed)) {
      this.#list.scrollTop = item.row.offsetTop;
    }
    this.#followed = item.row;
  }

  #isVisible({ offsetTop, offsetHeight }) {
    const { scrollTop, clientHeight } = this.#list;
    return offsetTop + offsetHeight > scrollTop && offsetTop < scrollTop + clientHeight;
  }
}

function label(button, verb, name) {
  button.textContent = say(`${verb}_short`);
  button.ariaLabel = say(verb, { name });
}
