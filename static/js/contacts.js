/** The contact sheet: the chosen photos as small pictures, and the files that are skipped. */

import { fileSize } from "./files.js";
import { forgetPreview, showPreviews, wantPreview, watchFrame } from "./previews.js";
import { say } from "./rules.js";

const list = document.getElementById("contacts");
const skippedList = document.getElementById("skipped-files");

export class ContactSheet {
  #onRemove;
  #onSelect;
  #onPreview;
  #selected = null;

  /** `onSelect` gets the photo to look at, also once its preview is there; null for none. */
  constructor({ onRemove, onSelect, onPreview }) {
    this.#onRemove = onRemove;
    this.#onSelect = onSelect;
    this.#onPreview = onPreview;
    showPreviews((item) => this.#showPreview(item));
    document.getElementById("previous-photo").addEventListener("click", () => this.#step(-1));
    document.getElementById("next-photo").addEventListener("click", () => this.#step(1));
  }

  add(item) {
    item.frame = clone(item.why ? "skipped-template" : "contact-template");
    item.frame.querySelector(".name").textContent = item.name;
    const remove = item.frame.querySelector(".remove");
    remove.ariaLabel = say(item.why ? "dismiss" : "remove", item);
    remove.addEventListener("click", () => this.#onRemove(item));
    if (item.why) {
      item.frame.querySelector(".why").textContent = item.why;
      skippedList.append(item.frame);
      return;
    }
    const pick = item.frame.querySelector(".pick");
    pick.title = item.name;
    pick.addEventListener("click", () => this.select(item));
    item.frame.querySelector(".size").textContent = fileSize(item.file.size);
    item.frame.item = item;
    list.append(item.frame);
    watchFrame(item.frame, item);
    if (!this.#selected) this.select(item);
  }

  update() {} // Nothing changes before the files are sent.

  /** Remove a frame. If it has the focus, its neighbour gets it. */
  remove(item) {
    const neighbour = item.frame.nextElementSibling ?? item.frame.previousElementSibling;
    const hadFocus = item.frame.contains(document.activeElement);
    item.frame.remove();
    if (hadFocus) (neighbour?.querySelector(".remove") ?? document.getElementById("promise")).focus();
    if (item === this.#selected) this.select(neighbour?.item ?? null);
    forgetPreview(item);
  }

  select(item) {
    this.#selected?.frame.querySelector(".pick").setAttribute("aria-pressed", "false");
    this.#selected = item;
    if (item) {
      item.frame.querySelector(".pick").setAttribute("aria-pressed", "true");
      wantPreview(item);
    }
    this.#onSelect(item);
  }

  #step(by) {
    const { frame } = this.#selected;
    const next = by > 0 ? frame.nextElementSibling : frame.previousElementSibling;
    this.select((next ?? (by > 0 ? list.firstElementChild : list.lastElementChild)).item);
  }

  #showPreview(item) {
    const well = item.frame.querySelector(".well");
    if (item.preview) {
      const image = new Image();
      image.src = item.preview.href;
      image.alt = "";
      well.replaceChildren(image);
    } else {
      well.textContent = item.name.split(".").at(-1).slice(0, 5).toUpperCase();
    }
    this.#onPreview();
    if (item === this.#selected) this.#onSelect(item);
  }
}

function clone(id) {
  return document.getElementById(id).content.cloneNode(true).firstElementChild;
}
