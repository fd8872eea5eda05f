// What worker.py does, with sharp: one JSON line a job, timed here.
import { join } from "node:path";
import { createInterface } from "node:readline";
import sharp from "sharp";

sharp.cache(false); // Otherwise the second round finds the picture of the first.

const fit = (image, size) =>
  image.resize(size, size, { fit: "inside", withoutEnlargement: true });

// Optimising takes time for fewer bytes; only sharp does it by default.
const save = (image, job, size) =>
  (job.format === "png" ? image.png() : image.jpeg({ quality: job.quality, optimiseCoding: false }))
    .toFile(join(job.folder, `${size}.${job.format}`));

async function cascade(job, [first, ...rest]) {
  const { data, info } = await fit(sharp(job.source).autoOrient(), first)
    .raw()
    .toBuffer({ resolveWithObject: true });
  const raw = { width: info.width, height: info.height, channels: info.channels };
  await save(sharp(data, { raw }), job, first);
  await Promise.all(rest.map((size) => save(fit(sharp(data, { raw }), size), job, size)));
}

async function make(job) {
  if (job.cascade) return cascade(job, job.sizes);
  const each = (size) => save(fit(sharp(job.source).autoOrient(), size), job, size);
  return Promise.all(job.sizes.map(each));
}

async function answer(job) {
  const start = performance.now();
  try {
    for (let i = 0; i < job.repeat; i++) await make(job);
  } catch (error) {
    return { error: error.message };
  }
  return { seconds: (performance.now() - start) / 1000 };
}

const { sharp: version, vips } = sharp.versions;
const print = (object) => console.log(JSON.stringify(object));
print({ version: `sharp ${version}, libvips ${vips}, node ${process.versions.node}` });
for await (const line of createInterface({ input: process.stdin })) print(await answer(JSON.parse(line)));
