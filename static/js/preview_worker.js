/** Draw small pictures of photos, away from the page. */

onmessage = async ({ data: { file, side } }) => {
  try {
    const photo = await createImageBitmap(file);
    const { width, height } = photo;
    const scale = Math.min(1, side / Math.max(width, height));
    const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "medium";
    context.drawImage(photo, 0, 0, canvas.width, canvas.height);
    photo.close();
    const picture = await canvas.convertToBlob({ type: "image/webp", quality: 0.8 });
    postMessage({ picture, width, height });
  } catch {
    postMessage(null); // This browser cannot decode it.
  }
};
