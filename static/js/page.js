/** What the page says about itself: the tab's title and icon, and the line that is read out. */

const status = document.getElementById("status");
const icon = document.querySelector("link[rel=icon]");
const titles = { sending: "", job: document.title };
const bars = document.createElement("div");
bars.className = "bars";

const SHOWN = 8000; // Milliseconds that a notice stays.
let notice = null;
let noticeTimer = null;

/** Say something once; the same words again would be read out again. */
export function announce(words) {
  if (status.textContent !== words) status.textContent = words;
}

/** Set one part's title. What is being sent goes before what became of it. */
export function setTitle(part, words) {
  titles[part] = words;
  document.title = titles.sending || titles.job;
}

/** Whether something is being sent, by the title. */
export function isSending() {
  return titles.sending !== "";
}

/** Show another icon, unless it is there. */
export function setIcon(address) {
  if (address && icon.getAttribute("href") !== address) icon.href = address;
}

/** Make a line at the lower edge of the window, where it pushes nothing away. */
export function makeBar() {
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.hidden = true;
  if (!bars.isConnected) document.querySelector("main").append(bars);
  bars.append(bar);
  return bar;
}

/** Show and say why something was not done, until the next click or for some seconds. */
export function showNotice(words) {
  notice ??= makeBar();
  notice.textContent = words;
  notice.hidden = false;
  announce(words);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(hideNotice, SHOWN);
}

function hideNotice() {
  if (!notice || notice.hidden) return;
  notice.hidden = true;
  if (status.textContent === notice.textContent) announce(""); // So that it is read out anew.
}

document.addEventListener("click", hideNotice, true);
