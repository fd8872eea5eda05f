"""Combine outputs to a recipe, within its limits."""

from dataclasses import replace

import pytest

from webapp.config import Config
from webapp.recipes.outputs import (
    InvalidRecipe,
    Output,
    Recipe,
    RecipeLimits,
    TooManyOutputs,
    combine,
    responsive_set,
)
from webapp.recipes.presets import PRESETS

LIMITS = RecipeLimits.from_config(Config())


def test_quality_depends_on_the_format_unless_given() -> None:
    qualities = [Output("a", 1, 1, format=f).encoder_quality for f in ("jpeg", "avif", "png")]
    assert qualities == [80, 60, None]


@pytest.mark.parametrize("name", ["", "../up", "Has Space", "ümlaut", "a" * 41])
def test_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(InvalidRecipe):
        Output(name, 1, 1)


def test_recipe_survives_being_stored() -> None:
    recipe = PRESETS["web-set"].recipe
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_empty_recipe_is_refused() -> None:
    with pytest.raises(InvalidRecipe, match="at least one size"):
        combine([], LIMITS)


def test_too_many_outputs_are_refused() -> None:
    with pytest.raises(InvalidRecipe, match="at most 2 files"):
        combine([Output(f"{w}w", w, None) for w in (1, 2, 3)], replace(LIMITS, max_outputs=2))


def test_outputs_of_too_many_pixels_in_all_are_refused() -> None:
    four = [Output(f"{n}", 4000, 4000, "cover") for n in range(4)]
    assert combine(four, LIMITS).pixels == 64_000_000
    with pytest.raises(TooManyOutputs, match=r"at most 64 megapixels.* 64.1:") as caught:
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


def test_output_asked_for_twice_is_made_once() -> None:
    output = Output("320w", 320, None)
    assert combine([output, output], LIMITS).outputs == (output,)


def test_different_outputs_of_one_name_get_a_number() -> None:
    recipe = combine([Output("320w", 320, None, quality=q) for q in (50, 90)], LIMITS)
    assert [output.file_name for output in recipe.outputs] == ["320w.jpg", "320w-2.jpg"]


def test_width_asked_for_twice_is_made_once() -> None:
    assert responsive_set([320] * 100_000, ["webp"] * 100_000) == responsive_set([320], ["webp"])


def test_responsive_set_is_every_width_in_every_format() -> None:
    names = [output.name for output in responsive_set((320, 640), ("webp", "source"))]
    assert names == ["320w", "320w-source", "640w", "640w-source"]


def test_output_in_the_source_format_needs_its_own_name() -> None:
    with pytest.raises(InvalidRecipe, match="a name of its own"):
        combine([Output("a", 5, None, format=format) for format in ("jpeg", "source")], LIMITS)


@pytest.mark.parametrize(
    ("name", "title"),
    [("card", "Card"), ("page-header", "Page header"), ("64x48-cover", ""), ("64x48-cover-2", "")],
)
def test_title_is_the_name_that_someone_gave(name: str, title: str) -> None:
    assert Output(name, 64, 48, "cover").title == title
