/** The list of files to send: a row for each, one on the way while the server checks the other. */

import { fileSize } from "./files.js";
import { describeWait, sendFile, wait } from "./upload.js";

// The next file follows when all of this one has gone: side by side they would share the line, and
// the first thumbnails would come late.
const UNANSWERED = 2;

export class Queue {
  #section;
  #list;
  #rowTemplate;
  #onChange;
  #items = new Set(); // Waiting, sending, failed or refused; what is sent leaves.
  #job = null; // {imagesUrl, token}, once sending has begun.
  #pause = ""; // Why nothing is sent for now, and until when.
  #added = 0;
  #sent = { count: 0, bytes: 0 };

  constructor(section, rowTemplate, onChange) {
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#rowTemplate = rowTemplate;
    this.#onChange = onChange;
  }

  /** How many images are sent or are to be. */
  get count() {
    return this.#sent.count + this.#accepted().length;
  }

  get sentCount() {
    return this.#sent.count;
  }

  /** Why nothing is sent for now, and until when; empty while all goes on. */
  get pause() {
    return this.#pause;
  }

  /** How many files stay behind as things are: refused, or not got through. */
  get leftCount() {
    return this.#in("refused").length + this.#in("failed").length;
  }

  /** Whether something is on its way or waits for it. */
  get isBusy() {
    return this.#job !== null && (this.#in("waiting").length > 0 || this.#in("sending").length > 0);
  }

  /** Whether nothing more can come of this queue. */
  get isThrough() {
    return this.#job !== null && !this.#accepted().length;
  }

  /** The part of all bytes that has gone. */
  get progress() {
    const left = this.#accepted();
    const gone = left.reduce((sum, item) => sum + item.file.size * item.part, this.#sent.bytes);
    const all = left.reduce((sum, item) => sum + item.file.size, this.#sent.bytes);
    return all ? gone / all : 1;
  }

  /** Add a file; with a `fault` it is only shown, and why. */
  add(file, fault) {
    const row = this.#rowTemplate.content.cloneNode(true).firstElementChild;
    const state = fault ? "refused" : "waiting";
    const position = (this.#added += 1);
    const item = { file, position, row, state, why: fault, part: 0, stop: null };
    row.querySelector(".row-name").textContent = file.name;
    row.querySelector("progress").ariaLabel = `${file.name} sent`;
    row.querySelector(".row-remove").addEventListener("click", () => this.#remove(item));
    row.querySelector(".row-retry").addEventListener("click", () => this.#retry(item));
    this.#items.add(item);
    this.#list.append(row);
    this.#show(item);
    this.#sendNext();
  }

  /** Send all files to a job, and whatever is added or retried later. */
  start(imagesUrl, token) {
    this.#job = { imagesUrl, token };
    this.#list.append(...this.#in("refused").map((item) => item.row)); // What moves goes first.
    for (const item of this.#items) this.#show(item);
    this.#sendNext();
  }

  #in(state) {
    return [...this.#items].filter((item) => item.state === state);
  }

  #accepted() {
    return [...this.#items].filter((item) => item.state !== "refused");
  }

  #sendNext() {
    if (!this.#job || this.#pause) return;
    const [next] = this.#in("waiting");
    const sent = this.#in("sending");
    const isFree = sent.length < UNANSWERED && sent.every((item) => item.part === 1);
    if (next && isFree) this.#send(next);
  }

  async #send(item) {
    item.stop = new AbortController();
    this.#change(item, { state: "sending", part: 0, why: null });
    const onProgress = (part) => {
      this.#change(item, { part });
      this.#sendNext();
    };
    try {
      const { imagesUrl, token } = this.#job;
      await sendFile(imagesUrl, item, token, { signal: item.stop.signal, onProgress });
      this.#sent.count += 1;
      this.#sent.bytes += item.file.size;
      this.#drop(item, this.#section);
    } catch (error) {
      if (item.stop.signal.aborted) return;
      if (error.waitSeconds) {
        this.#change(item, { state: "waiting", part: 0 });
        this.#wait(error);
        return;
      }
      this.#list.append(item.row);
      const state = error.canRetry ? "failed" : "refused";
      this.#change(item, { state, part: 0, why: error.message });
    } finally {
      this.#sendNext();
    }
  }

  /** Send nothing until the server has room again, and then go on. */
  async #wait(error) {
    this.#pause = describeWait(error);
    this.#onChange();
    await wait(error.waitSeconds);
    this.#pause = "";
    this.#onChange();
    this.#sendNext();
  }

  #retry(item) {
    this.#change(item, { state: "waiting", why: null });
    item.row.querySelector(".row-remove").focus();
    this.#sendNext();
  }

  #remove(item) {
    const neighbour = item.row.nextElementSibling ?? item.row.previousElementSibling;
    this.#drop(item, neighbour?.querySelector(".row-remove") ?? this.#section);
    item.stop?.abort();
  }

  /** Take a row away; a focus in it goes on to `heir`, not to the top of the page. */
  #drop(item, heir) {
    const hadFocus = item.row.contains(document.activeElement);
    item.row.remove();
    this.#items.delete(item);
    if (hadFocus) heir.focus();
    this.#onChange();
  }

  #change(item, changes) {
    Object.assign(item, changes);
    this.#show(item);
  }

  #show({ file, row, state, why, part }) {
    const percent = part < 1 ? `${Math.floor(part * 100)} %` : "checking";
    const words = state === "sending" ? percent : state;
    const facts = this.#job || why ? [fileSize(file.size), words] : [fileSize(file.size)];
    row.querySelector(".row-state").textContent = facts.join(" · ");
    row.classList.toggle("refused", Boolean(why));
    const reason = row.querySelector(".row-why");
    reason.textContent = why ?? "";
    reason.hidden = !why;
    const progress = row.querySelector("progress");
    progress.value = part;
    progress.hidden = state !== "sending";
    this.#label(row.querySelector(".row-remove"), this.#job && !why ? "Cancel" : "Remove", file);
    this.#label(row.querySelector(".row-retry"), "Retry", file);
    row.querySelector(".row-retry").hidden = state !== "failed";
    this.#onChange();
  }

  #label(button, verb, file) {
    button.textContent = verb.toLowerCase();
    button.ariaLabel = `${verb} ${file.name}`;
  }
}
