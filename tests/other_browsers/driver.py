"""What a test does in a browser that Playwright does not drive."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.servers import wait_until

HOST = "127.0.0.1"  # Of the servers and of what drives WebKit.
CONTROLS = "a, button, label, summary"
FIELDS = "input:not([type=file]), textarea, select"
ENTER, ESCAPE, SHIFT, CONTROL = "\ue007", "\ue00c", "\ue008", "\ue009"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"

# The first visible element of some kind whose name begins with these words.
_FIND = """(kind, words) => [...document.querySelectorAll(kind)].find((element) => {
    const picture = element.querySelector("[alt]:not([alt=''])");
    const names = [element.ariaLabel, element.labels?.[0]?.textContent, element.textContent];
    return element.checkVisibility({ visibilityProperty: true }) &&
        [...names, picture?.alt].find((name) => name?.trim())?.trim().startsWith(words);
})"""

# Where a click on it arrives, and when, if the page is loaded and nothing covers or disables it.
# An anchor inside a line of text has several boxes; the first is clicked.
_TARGET = f"""(kind, words, across, down) => {{
    const element = ({_FIND})(kind, words);
    if (!element || element.disabled || document.readyState !== "complete") return null;
    element.scrollIntoView({{ block: "center", behavior: "instant" }});
    const box = element.getClientRects()[0];
    const x = Math.floor(box.x + across * box.width), y = Math.floor(box.y + down * box.height);
    const hit = document.elementFromPoint(x, y);
    requestAnimationFrame(() => {{}}); // The clock of a page goes on with its frames.
    const isHit = element.contains(hit) || (hit && hit.closest("label")?.control === element);
    return isHit ? {{ place: [x, y, box.x, box.y], time: document.timeline.currentTime }} : null;
}}"""
_TWO_FRAMES = 2 * 1000 / 60  # Milliseconds of the page's own clock, which stops while it is busy.

_SEES = """(words, place) => [...document.querySelectorAll(place)].some((element) =>
    element.innerText.replace(/\\s+/g, " ").includes(words))"""


class Refused(Exception):
    """A browser did not do what it was told, as when the page is just being left."""


class Died(Exception):
    """A browser ended by itself, or was killed: no verdict on the page that it showed."""


class Driver(ABC):
    """One window of one browser."""

    process: subprocess.Popen[bytes]  # The browser, or what starts it.

    @abstractmethod
    def open(self, url: str) -> None:
        """Load a page, and wait until it is complete."""

    @abstractmethod
    def reload(self) -> None:
        """Load the page again."""

    @abstractmethod
    def go(self, steps: int) -> None:
        """Go back or forward by one page."""

    @abstractmethod
    def call(self, function: str, *values: Any) -> Any:
        """Call a JavaScript function in the page; return its value, which JSON can hold."""

    @abstractmethod
    def choose(self, field: str, files: Sequence[Path]) -> None:
        """Choose files in the file field that a CSS selector matches."""

    @abstractmethod
    def perform(self, kind: str, *steps: dict[str, Any]) -> None:
        """Perform actions of WebDriver with the mouse ("pointer") or keys ("key")."""

    @abstractmethod
    def forget(self) -> None:
        """Remove all cookies of the site: the next page is opened by another person."""

    @abstractmethod
    def set_cookie(self, name: str, value: str) -> None:
        """Set a cookie of the site."""

    @abstractmethod
    def close(self) -> None:
        """End the browser."""

    def check(self) -> None:
        """Raise Died if the browser did; one that refuses is alive."""
        self._try("() => null")

    def click(self, words: str, kind: str = CONTROLS, **where: float) -> None:
        """Wait for a control whose name begins with these words, and click on it."""
        self.hold(words, kind, **where)
        self.release()

    def hold(
        self, words: str, kind: str = CONTROLS, *, across: float = 0.5, down: float = 0.5
    ) -> None:
        """Press the mouse on a control, at fractions of its sides, when it stands still.

        The page may still be laid out: a control that is where it was two frames before is still.
        """
        before: dict[str, Any] = {}

        def find_target() -> Any:
            nonlocal before
            target = self._try(_TARGET, kind, words, across, down) or {}
            if not target or target["place"] != before.get("place"):
                before = target
                return None
            return target if target["time"] - before["time"] >= _TWO_FRAMES else None

        x, y, *_ = self._wait(find_target, f"a control {words!r} to click on")["place"]
        self.perform(
            "pointer",
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
        )

    def release(self) -> None:
        """Release the mouse where it is."""
        self.perform("pointer", {"type": "pointerUp", "button": 0})

    def press(self, *keys: str) -> None:
        """Press keys where the focus is; the last one while the others are held."""
        down = [{"type": "keyDown", "value": key} for key in keys]
        up = [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.perform("key", *down, *up)

    def fill(self, label: str, words: str) -> None:
        """Write into the field with this label, in place of what it holds."""
        self.click(label, FIELDS)
        self.press(CONTROL, "a")
        for letter in words:
            self.press(letter)

    def focus(self, words: str, kind: str = CONTROLS) -> None:
        """Wait for a control whose name begins with these words, and focus it."""
        self.wait_for(
            f"""(kind, words) => {{
                const element = document.readyState === "complete" && ({_FIND})(kind, words);
                if (element) element.focus();
                return element && document.activeElement === element;
            }}""",
            kind,
            words,
        )

    def wait_for(self, function: str, *values: Any) -> Any:
        """Wait until a function returns what is true in JavaScript; return it."""
        return self._wait(lambda: self._try(function, *values), f"{function} {values}")

    def see(self, words: str, place: str = "body") -> None:
        """Wait until a place shows these words."""
        self._wait(lambda: self._try(_SEES, words, place), f"{words!r} in {place}")

    def see_no(self, words: str, place: str = "body") -> None:
        """Wait until no place shows these words."""
        function = f"(words, place) => !({_SEES})(words, place)"
        self._wait(lambda: self._try(function, words, place), f"no {words!r} in {place}")

    def see_control(self, words: str, kind: str = CONTROLS) -> None:
        """Wait until there is a control whose name begins with these words."""
        function = f"(kind, words) => Boolean(({_FIND})(kind, words))"
        self._wait(lambda: self._try(function, kind, words), f"a control {words!r}")

    def see_heading(self, words: str) -> None:
        """Wait until there is a complete page with this heading."""
        function = """(words) => document.readyState === "complete" &&
            document.querySelector("h1")?.innerText.trim() === words"""
        self._wait(lambda: self._try(function, words), f"the heading {words!r}")

    def _try(self, function: str, *values: Any) -> Any:
        with suppress(Refused):
            return self.call(function, *values)
        return None

    def _wait(self, condition: Callable[[], Any], what: str) -> Any:
        try:
            return wait_until(condition, what=what)
        except AssertionError as error:
            shown = self._try("() => `${location}\\n${document.body.innerText}`")
            error.add_note(f"The page shows:\n{shown}")
            raise
