/** The upload queue: the files of this page, sent two at a time. */

import { cleanName, findFault } from "./files.js";
import { say } from "./rules.js";
import { uploadFile } from "./upload.js";

// One file is uploaded while the server checks the other. More would share the bandwidth, which
// delays the first thumbnails, and each upload holds one of the server's threads.
const CONCURRENCY = 2;
const MAX_DISCONNECTS = 5; // For one file. After that, its connection is not the problem.
const RENDER_MS = 50; // Between two updates of the page, however many changes there are.
const SHOWN_AT_ONCE = 25; // Files that a new view shows in one task.

class Queue {
  #view = null; // What shows each file: the contact sheet, then the frames of the job.
  #onChange = null;
  #items = new Set(); // Waiting, sending, failed or refused; an item that is sent is removed.
  #keys = new Set(); // Of all files, sent ones too.
  #url = null; // Where images are posted, once uploading has started.
  #isPaused = true; // While the job accepts no images.
  #pauseNotice = ""; // Why uploading is suspended, and until when.
  #last = 0; // The highest position so far.
  #timer = 0;
  // Updated with each change: there may be hundreds of files, and each changes often.
  #counts = { waiting: 0, sending: 0, failed: 0, refused: 0, sent: 0 };
  #bytes = { total: 0, sent: 0 };

  /** Show the photos in another view, some at a time: `add`, `update` and `remove` get each. */
  async useView(view, onChange) {
    this.#view = view;
    this.#onChange = onChange;
    const photos = this.photos;
    for (const [n, item] of photos.entries()) {
      if (n % SHOWN_AT_ONCE === SHOWN_AT_ONCE - 1) await new Promise((resolve) => setTimeout(resolve));
      if (this.#items.has(item)) view.add(item);
    }
  }

  /** The chosen photos, without skipped files. */
  get photos() {
    return [...this.#items].filter(({ state }) => state !== "refused");
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

  /** The files that were not uploaded: position, name, reason, and bytes if another try can help. */
  get missing() {
    return [...this.#items].map(({ position, name, why, state, file }) => [
      position, name, why ?? say("not_uploaded"), state === "refused" ? null : file.size,
    ]);
  }

  /** The number of files that can be retried. */
  get failedCount() {
    return this.#counts.failed;
  }

  /** True while files are being uploaded or are waiting to be. */
  get isBusy() {
    return this.#url !== null && this.#counts.waiting + this.#counts.sending > 0;
  }

  /** The fraction of all bytes that is uploaded. */
  get progress() {
    return this.#bytes.total ? Math.min(1, this.#bytes.sent / this.#bytes.total) : 1;
  }

  /** Return whether a file was added before. */
  has(file) {
    return this.#keys.has(keyOf(file));
  }

  /** Add a file, at its position or at the end. With a `fault`, it is not uploaded for that reason. */
  add(file, fault, position = (this.#last += 1)) {
    const state = fault ? "refused" : "waiting";
    const name = cleanName(file.name);
    const item = { file, name, position, state, why: fault, part: 0, disconnects: 0, abort: null };
    this.#keys.add(keyOf(file));
    this.#items.add(item);
    this.#tally(item, 1);
    this.#view.add(item);
    this.#changed();
    this.#sendNext();
  }

  /** Give new files this position and those after it. */
  continueAt(position) {
    this.#last = Math.max(this.#last, position - 1);
  }

  /** Upload all files to an address, and those that are added or retried later; from `resume` on. */
  start(url) {
    this.#url = url;
    this.#changed();
  }

  /** True while the job accepts no images. */
  get isPaused() {
    return this.#isPaused;
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
      const id = await uploadFile(this.#url, item, { signal: item.abort.signal, onProgress });
      this.#change(item, { state: "sent", part: 1, id });
      this.#items.delete(item);
    } catch (error) {
      if (item.abort.signal.aborted) return;
      await this.#handle(item, error);
    } finally {
      this.#sendNext();
    }
  }

  /** Queue a file again after a transient error; mark it as failed or refused after others. */
  async #handle(item, error) {
    if (error.isOfClosedJob) {
      this.pause();
      this.#change(item, { state: "waiting", part: 0 });
      return;
    }
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

  /** Send one failed file again, or all. */
  retry(item) {
    for (const one of item ? [item] : this.#items) {
      if (one.state !== "failed") continue;
      one.disconnects = 0;
      this.#change(one, { state: "waiting", why: null });
    }
    this.#sendNext();
  }

  remove(item) {
    this.#tally(item, -1);
    this.#items.delete(item);
    this.#keys.delete(keyOf(item.file));
    this.#view.remove(item);
    item.abort?.abort();
    this.#changed();
  }

  removeRefused() {
    for (const item of this.#items) if (item.state === "refused") this.remove(item);
  }

  removeAll() {
    for (const item of this.#items) this.remove(item);
  }

  #change(item, changes) {
    if (!this.#items.has(item)) return; // The last progress event may follow its removal.
    this.#tally(item, -1);
    Object.assign(item, changes);
    this.#tally(item, 1);
    this.#view.update(item);
    this.#changed();
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
      this.#onChange();
    }, RENDER_MS);
  }
}

function keyOf({ name, size, lastModified }) {
  return `${size} ${lastModified} ${name}`;
}

export const queue = new Queue();
