"""Read outputs from the text of forms, URLs and commands."""

import re
from collections.abc import Mapping
from typing import cast

from webapp.config import read_switch
from webapp.recipes.outputs import (
    CENTRE,
    INVALID_FOCUS,
    INVALID_POINT,
    Color,
    Fit,
    Focus,
    InvalidRecipe,
    OutOfLimits,
    Output,
    Point,
    RequestedFormat,
    default_name,
)

MAX_WIDTHS = 100  # In the text of a responsive set; far more than a recipe has outputs.


def parse_output(fields: Mapping[str, str]) -> Output:
    """Read one output from the text fields of a form or a query string.

    A missing or empty field takes its default; the default name is made from the size.
    Raises InvalidRecipe.
    """
    given = {key: value.strip() for key, value in fields.items() if value.strip()}
    width = _whole_number(given, "width", "width", " of pixels")
    height = _whole_number(given, "height", "height", " of pixels")
    fit = cast(Fit, given.get("fit", "contain"))  # Output checks it.
    format = cast(RequestedFormat, given.get("format", "jpeg"))
    max_kb = _whole_number(given, "max_kb", "size limit", " of kilobytes")
    return Output(
        name=given.get("name") or default_name(width, height, fit, format),
        width=width,
        height=height,
        fit=fit,
        format=format,
        quality=_whole_number(given, "quality", "quality"),
        max_bytes=None if max_kb is None else max_kb * 1000,
        focus=_focus(given.get("focus", "")),
        background=given.get("background", "#ffffff").lower(),
        enlarge=_switch(given, "enlarge"),
        keep_copyright=_switch(given, "keep_copyright"),
        animated=_switch(given, "animated"),
        color=cast(Color, given.get("color", "srgb")),
    )


def parse_focal_point(text: str) -> Point:
    """Read a focal point as fractions of width and height: `0.3,0.7`.

    Raises InvalidRecipe.
    """
    point = _point(text)
    if point is None:
        raise InvalidRecipe("focus", INVALID_POINT)
    return point


def parse_quality(text: str) -> int:
    """Read a quality; an output checks its bounds. Raises InvalidRecipe."""
    return _read_whole(text.strip(), "quality", "quality")


def parse_widths(text: str) -> tuple[int, ...]:
    """Read the widths of a responsive set, separated by spaces or commas.

    Raises InvalidRecipe.
    """
    words = re.split(r"[\s,]+", text.strip(), maxsplit=MAX_WIDTHS)
    if len(words) > MAX_WIDTHS:
        raise OutOfLimits("widths", f"A responsive set has at most {MAX_WIDTHS} widths.")
    if not all(re.fullmatch(r"[0-9]+", word) for word in words):
        raise InvalidRecipe("widths", "The widths must be whole numbers of pixels: 320 640 1280.")
    return tuple(_number(word) for word in words)


def _whole_number(fields: Mapping[str, str], field: str, title: str, unit: str = "") -> int | None:
    text = fields.get(field)
    return None if text is None else _read_whole(text, field, title, unit)


def _read_whole(text: str, field: str, title: str, unit: str = "") -> int:
    if not re.fullmatch(r"-?[0-9]+", text):
        raise InvalidRecipe(field, f"The {title} must be a whole number{unit}.")
    return _number(text)


def _number(digits: str) -> int:
    """Read a number; of a long one only as many digits as exceed every limit.

    int() is slow on thousands of digits.
    """
    return int(digits[:10])


def _switch(fields: Mapping[str, str], field: str) -> bool:
    switch = read_switch(fields.get(field, ""))
    if switch is None:
        raise InvalidRecipe(field, "This is on or off: send 1 or 0.")
    return switch


def _focus(text: str) -> Focus:
    """Read `smart` or a point; the empty text is the centre."""
    if text == "smart":
        return "smart"
    point = _point(text) if text else CENTRE
    if point is None:
        raise InvalidRecipe("focus", INVALID_FOCUS)
    return point


def _point(text: str) -> Point | None:
    numbers = re.fullmatch(r"(0|1|[01]?\.\d{1,6}),\s*(0|1|[01]?\.\d{1,6})", text)
    point = (float(numbers[1]), float(numbers[2])) if numbers else None
    return point if point and max(point) <= 1 else None
