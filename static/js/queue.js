/** The list of files to send: a row for each, two on the way at a time. */

import { cleanName, fileSize, findFault } from "./files.js";
import { sendFile } from "./upload.js";

// One is on the line while the server checks the other. More would only share the line: the first
// thumbnails would come later, and each holds one of the server's threads.
const AT_ONCE = 2;
const MAX_CUTS = 5; // Of one file; then it is not the line.
const AT_HAND = 3000; // Milliseconds after a move of the pointer in the list; it may be for a click.
const PAUSE = 50; // Milliseconds between two looks at what has changed, however much it is.

export class Queue {
  #section;
  #list;
  #rowTemplate;
  #onChange;
  #items = new Set(); // Waiting, sending, failed or refused; what is sent leaves.
  #sentRows = []; // They stay until nothing is on its way: rows that leave would move all others.
  #followed = null; // The row that was shown last because its file is sent.
  #movedAt = -Infinity;
  #url = null; // Where the images go, once sending has begun.
  #isHalted = false; // While the job takes nothing.
  #pause = ""; // Why nothing is sent for now, and until when.
  #added = 0;
  #timer = 0;
  // Counted along, for there may be hundreds of files, and each changes often.
  #counts = { waiting: 0, sending: 0, failed: 0, refused: 0, sent: 0 };
  #bytes = { all: 0, gone: 0 };

  constructor(section, rowTemplate, onChange) {
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#rowTemplate = rowTemplate;
    this.#onChange = onChange;
    // Not :hover: the button that began it all may have been where the list is now.
    this.#list.addEventListener("pointermove", ({ timeStamp }) => (this.#movedAt = timeStamp));
  }

  /** How many images are sent or are to be. */
  get count() {
    const { waiting, sending, failed, sent } = this.#counts;
    return waiting + sending + failed + sent;
  }

  get sentCount() {
    return this.#counts.sent;
  }

  /** Why nothing is sent for now, and until when; empty while all goes on. */
  get pause() {
    return this.#pause;
  }

  /** How many files stay behind as things are: refused, or not got through. */
  get leftCount() {
    return this.#counts.refused + this.#counts.failed;
  }

  /** What did not get through: where it would have stood, its name, the reason. */
  get missing() {
    return [...this.#items].map(({ position, name, why }) => [position, name, why ?? "It was not sent."]);
  }

  /** How many files may be tried again. */
  get failedCount() {
    return this.#counts.failed;
  }

  /** Whether something is on its way or waits for it. */
  get isBusy() {
    return this.#url !== null && this.#counts.waiting + this.#counts.sending > 0;
  }

  /**
   * Whether nothing more comes of this queue unless somebody asks for it. Where nothing was sent yet,
   * what failed may still be: a job without images would not be kept for it.
   */
  get isThrough() {
    const { failed, sent } = this.#counts;
    return this.#url !== null && !this.isBusy && (sent > 0 || !failed);
  }

  /** The part of all bytes that has gone. */
  get progress() {
    return this.#bytes.all ? Math.min(1, this.#bytes.gone / this.#bytes.all) : 1;
  }

  /** Add a file; with a `fault` it is only shown, and why. */
  add(file, fault) {
    const row = this.#rowTemplate.content.cloneNode(true).firstElementChild;
    const state = fault ? "refused" : "waiting";
    const position = (this.#added += 1);
    const name = cleanName(file.name);
    const item = { file, name, position, row, state, why: fault, part: 0, cuts: 0, stop: null };
    row.querySelector(".row-name").textContent = name;
    row.querySelector("progress").ariaLabel = `${name} sent`;
    row.querySelector(".row-remove").addEventListener("click", () => this.#remove(item));
    row.querySelector(".row-retry").addEventListener("click", () => this.#retry(item));
    this.#items.add(item);
    this.#list.append(row);
    this.#tally(item, 1);
    this.#show(item);
    this.#sendNext();
  }

  /** Send all files to a job, and whatever is added or retried later. */
  start(url) {
    this.#url = url;
    for (const item of this.#items) {
      if (item.state === "refused") this.#list.append(item.row); // What moves goes first.
    }
    this.#changed();
    this.#sendNext();
  }

  /** Begin nothing more until it goes on. */
  halt() {
    this.#isHalted = true;
  }

  goOn() {
    this.#isHalted = false;
    this.#sendNext();
  }

  /** Leave all that waits to its owner. */
  fail({ canRetry, message }) {
    const state = canRetry ? "failed" : "refused";
    for (const item of this.#items) {
      if (item.state === "waiting") this.#change(item, { state, why: message });
    }
  }

  #sendNext() {
    if (!this.#url || this.#pause || this.#isHalted) return;
    for (const item of this.#items) {
      if (this.#counts.sending >= AT_ONCE) return;
      if (item.state === "waiting") this.#send(item);
    }
  }

  async #send(item) {
    item.stop = new AbortController();
    this.#change(item, { state: "sending", part: 0, why: null });
    const onProgress = (part) => this.#change(item, { part });
    try {
      await sendFile(this.#url, item, { signal: item.stop.signal, onProgress });
      this.#change(item, { state: "sent", part: 1 });
      this.#items.delete(item);
      this.#sentRows.push(item.row);
    } catch (error) {
      if (item.stop.signal.aborted) return;
      await this.#handle(item, error);
    } finally {
      this.#sendNext();
    }
  }

  /** Send it later where what hindered it passes; otherwise leave it to its owner. */
  async #handle(item, error) {
    if (error.isLost) item.cuts += 1;
    // A file that was changed or removed meanwhile fails as if the connection were lost.
    const fault = error.isLost ? await findFault(item.file, Infinity) : null;
    if (error.passes && !fault && item.cuts < MAX_CUTS) {
      this.#change(item, { state: "waiting", part: 0 });
      this.#hold(error);
      return;
    }
    const state = error.canRetry && !fault ? "failed" : "refused";
    this.#change(item, { state, part: 0, why: fault ?? error.message });
  }

  /** Send nothing until what hinders has passed, and then go on. */
  async #hold(error) {
    if (this.#pause) return;
    this.#pause = error.notice;
    this.#changed();
    await error.over();
    this.#pause = "";
    this.#changed();
    this.#sendNext();
  }

  #retry(item) {
    this.#putBack(item);
    item.row.querySelector(".row-remove").focus();
    this.#sendNext();
  }

  retryAll() {
    for (const item of this.#items) {
      if (item.state === "failed") this.#putBack(item);
    }
    this.#section.focus(); // The button goes.
    this.#sendNext();
  }

  #putBack(item) {
    item.cuts = 0;
    this.#change(item, { state: "waiting", why: null });
  }

  #remove(item) {
    const neighbour = item.row.nextElementSibling ?? item.row.previousElementSibling;
    this.#tally(item, -1);
    this.#drop(item, neighbour?.querySelector(".row-remove") ?? this.#section);
    item.stop?.abort();
  }

  /** Take a row away; a focus in it goes on to `heir`, not to the top of the page. */
  #drop(item, heir) {
    const hadFocus = item.row.contains(document.activeElement);
    item.row.remove();
    this.#items.delete(item);
    if (hadFocus) heir.focus();
    this.#changed();
  }

