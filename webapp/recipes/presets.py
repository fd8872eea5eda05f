"""Named recipes, ready to pick."""

from collections.abc import Mapping
from dataclasses import dataclass

from webapp.recipes.outputs import (
    InvalidRecipe,
    Output,
    Recipe,
    RecipeLimits,
    combine,
    responsive_set,
)


@dataclass(frozen=True)
class Preset:
    """A named recipe, ready to pick."""

    name: str
    title: str
    description: str  # In plain words.
    facts: str  # In figures.
    recipe: Recipe


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        # The one thumbnail that thumbnail-api makes; its clients get this preset.
        Preset(
            "square",
            "Square",
            "Whole photo on white",
            "100 × 100 · JPEG",
            Recipe((Output("square", 100, 100, "pad"),)),
        ),
        Preset(
            "avatar",
            "Avatar",
            "Cropped square",
            "256 × 256 · WebP",
            Recipe((Output("avatar", 256, 256, "cover", "webp", focus="smart"),)),
        ),
        Preset(
            "card",
            "Card",
            "Cropped to 16:9",
            "640 × 360 · WebP",
            Recipe((Output("card", 640, 360, "cover", "webp", focus="smart"),)),
        ),
        Preset(
            "social",
            "Social",
            "Cropped to 1.91:1",
            "1200 × 630 · JPEG",
            Recipe((Output("social", 1200, 630, "cover", focus="smart"),)),
        ),
        Preset(
            "web-set",
            "Web set",
            "Whole photo, four widths",
            "320 640 1280 1920 · WebP + JPEG",
            Recipe(responsive_set((320, 640, 1280, 1920), ("webp", "jpeg"))),
        ),
    )
}


# A new form selects the first of these that is offered.
FIRST_CHOICES = ("web-set", "card", "avatar", "square")


def offered_presets(limits: RecipeLimits) -> list[Preset]:
    """List the presets whose recipes are within the limits."""
    return [one for one in PRESETS.values() if _is_within(limits, one.recipe)]


def preset(name: str) -> Preset:
    """Return the preset of this name. Raises InvalidRecipe."""
    if name not in PRESETS:
        raise InvalidRecipe("presets", "There is no preset of that name.")
    return PRESETS[name]


def _is_within(limits: RecipeLimits, recipe: Recipe) -> bool:
    try:
        combine(recipe.outputs, limits)
    except InvalidRecipe:
        return False
    return True
