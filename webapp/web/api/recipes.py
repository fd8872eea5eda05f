"""Recipes in the words of the API: read from requests, and described."""

from collections.abc import Sequence

import msgspec

from webapp.recipes.outputs import InvalidRecipe, Output, Point, Recipe, combine, default_name
from webapp.recipes.presets import preset
from webapp.web.api import schemas
from webapp.web.api.problems import Problems, noting
from webapp.web.app_context import current_jobs


def read_recipe(
    presets: Sequence[str], outputs: Sequence[schemas.Output | None], problems: Problems
) -> Recipe | None:
    """Read a recipe of presets and outputs, within the limits of the settings.

    None stands for an output that is wrong already. Adds what else is wrong to the problems, and
    returns None if anything is.
    """
    limits = current_jobs().recipe_limits
    chosen: list[Output] = []
    for place, name in enumerate(presets):
        try:
            chosen += preset(name).recipe.outputs
        except InvalidRecipe as error:
            problems.add(f"/presets/{place}", str(error))
    for place, one in enumerate(outputs):
        with noting(problems, f"/outputs/{place}"):
            if one is not None:
                output = _to_output(one)
                output.check_sides(limits.max_side)
                chosen.append(output)
    if problems.found:
        return None
    if not chosen:
        problems.add("/outputs", "Name a preset, or describe at least one output.")
        return None
    with noting(problems, ""):
        return combine(chosen, limits)
    return None


def to_point(numbers: Sequence[float] | None) -> Point | None:
    """Convert the two numbers of a point; None stays None."""
    return (numbers[0], numbers[1]) if numbers else None


def _to_output(asked: schemas.Output) -> Output:
    """Create an output. Raises InvalidRecipe."""
    fields = msgspec.structs.asdict(asked)
    max_kb = fields.pop("max_kb")
    if asked.name is None:
        by_size = default_name(asked.width, asked.height, asked.fit, asked.format)
        fields["name"] = by_size if asked.width or asked.height else "without-size"
    if asked.focus != "smart":
        fields["focus"] = to_point(asked.focus)
    return Output(**fields, max_bytes=None if max_kb is None else max_kb * 1000)


def describe_recipe(recipe: Recipe) -> list[schemas.Output]:
    """Describe the outputs of a recipe."""
    return [
        schemas.Output(
            name=output.name,
            width=output.width,
            height=output.height,
            fit=output.fit,
            format=output.format,
            quality=output.quality,
            max_kb=None if output.max_bytes is None else output.max_bytes // 1000,
            background=output.background,
            focus=output.focus if output.focus == "smart" else list(output.focus),
            enlarge=output.enlarge,
            keep_copyright=output.keep_copyright,
            animated=output.animated,
            color=output.color,
        )
        for output in recipe.outputs
    ]
