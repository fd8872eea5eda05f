/** The upload queue: a row for each file, two uploads at a time. */

import { cleanName, fileSize, findFault } from "./files.js";
import { uploadFile } from "./upload.js";

// One file is uploaded while the server checks the other. More would share the bandwidth, which
// delays the first thumbnails, and each upload holds one of the server's threads.
const CONCURRENCY = 2;
const MAX_DISCONNECTS = 5; // For one file. After that, its connection is not the problem.
const POINTER_MS = 3000; // After the pointer moved in the list, a click may follow for so long.
const RENDER_MS = 50; // Between two updates of the page, however many changes there are.

const STATE_LABELS = { sent: "uploaded", failed: "failed", refused: "rejected" };

export class Queue {
  #section;
  #list;
  #rowTemplate;
  #onChange;
  #items = new Set(); // Waiting, sending, failed or refused; an item that is sent is removed.
  #sentRows = []; // Removed when the queue is idle, because removing a row moves all after it.
  #followed = null; // The row that #follow scrolled to last.
  #pointerMovedAt = -Infinity;
  #url = null; // Where images are posted, once uploading has started.
  #isPaused = false; // While the job accepts no images.
  #pauseNotice = ""; // Why uploading is suspended, and until when.
  #added = 0;
  #timer = 0;
  // Updated with each change: there may be hundreds of files, and each changes often.
  #counts = { waiting: 0, sending: 0, failed: 0, refused: 0, sent: 0 };
  #bytes = { total: 0, sent: 0 };

  constructor(section, rowTemplate, onChange) {
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#rowTemplate = rowTemplate;
    this.#onChange = onChange;
    // Not :hover: the submit button may have been where the list is now.
    this.#list.addEventListener("pointermove", ({ timeStamp }) => (this.#pointerMovedAt = timeStamp));
  }

  /** The number of images, without rejected files. */
  get count() {
    const { waiting, sending, failed, sent } = this.#counts;
    return waiting + sending + failed + sent;
  }

  get sentCount() {
    return this.#counts.sent;
  }

  /** Why uploading is suspended and until when; empty while it is not. */
  get pauseNotice() {
    return this.#pauseNotice;
  }

  /** The number of files that were rejected or failed. */
  get missingCount() {
    return this.#counts.refused + this.#counts.failed;
  }

