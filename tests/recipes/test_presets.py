"""The presets."""

from webapp.recipes.outputs import Output
from webapp.recipes.presets import PRESETS


def test_square_preset_equals_the_thumbnail_of_thumbnail_api() -> None:
    assert PRESETS["square"].recipe.outputs == (Output("square", 100, 100, "pad", "jpeg"),)
