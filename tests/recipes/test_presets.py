"""The presets."""

from webapp.recipes.outputs import Output
from webapp.recipes.presets import PRESETS


def test_square_preset_is_what_thumbnail_api_made() -> None:
    assert PRESETS["square"].recipe.outputs == (Output("square", 100, 100, "pad", "jpeg"),)
