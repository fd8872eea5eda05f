/** Find all files that were dropped, pasted or chosen, and tell images from other files. */

const MB = 1_000_000;
const SYSTEM_FILES = /^(\._.*|\.DS_Store|Thumbs\.db|desktop\.ini)$/s; // macOS adds `._` files.

// Control, format and surrogate characters, except the two joiners.
const INVISIBLE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}]/gu;

// Signatures of the first bytes, read as Latin-1. Names are no proof: many ".heic" files are JPEGs.
const IMAGES = [
  /^\xff\xd8\xff/, // JPEG
  /^\x89PNG\r\n\x1a\n/,
  /^GIF8[79]a/,
  /^RIFF.{4}WEBP/s,
  /^.{4}ftyp.*avi[fs]/s, // Any of the brands may be AVIF's.
  /^(II[*+]\0|MM\0[*+])/, // TIFF and BigTIFF
  /^BM/, // BMP
  /^.{4}ftyp(hei|hev|m[is]f1)/s, // HEIC
  /^\0\0\x01\0/, // ICO
  /^(\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/, // JPEG 2000
];
// The most common other files, with the server's sentences.
const OTHERS = [
  [/^%PDF/, "This is a PDF. Export the page as PNG or JPEG."],
  [/^\s*<(svg|\?xml)/i, "This is an SVG drawing, which we cannot read. Export it as PNG."],
  [
    /^[\t\n\r\x20-\x7e\x80-\xff]*$/,
    "This is text, not an image. Upload the picture itself.",
  ],
];
const UNKNOWN =
  "This is not an image that we can read. Upload a JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF file.";

const UNREADABLE = "This file cannot be read. It may have been moved or deleted.";
const unreadable = new WeakSet(); // Stand-ins for entries that could not be opened.

/** Format a number of bytes as the server does: `31 kB`, `4.1 MB`. */
export function fileSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / MB).toFixed(1)} MB`;
}

/** Format a size over the limit, with as many digits as show that it is over. */
function sizeOver(bytes, maxMb) {
  const digits = [1, 2, 3, 4, 5, 6].find((count) => Number((bytes / MB).toFixed(count)) > maxMb);
  return `${(bytes / MB).toFixed(digits)} MB`;
}

/** Remove invisible characters, as the server does: some make `gpj.exe` display as `exe.jpg`. */
export function cleanName(name) {
  const base = name.split(/[/\\]/).at(-1);
  const shown = base.replace(INVISIBLE, "").trim();
  return /[^\u200c\u200d]/u.test(shown) ? shown : "unnamed";
}

/** Return the reason why the server would reject a file, or null. */
export async function findFault(file, maxMb) {
  if (unreadable.has(file)) return UNREADABLE;
  if (!file.size) return "This file is empty. Choose it again, or export it again.";
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

/** Return the files without those that operating systems add to folders. */
export function withoutSystemFiles(files) {
  return files.filter((file) => !SYSTEM_FILES.test(file.name));
}

/** List the dropped files, including all files in dropped folders. */
export async function listDropped(transfer) {
  // The browser empties the list of items after the event: read all of it before the first await.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
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
      ? new File([file], file.name.replace("image", `pasted ${time}`), { type: file.type })
      : file,
  );
}
