"""Read outputs from text, and refuse wrong ones."""

import pytest

from webapp.recipes.outputs import InvalidRecipe, OutOfLimits, Output, Recipe, responsive_set
from webapp.recipes.parsing import parse_output, parse_widths


def test_output_is_read_from_text() -> None:
    given = {"width": "640", "height": " 360 ", "fit": "cover", "format": "webp", "quality": "75"}
    assert parse_output(given) == Output("640x360-cover", 640, 360, "cover", "webp", 75)


def test_empty_fields_take_their_defaults() -> None:
    assert parse_output({"width": "320", "height": "", "quality": ""}) == Output("320w", 320, None)


FOCUS_SENTENCE = "The focal point must be smart, or two numbers from 0 to 1."


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"width": "0"}, "width", "The width must be from 1 to 4096 pixels."),
        ({"width": "-5"}, "width", "The width must be from 1 to 4096 pixels."),
        ({"height": "99999"}, "height", "The height must be from 1 to 4096 pixels."),
        ({"width": "9" * 5000}, "width", "The width must be from 1 to 4096 pixels."),
        ({"width": "wide"}, "width", "The width must be a whole number of pixels."),
        ({"width": "1e3"}, "width", "The width must be a whole number of pixels."),
        ({"width": "10.5"}, "width", "The width must be a whole number of pixels."),
        ({}, "width", "Give a width, a height or both."),
        ({"width": "5", "fit": "cover"}, "height", "Fit cover needs both a width and a height."),
        ({"width": "5", "fit": "fill"}, "fit", "The fit must be one of contain, cover, pad."),
        (
            {"width": "5", "format": "svg"},
            "format",
            "The format must be one of jpeg, png, webp, avif, gif, source.",
        ),
        ({"width": "5", "quality": "101"}, "quality", "The quality must be from 1 to 100."),
        ({"width": "5", "quality": "best"}, "quality", "The quality must be a whole number."),
        (
            {"width": "5", "format": "gif"},
            "format",
            "GIF is for animations; for a still picture, take png.",
        ),
        ({"width": "5", "animated": "1"}, "format", "An animation is made as webp, gif or source."),
        ({"width": "5", "color": "p3"}, "color", "The colours must be one of srgb, keep."),
        ({"width": "5", "max_kb": "0"}, "max_kb", "The size limit must be from 1 to 100000 kB."),
        (
            {"width": "5", "max_kb": "few"},
            "max_kb",
            "The size limit must be a whole number of kilobytes.",
        ),
        ({"width": "5", "focus": "2,0"}, "focus", FOCUS_SENTENCE),
        ({"width": "5", "focus": "left"}, "focus", FOCUS_SENTENCE),
        (
            {"width": "5", "background": "red"},
            "background",
            "The background must be a colour like #ffffff, or transparent.",
        ),
    ],
)
def test_wrong_output_is_refused_with_its_field(
    given: dict[str, str], field: str, sentence: str
) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        parse_output(given)
    assert (caught.value.field, str(caught.value)) == (field, sentence)


def test_limit_in_kilobytes_is_read() -> None:
    assert parse_output({"width": "320", "max_kb": "120"}).max_bytes == 120_000


def test_widths_of_a_responsive_set_are_read() -> None:
    assert parse_widths(" 320, 640\n1280 ") == (320, 640, 1280)


def test_width_of_a_thousand_digits_is_over_every_limit() -> None:
    with pytest.raises(InvalidRecipe, match="from 1 to 4096 pixels"):
        responsive_set(parse_widths("9" * 5000), ["webp"])


@pytest.mark.parametrize("text", ["", "320 wide", "-5", "10.5"])
def test_wrong_widths_are_refused(text: str) -> None:
    with pytest.raises(InvalidRecipe, match="whole numbers of pixels"):
        parse_widths(text)


def test_responsive_set_of_over_100_widths_is_refused() -> None:
    assert len(parse_widths("320 " * 100)) == 100
    with pytest.raises(OutOfLimits, match="at most 100 widths"):
        parse_widths("320 " * 101)


@pytest.mark.parametrize(
    ("text", "focus"), [("", (0.5, 0.5)), ("smart", "smart"), ("0.25, 1", (0.25, 1.0))]
)
def test_focal_point_survives_being_stored(text: str, focus: object) -> None:
    output = parse_output({"width": "5", "height": "5", "fit": "cover", "focus": text})
    assert Recipe.from_json(Recipe((output,)).to_json()).outputs[0].focus == focus


@pytest.mark.parametrize(
    ("word", "is_on"), [("y", True), ("on", True), ("yes", True), ("True", True), ("no", False)]
)
def test_usual_words_turn_an_option_on_or_off(word: str, is_on: bool) -> None:
    assert parse_output({"width": "320", "enlarge": word}).enlarge is is_on
