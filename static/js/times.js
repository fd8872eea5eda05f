/** Times in the zone and the language of the browser. */

const EXACT = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };

/** Write times as text, or as the title of a text that tells how long it is. */
function localize() {
  for (const time of document.querySelectorAll("#main time")) {
    const words = new Date(time.dateTime).toLocaleString([], EXACT);
    if (time.title) time.title = words;
    else time.textContent = words;
  }
}

setInterval(() => {
  for (const left of document.querySelectorAll(".seconds")) left.textContent = Math.max(left.textContent - 1, 0);
}, 1000);

document.addEventListener("htmx:after:swap", localize);
localize();
