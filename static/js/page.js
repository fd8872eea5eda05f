/** The page's address, title, icon, live region, notices and menus. */

const status = document.getElementById("status");
const icon = document.querySelector("link[rel=icon]");
const titles = { upload: "", job: document.title };
const bars = document.createElement("div");
bars.className = "bars";

let path = location.pathname;

const NOTICE_MS = 8000; // How long a notice is shown.
let notice = null;
let noticeTimer = null;

/** Become the page of another address: that of the job which this page created. */
export function moveTo(address) {
  history.pushState(null, "", address);
  path = location.pathname;
  document.querySelector("[aria-current]").removeAttribute("aria-current");
}

// Both addresses are of one document: going back and forward must load it.
addEventListener("popstate", () => {
  if (location.pathname === path) return;
  if (!isUploading()) location.reload();
  else {
    // The address bar has already changed. Restore it, for users who stay when the browser asks them.
    const address = location.href;
    history.pushState(null, "", path);
    location.assign(address);
  }
});

/** Announce a text to screen readers; setting the same text again would repeat it. */
export function announce(words) {
  if (status.textContent !== words) status.textContent = words;
}

/** Set the title of one part. The upload's title has priority over the job's. */
export function setTitle(part, words) {
  titles[part] = words;
  document.title = titles.upload || titles.job;
}

/** Return whether files are being uploaded. */
export function isUploading() {
  return titles.upload !== "";
}

/** Set the tab's icon. */
export function setIcon(address) {
  if (address && icon.getAttribute("href") !== address) icon.href = address;
}

/** Create a hidden bar at the bottom of the window, over the page. */
export function makeBar() {
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.hidden = true;
  if (!bars.isConnected) document.querySelector("main").append(bars);
  bars.append(bar);
  return bar;
}

/** Show and announce a text, until the next click or for some seconds. */
export function showNotice(words) {
  notice ??= makeBar();
  notice.textContent = words;
  notice.hidden = false;
  announce(words);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(hideNotice, NOTICE_MS);
}

function hideNotice() {
  if (!notice || notice.hidden) return;
  notice.hidden = true;
  if (status.textContent === notice.textContent) announce(""); // So that the same text is announced again next time.
}

document.addEventListener("click", hideNotice, true);

// A menu closes with what it does: its rows may move, and a second tap must not hit another one.
document.addEventListener("click", ({ target }) => {
  if (!target.closest(".menu :is([type=submit], label.item)")) return;
  for (const menu of document.querySelectorAll(".menu:popover-open")) menu.hidePopover();
});
