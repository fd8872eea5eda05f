"""A parsed page, searched by CSS selectors and checked for what all must have."""

import io
from collections import Counter
from zipfile import ZipFile

from selectolax.lexbor import LexborHTMLParser, LexborNode
from werkzeug.test import TestResponse

FIELDS = "input:not([type=hidden]):not([type=submit]), select, textarea"


class Page:
    """A page or a fragment of one."""

    def __init__(self, html: str) -> None:
        self._tree = LexborHTMLParser(html)

    def all(self, selector: str) -> list[LexborNode]:
        """Return all elements that a CSS selector matches, in their order."""
        return self._tree.css(selector)

    def one(self, selector: str) -> LexborNode:
        """Return the only element that a CSS selector matches."""
        (found,) = self.all(selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element, with one space for all white space."""
        return [text_of(element) for element in self.all(selector)]

    def text(self, selector: str = "body") -> str:
        """Return the text of the only element."""
        return text_of(self.one(selector))

    def values(self, selector: str, attribute: str = "value") -> list[str]:
        """Return an attribute of each element; "" where it has no value."""
        return [element.attributes[attribute] or "" for element in self.all(selector)]

    def value(self, selector: str, attribute: str = "value") -> str:
        """Return an attribute of the only element."""
        (value,) = self.values(selector, attribute)
        return value

    def filled_in(self) -> list[tuple[str, str]]:
        """List the fields of the upload form, as a browser would send them."""
        fields = self.all(
            ".make input[name]:not([type=checkbox]):not([type=radio]), .make input[name][checked]"
        )
        filled_in = [(field.attributes["name"], field.attributes.get("value")) for field in fields]
        for name in self.values("select[name]", "name"):
            filled_in += [(name, self.value(f"select[name='{name}'] option[selected]"))]
        return [(name, value) for name, value in filled_in if name and value]

    def errors(self) -> list[tuple[str, str]]:
        """List the errors beside the fields of a form: name and sentence."""
        shown = ".field-error:not([hidden])"
        fields = [id.removesuffix("-error") for id in self.values(shown, "id")]
        return list(zip(fields, self.texts(shown), strict=True))

    def polled(self) -> str | None:
        """Return the address that a panel or a row will ask next, if any."""
        return next(iter(self.values("[hx-get]", "hx-get")), None)


def text_of(element: LexborNode) -> str:
    """Return the text of an element, with one space for all white space."""
    return " ".join(element.text().split())


def check_page(answer: TestResponse) -> None:
    """Check what every page has: a policy, a title, labels, and no id twice."""
    page = Page(answer.text)
    if answer.text.lstrip().lower().startswith("<!doctype"):  # Not a fragment.
        assert page.text("title").endswith("Thumbnails")
    assert "default-src" in answer.headers["Content-Security-Policy"]
    assert [field.html for field in page.all(FIELDS) if not is_labelled(page, field)] == []
    assert [id for id, count in Counter(page.values("[id]", "id")).items() if count > 1] == []


def is_labelled(page: Page, field: LexborNode) -> bool:
    """Return whether a field has a label, which may be around it."""
    attributes = field.attributes
    if attributes.get("aria-label") or attributes.get("aria-labelledby"):
        return True
    if "id" in attributes and page.all(f'label[for="{attributes["id"]}"]'):
        return True
    return any(field == inner for inner in page.all(f"label {field.tag}"))


def read_zip(answer: TestResponse) -> ZipFile:
    """Open the zip that was sent."""
    assert answer.status_code == 200, answer.text
    return ZipFile(io.BytesIO(answer.data))