  /** The files that were not uploaded, each as [position, name, reason]. */
  get missing() {
    return [...this.#items].map(({ position, name, why }) => [position, name, why ?? "It was not uploaded."]);
  }

  /** The number of files that can be retried. */
  get failedCount() {
    return this.#counts.failed;
  }

  /** True while files are being uploaded or are waiting to be. */
  get isBusy() {
    return this.#url !== null && this.#counts.waiting + this.#counts.sending > 0;
  }

  /**
   * True once nothing more is uploaded without an action of the user. False if all files failed: they
   * can be retried, but the server would delete a closed job without images.
   */
  get isSettled() {
    const { failed, sent } = this.#counts;
    return this.#url !== null && !this.isBusy && (sent > 0 || !failed);
  }

  /** The fraction of all bytes that is uploaded. */
  get progress() {
    return this.#bytes.total ? Math.min(1, this.#bytes.sent / this.#bytes.total) : 1;
  }

  /** Add a file. With a `fault`, it is listed with that reason and not uploaded. */
  add(file, fault) {
    const row = this.#rowTemplate.content.cloneNode(true).firstElementChild;
    const state = fault ? "refused" : "waiting";
    const position = (this.#added += 1);
    const name = cleanName(file.name);
    const item = { file, name, position, row, state, why: fault, part: 0, disconnects: 0, abort: null };
    row.querySelector(".row-name").textContent = name;
    row.querySelector("progress").ariaLabel = `${name} uploaded`;
    row.querySelector(".row-remove").addEventListener("click", () => this.#remove(item));
    row.querySelector(".row-retry").addEventListener("click", () => this.#retry(item));
    this.#items.add(item);
    this.#list.append(row);
    this.#tally(item, 1);
    this.#render(item);
    this.#sendNext();
  }

  /** Upload all files to a job, and those that are added or retried later. */
  start(url) {
    this.#url = url;
    for (const item of this.#items) {
      if (item.state === "refused") this.#list.append(item.row); // Rows in progress come first.
    }
    this.#changed();
    this.#sendNext();
  }

  /** Start no more uploads until `resume`. */
  pause() {
    this.#isPaused = true;
  }

  resume() {
    this.#isPaused = false;
    this.#sendNext();
  }

  /** Mark all waiting files as failed, or as refused if a retry cannot help. */
  fail({ canRetry, message }) {
    const state = canRetry ? "failed" : "refused";
    for (const item of this.#items) {
      if (item.state === "waiting") this.#change(item, { state, why: message });
    }
  }

  #sendNext() {
    if (!this.#url || this.#pauseNotice || this.#isPaused) return;
    for (const item of this.#items) {
      if (this.#counts.sending >= CONCURRENCY) return;
      if (item.state === "waiting") this.#send(item);
    }
  }

  async #send(item) {
    item.abort = new AbortController();
    this.#change(item, { state: "sending", part: 0, why: null });
    const onProgress = (part) => this.#change(item, { part });
    try {
      await uploadFile(this.#url, item, { signal: item.abort.signal, onProgress });
      this.#change(item, { state: "sent", part: 1 });
      this.#items.delete(item);
      this.#sentRows.push(item.row);
    } catch (error) {
      if (item.abort.signal.aborted) return;
      await this.#handle(item, error);
    } finally {
      this.#sendNext();
    }
  }

  /** Queue a file again after a transient error; mark it as failed or refused after others. */
  async #handle(item, error) {
    if (error.isLost) item.disconnects += 1;
    // A file that was changed or deleted meanwhile fails like a lost connection.
    const fault = error.isLost ? await findFault(item.file, Infinity) : null;
    if (error.isTransient && !fault && item.disconnects < MAX_DISCONNECTS) {
      this.#change(item, { state: "waiting", part: 0 });
      this.#suspend(error);
      return;
    }
    const state = error.canRetry && !fault ? "failed" : "refused";
    this.#change(item, { state, part: 0, why: fault ?? error.message });
  }

  /** Start no uploads until a retry can succeed after this error. */
  async #suspend(error) {
    if (this.#pauseNotice) return;
    this.#pauseNotice = error.notice;
    this.#changed();
    await error.untilRetryable();
    this.#pauseNotice = "";
    this.#changed();
    this.#sendNext();
  }

  #retry(item) {
    this.#requeue(item);
    item.row.querySelector(".row-remove").focus();
    this.#sendNext();
  }

  retryAll() {
    for (const item of this.#items) {
      if (item.state === "failed") this.#requeue(item);
    }
    this.#section.focus(); // The button disappears.
    this.#sendNext();
  }

  #requeue(item) {
    item.disconnects = 0;
    this.#change(item, { state: "waiting", why: null });
  }

  #remove(item) {
    const neighbour = item.row.nextElementSibling ?? item.row.previousElementSibling;
    this.#tally(item, -1);
    this.#removeRow(item, neighbour?.querySelector(".row-remove") ?? this.#section);
    item.abort?.abort();
  }

  /** Remove a row. If it has the focus, move that to `nextFocus`, not to the top of the page. */
  #removeRow(item, nextFocus) {
    const hadFocus = item.row.contains(document.activeElement);
    item.row.remove();
    this.#items.delete(item);
    if (hadFocus) nextFocus.focus();
    this.#changed();
  }

  #change(item, changes) {
    if (!this.#items.has(item)) return; // The last progress event may follow its removal.
    this.#tally(item, -1);
    Object.assign(item, changes);
    this.#tally(item, 1);
    this.#render(item);
  }

  #tally({ state, file, part }, sign) {
    this.#counts[state] += sign;
    if (state === "refused") return;
    this.#bytes.total += sign * file.size;
    this.#bytes.sent += sign * file.size * part;
  }

  #changed() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#follow();
      if (!this.isBusy) while (this.#sentRows.length) this.#sentRows.pop().remove();
      this.#onChange();
    }, RENDER_MS);
  }

  /** Scroll to the file being uploaded, unless the user has scrolled away or is about to click. */
  #follow() {
    const item = [...this.#items].find(({ state }) => state === "sending");
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

  #render({ file, name, row, state, why, part }) {
    const isSending = state === "sending";
    const isSent = state === "sent";
    const canCancel = !isSent && !(isSending && part === 1); // After the last byte, it has no effect.
    const percent = part < 1 ? `${Math.floor(part * 100)} %` : "checking";
    const words = isSending ? ` · ${percent}` : why || isSent ? ` · ${STATE_LABELS[state]}` : "";
    row.querySelector(".row-state").textContent = fileSize(file.size) + words;
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
    this.#label(remove, isSending ? "Cancel" : "Remove", name);
    this.#label(row.querySelector(".row-retry"), "Retry", name);
    row.querySelector(".row-retry").hidden = state !== "failed";
    this.#changed();
  }

  #label(button, verb, name) {
    button.textContent = verb.toLowerCase();
    button.ariaLabel = `${verb} ${name}`;
  }
}
