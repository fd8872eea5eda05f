/** Find all files that were dropped, pasted or chosen, and tell images from other files. */

import { rules, say } from "./rules.js";

const SYSTEM_FILES = new RegExp(`^(${rules.system_files})$`, "s");
const UNSEEN = new RegExp(rules.unseen, "gu");
const FORMATS = new RegExp(`^(${rules.formats})`, "s");
const UNSUPPORTED = rules.unsupported.map(([start, why]) => [new RegExp(`^(${start})`, "si"), why]);

const unreadable = new WeakSet(); // Stand-ins for entries that could not be opened.

/** Format a number of bytes as the server does: `31 kB`, `4.1 MB`. */
export function fileSize(bytes) {
  const [, size, digits, unit] = rules.file_sizes.find(([below]) => bytes < below);
  return `${(bytes / size).toFixed(digits)} ${unit}`;
}

/** Format a size over the limit, with as many digits as show that it is over. */
function sizeOver(bytes) {
  const megabytes = bytes / rules.mb;
  const digits = [1, 2, 3, 4, 5, 6].find((count) => Number(megabytes.toFixed(count)) > rules.max_file_mb);
  return `${megabytes.toFixed(digits)} MB`;
}

/** Remove invisible characters, as the server does: some make `gpj.exe` display as `exe.jpg`. */
export function cleanName(name) {
  const shown = name.split(/[/\\]/).at(-1).replace(UNSEEN, "").trim();
  return /[^\u200c\u200d]/u.test(shown) ? shown : rules.unnamed;
}

/** Return the reason why the server would reject a file, or null. */
export async function findFault(file, maxMb = rules.max_file_mb) {
  if (unreadable.has(file)) return say("unreadable");
  if (!file.size) return rules.empty;
  if (file.size > maxMb * rules.mb) {
    return rules.too_large.replace("{size}", sizeOver(file.size)).replace("{limit_mb}", maxMb);
  }
  try {
    // Read as Latin-1. Names are no proof: many ".heic" files are JPEGs.
    const start = new Uint8Array(await file.slice(0, rules.head).arrayBuffer());
    const text = String.fromCharCode(...start);
    return FORMATS.test(text) ? null : UNSUPPORTED.find(([pattern]) => pattern.test(text))[1];
  } catch {
    return say("unreadable");
  }
}

/** Return the files without those that operating systems add to folders. */
export function withoutSystemFiles(files) {
  return files.filter((file) => !SYSTEM_FILES.test(file.name));
}

/** List the dropped files, including all files in dropped folders. */
export async function listDropped(transfer) {
  // The browser empties the list of items after the event: read all of it before the first await.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  // Entries only for folders: WebKit cannot open the entry of a file that is not on the disk.
  const found = items.map((item) => {
    const entry = item.webkitGetAsEntry?.();
    return entry?.isDirectory ? entry : item.getAsFile();
  });
  return (await Promise.all(found.map(listEntry))).flat();
}

/** List a file, or all files in a folder. Unreadable entries are listed too, and stop no others. */
async function listEntry(entry) {
  if (entry instanceof File) return [entry];
  if (!entry) return [];
  try {
    return await openEntry(entry);
  } catch {
    const file = new File([], entry.name);
    unreadable.add(file);
    return [file];
  }
}

async function openEntry(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const entries = await listFolder(entry.createReader());
  // In numeric order of their names, as cameras count.
  entries.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  return (await Promise.all(entries.map(listEntry))).flat();
}

/** List a folder's entries. The reader returns about a hundred at a time, and none at the end. */
async function listFolder(reader) {
  const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  return entries.length ? [...entries, ...(await listFolder(reader))] : [];
}

/** List the pasted files. A pasted picture has no name of its own, so it is named after the time. */
export function listPasted(transfer, now = new Date()) {
  const time = now.toLocaleString("sv").replaceAll(":", "."); // Swedish is ISO: 2026-11-24 07.42.10
  return [...transfer.files].map((file) =>
    /^image\.\w+$/.test(file.name)
      ? new File([file], file.name.replace("image", say("pasted", { time })), { type: file.type })
      : file,
  );
}
