/** Show why a change that htmx sent was not made. */

import { showNotice } from "./page.js";

const { unreachable, failed } = document.getElementById("status").dataset;

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.request.method === "POST") showNotice(readDetail(ctx.text) ?? failed);
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (ctx?.request.method === "POST") showNotice(unreachable);
});

/** Read the sentence of an error; that of a proxy is a page. */
function readDetail(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return null;
  }
}
