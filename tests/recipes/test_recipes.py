"""What people ask for, and what is wrong with some of it."""

from dataclasses import replace

import pytest

from webapp.config import Config
from webapp.recipes.outputs import (
    InvalidRecipe,
    OutOfLimits,
    Output,
    Recipe,
    RecipeLimits,
    TooManyOutputs,
    combine,
    responsive_set,
)
from webapp.recipes.parsing import parse_output, parse_widths
from webapp.recipes.presets import PRESETS

LIMITS = RecipeLimits.from_config(Config())


def test_output_is_read_from_text() -> None:
    given = {"width": "640", "height": " 360 ", "fit": "cover", "format": "webp", "quality": "75"}
    assert parse_output(given) == Output("640x360-cover", 640, 360, "cover", "webp", 75)


def test_empty_fields_take_their_defaults() -> None:
    assert parse_output({"width": "320", "height": "", "quality": ""}) == Output("320w", 320, None)


def test_quality_depends_on_the_format_unless_given() -> None:
    qualities = [Output("a", 1, 1, format=f).encoder_quality for f in ("jpeg", "avif", "png")]
    assert qualities == [80, 60, None]


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


@pytest.mark.parametrize("name", ["", "../up", "Has Space", "ümlaut", "a" * 41])
def test_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(InvalidRecipe):
        Output(name, 1, 1)


def test_recipe_survives_being_stored() -> None:
    recipe = PRESETS["web-set"].recipe
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_empty_recipe_is_refused() -> None:
    with pytest.raises(InvalidRecipe, match="at least one output"):
        combine([], LIMITS)


def test_too_many_outputs_are_refused() -> None:
    with pytest.raises(InvalidRecipe, match="at most 2 outputs"):
        combine([Output(f"{w}w", w, None) for w in (1, 2, 3)], replace(LIMITS, max_outputs=2))


def test_outputs_of_too_many_pixels_in_all_are_refused() -> None:
    four = [Output(f"{n}", 4000, 4000, "cover") for n in range(4)]
    assert combine(four, LIMITS).pixels == 64_000_000
    with pytest.raises(TooManyOutputs, match=r"at most 64 megapixels in all.* 64.1:") as caught:
        combine([*four, Output("small", 1, 1)], LIMITS)
    assert caught.value.output == Output("small", 1, 1)


def test_free_side_counts_as_much_as_the_given_one() -> None:
    assert Output("w", 300, None).pixels == Output("h", None, 300).pixels == 90_000


LARGE_SETS = {
    "Next.js": (640, 750, 828, 1080, 1200, 1920, 2048, 3840),
    "ten up to 2560": (320, 480, 640, 768, 960, 1024, 1280, 1536, 1920, 2560),
}


@pytest.mark.parametrize("widths", LARGE_SETS.values(), ids=LARGE_SETS)
def test_largest_sets_in_use_are_within_the_limits(widths: tuple[int, ...]) -> None:
    combine(responsive_set(widths, ("avif", "webp")), LIMITS)


def test_side_beyond_the_limit_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidRecipe, match="height must be from 1 to 100 pixels") as caught:
        combine([Output("a", 100, 101)], replace(LIMITS, max_side=100))
    assert caught.value.field == "height"


def test_what_is_asked_for_twice_is_made_once() -> None:
    output = Output("320w", 320, None)
    assert combine([output, output], LIMITS).outputs == (output,)


def test_different_outputs_of_one_name_get_a_number() -> None:
    recipe = combine([Output("320w", 320, None, quality=q) for q in (50, 90)], LIMITS)
    assert [output.file_name for output in recipe.outputs] == ["320w.jpg", "320w-2.jpg"]


def test_limit_in_kilobytes_is_read() -> None:
    assert parse_output({"width": "320", "max_kb": "120"}).max_bytes == 120_000


@pytest.mark.parametrize(
    ("word", "is_on"), [("y", True), ("on", True), ("yes", True), ("True", True), ("no", False)]
)
def test_usual_words_turn_an_option_on_or_off(word: str, is_on: bool) -> None:
    assert parse_output({"width": "320", "enlarge": word}).enlarge is is_on


def test_widths_of_a_responsive_set_are_read() -> None:
    assert parse_widths(" 320, 640\n1280 ") == (320, 640, 1280)


def test_width_of_a_thousand_digits_is_over_every_limit() -> None:
    with pytest.raises(InvalidRecipe, match="from 1 to 4096 pixels"):
        responsive_set(parse_widths("9" * 5000), ["webp"])


@pytest.mark.parametrize("text", ["", "320 wide", "-5", "10.5"])
def test_wrong_widths_are_refused(text: str) -> None:
    with pytest.raises(InvalidRecipe, match="whole numbers of pixels"):
        parse_widths(text)


def test_responsive_set_of_more_widths_than_anybody_has_is_refused() -> None:
    assert len(parse_widths("320 " * 100)) == 100
    with pytest.raises(OutOfLimits, match="at most 100 widths"):
        parse_widths("320 " * 101)


def test_width_that_is_asked_for_twice_is_made_once() -> None:
    assert responsive_set([320] * 100_000, ["webp"] * 100_000) == responsive_set([320], ["webp"])


def test_responsive_set_is_every_width_in_every_format() -> None:
    names = [output.name for output in responsive_set((320, 640), ("webp", "source"))]
    assert names == ["320w", "320w-source", "640w", "640w-source"]


def test_output_in_the_sources_format_cannot_take_anothers_file() -> None:
    with pytest.raises(InvalidRecipe, match="a name of its own"):
        combine([Output("a", 5, None, format=format) for format in ("jpeg", "source")], LIMITS)


@pytest.mark.parametrize(
    ("text", "focus"), [("", (0.5, 0.5)), ("smart", "smart"), ("0.25, 1", (0.25, 1.0))]
)
def test_focal_point_is_read_and_survives_being_stored(text: str, focus: object) -> None:
    output = parse_output({"width": "5", "height": "5", "fit": "cover", "focus": text})
    assert Recipe.from_json(Recipe((output,)).to_json()).outputs[0].focus == focus


def test_square_preset_is_what_thumbnail_api_made() -> None:
    assert PRESETS["square"].recipe.outputs == (Output("square", 100, 100, "pad", "jpeg"),)
