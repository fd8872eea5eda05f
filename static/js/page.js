/** What the page says about itself: the tab's title, and the line that screen readers read out. */

const status = document.getElementById("status");
const titles = { sending: "", job: document.title };

/** Say something once; the same words again would be read out again. */
export function announce(words) {
  if (status.textContent !== words) status.textContent = words;
}

/** Set one part's title. What is being sent goes before what became of it. */
export function setTitle(part, words) {
  titles[part] = words;
  document.title = titles.sending || titles.job;
}
