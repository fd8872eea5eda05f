/** Local times, as titles of what pages say about them. */

function localize() {
  for (const time of document.querySelectorAll("time[title]")) {
    time.title = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}

document.addEventListener("htmx:after:swap", localize);
localize();
