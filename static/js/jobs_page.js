/** The list of jobs, which htmx polls and changes. */

import "./changes.js";
import "./copying.js";
import "./polling.js";
import "./times.js";

// A poll that would close the form in which a name is typed is dropped. The next one brings the same.
document.addEventListener("htmx:before:swap", (event) => {
  if (event.target.id === "jobs-poll" && document.querySelector(":popover-open")) event.preventDefault();
});
