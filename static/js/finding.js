/** Find photos of a job by name, and remember how they are laid out. */

document.addEventListener("input", ({ target }) => {
  if (target.matches(".look [name=find]")) find();
});

document.addEventListener("change", ({ target }) => {
  if (!target.matches(".look [name=view]")) return;
  const path = new URL(".", location.href).pathname.slice(0, -1); // Of all jobs.
  document.cookie = `view=${target.value}; path=${path}; max-age=31536000; SameSite=Lax`;
});

document.addEventListener("submit", (event) => {
  if (event.target.matches(".look")) event.preventDefault(); // All its fields act at once.
});

document.addEventListener("htmx:after:swap", () => {
  if (wanted()) find();
});

function wanted() {
  return document.querySelector(".look [name=find]")?.value.trim().toLowerCase() ?? "";
}

function find() {
  const words = wanted();
  for (const name of document.querySelectorAll(".frame-name")) {
    const isFound = name.textContent.toLowerCase().includes(words);
    name.closest(".frame").classList.toggle("unmatched", !isFound);
  }
}