  #change(item, changes) {
    if (!this.#items.has(item)) return; // Its last progress may come after it was removed.
    this.#tally(item, -1);
    Object.assign(item, changes);
    this.#tally(item, 1);
    this.#show(item);
  }

  #tally({ state, file, part }, sign) {
    this.#counts[state] += sign;
    if (state === "refused") return;
    this.#bytes.all += sign * file.size;
    this.#bytes.gone += sign * file.size * part;
  }

  #changed() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#follow();
      if (!this.isBusy) while (this.#sentRows.length) this.#sentRows.pop().remove();
      this.#onChange();
    }, PAUSE);
  }

  /** Keep what is sent in sight, but for who looks elsewhere in the list or is about to click. */
  #follow() {
    const item = [...this.#items].find(({ state }) => state === "sending");
    if (!item || item.row === this.#followed) return;
    const isAtHand = performance.now() < this.#movedAt + AT_HAND;
    if (isAtHand || this.#list.contains(document.activeElement)) return;
    if (!this.#followed?.isConnected || this.#isInSight(this.#followed)) {
      this.#list.scrollTop = item.row.offsetTop;
    }
    this.#followed = item.row;
  }

  #isInSight({ offsetTop, offsetHeight }) {
    const { scrollTop, clientHeight } = this.#list;
    return offsetTop + offsetHeight > scrollTop && offsetTop < scrollTop + clientHeight;
  }

  #show({ file, name, row, state, why, part }) {
    const isSending = state === "sending";
    const isSent = state === "sent";
    const hasGone = isSent || (isSending && part === 1); // To cancel it would change nothing.
    const percent = part < 1 ? `${Math.floor(part * 100)} %` : "checking";
    const words = isSending ? ` · ${percent}` : why || isSent ? ` · ${state}` : "";
    row.querySelector(".row-state").textContent = fileSize(file.size) + words;
    row.classList.toggle("refused", Boolean(why));
    const reason = row.querySelector(".row-why");
    reason.textContent = why ?? "";
    reason.hidden = !why;
    const progress = row.querySelector("progress");
    progress.value = part;
    progress.hidden = !isSending;
    const remove = row.querySelector(".row-remove");
    if (hasGone && document.activeElement === remove) this.#section.focus();
    row.classList.toggle("gone", hasGone);
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
