"""What a test does in a browser that Playwright does not drive."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.servers import wait_until

# The first visible element of some kind whose name begins with these words.
_FIND = """(kind, words) => [...document.querySelectorAll(kind)].find((element) =>
    element.checkVisibility() &&
    (element.getAttribute("aria-label") ?? element.textContent).trim().startsWith(words))"""
CONTROLS = "a, button, label, summary"


class Driver(ABC):
    """One window of one browser."""

    @abstractmethod
    def open(self, url: str) -> None:
        """Load a page, and wait until it is complete."""

    @abstractmethod
    def call(self, function: str, *values: Any) -> Any:
        """Call a JavaScript function in the page; return its value, which JSON can hold."""

    @abstractmethod
    def find(self, function: str, *values: Any) -> Any:
        """Call a function that returns an element; return a handle of it, or None."""

    @abstractmethod
    def click_on(self, element: Any) -> None:
        """Click on the middle of an element with the mouse."""

    @abstractmethod
    def choose(self, element: Any, files: Sequence[Path]) -> None:
        """Choose files in a file field."""

    @abstractmethod
    def press(self, key: str) -> None:
        """Press and release a key where the focus is."""

    @abstractmethod
    def close(self) -> None:
        """End the browser."""

    def click(self, words: str, kind: str = CONTROLS) -> None:
        """Wait for a control whose name begins with these words, and click on it."""
        self.click_on(wait_until(lambda: self.find(_FIND, kind, words), what=words))

    def wait_for(self, function: str, *values: Any) -> Any:
        """Wait until a function returns what is true in JavaScript."""
        return wait_until(lambda: self.call(function, *values), what=function)

    def wait_for_text(self, selector: str, words: str) -> None:
        """Wait until an element contains these words."""
        self.wait_for(
            "(selector, words) => document.querySelector(selector)?.textContent.includes(words)",
            selector,
            words,
        )
