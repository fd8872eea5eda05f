/** The files that people drop, paste and choose: find them all, and tell images from the rest. */

const MB = 1_000_000;
const CLUTTER = /^(\._.*|\.DS_Store|Thumbs\.db|desktop\.ini)$/s; // `._` is what a Mac puts beside a file.

// Control, format and surrogate characters, but those that join or part letters.
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}]/gu;

// Of the first bytes, read as Latin-1. A name proves nothing: many ".heic" files are JPEGs.
const IMAGES = [
  /^\xff\xd8\xff/, // JPEG
  /^\x89PNG\r\n\x1a\n/,
  /^GIF8[79]a/,
  /^RIFF.{4}WEBP/s,
  /^.{4}ftyp.*avi[fs]/s, // AVIF may be any of its brands.
  /^(II[*+]\0|MM\0[*+])/, // TIFF and BigTIFF
  /^BM/, // BMP
  /^.{4}ftyp(hei|hev|m[is]f1)/s, // HEIC
  /^\0\0\x01\0/, // ICO
  /^(\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/, // JPEG 2000
];
// What people take for images most often, in the server's words.
const OTHERS = [
  [/^%PDF/, "This is a PDF. Export the page as PNG or JPEG."],
  [/^\s*<(svg|\?xml)/i, "This is an SVG drawing, which we cannot read. Export it as PNG."],
  [
    /^[\t\n\r\x20-\x7e\x80-\xff]*$/,
    "This is text, not an image. Upload the picture itself.",
  ],
];
const UNKNOWN =
  "This is no image that we can read. Upload a JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF file.";

const UNREADABLE = "This file can no longer be read. Is it still there?";
const unreadable = new WeakSet(); // Files of a name and nothing else, for what could not be opened.

/** Write a number of bytes as the server does: `31 kB`, `4.1 MB`. */
export function fileSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / MB).toFixed(1)} MB`;
}

/** Write it so too where it is over a limit, with more digits where those would not tell the excess. */
function sizeOver(bytes, maxMb) {
  const digits = [1, 2, 3, 4, 5, 6].find((count) => Number((bytes / MB).toFixed(count)) > maxMb);
  return `${(bytes / MB).toFixed(digits)} MB`;
}

/** Show a name without what cannot be seen, as the server does: some marks make `gpj.exe` read `exe.jpg`. */
export function cleanName(name) {
  const base = name.split(/[/\\]/).at(-1);
  const shown = base.replace(UNSEEN, "").trim();
  return /[^\u200c\u200d]/u.test(shown) ? shown : "unnamed";
}

/** Say why the server would refuse a file, before a byte of it is sent; null if it would not. */
export async function findFault(file, maxMb) {
  if (unreadable.has(file)) return UNREADABLE;
  if (!file.size) return "This file is empty. Choose it again, or export it anew.";
  if (file.size > maxMb * MB) {
    return `This file is ${sizeOver(file.size, maxMb)}; the limit is ${maxMb} MB. Export it smaller.`;
  }
  try {
    const start = new Uint8Array(await file.slice(0, 64).arrayBuffer());
    const text = String.fromCharCode(...start);
    if (IMAGES.some((signature) => signature.test(text))) return null;
    return OTHERS.find(([signature]) => signature.test(text))?.[1] ?? UNKNOWN;
  } catch {
    return UNREADABLE;
  }
}

/** Leave out what systems put into folders unasked. */
export function withoutClutter(files) {
  return files.filter((file) => !CLUTTER.test(file.name));
}

/** List what was dropped, with all that is in dropped folders. */
export async function listDropped(transfer) {
  // The list of items is emptied as soon as the event is over: take all of it before waiting.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  return (await Promise.all(found.map(listEntry))).flat();
}

/** List a file, or all of a folder; what cannot be read is listed too, and keeps no other back. */
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
  // Frames are counted in the order of their names, as the camera did.
  entries.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  return (await Promise.all(entries.map(listEntry))).flat();
}

/** Read a folder; its reader gives some hundred entries at a time, and none at the end. */
async function listFolder(reader) {
  const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  return entries.length ? [...entries, ...(await listFolder(reader))] : [];
}

/** List what was pasted. A pasted picture has no name of its own: it gets the time. */
export function listPasted(transfer, now = new Date()) {
  const time = now.toLocaleString("sv").replaceAll(":", "."); // Swedish is ISO: 2026-11-24 07.42.10
  return [...transfer.files].map((file) =>
    /^image\.\w+$/.test(file.name)
      ? new File([file], file.name.replace("image", `pasted ${time}`), { type: file.type })
      : file,
  );
}
