/** The server's rules for files and sizes, and the words of the upload page. */

const read = (id) => JSON.parse(document.getElementById(id).textContent);

export const rules = read("rules");
const words = read("words");

/** Fill in the words for a case: `{n}` is a value, `{n|photo|photos}` the word for one or several. */
export function say(key, values = {}) {
  return words[key].replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, several) => {
    const value = values[name];
    if (one !== undefined) return value === 1 ? one : several;
    return typeof value === "number" ? value.toLocaleString("en") : value;
  });
}
