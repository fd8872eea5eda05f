"""The recipe in an address."""

import re
from collections.abc import Iterable

from webapp.recipes.outputs import InvalidRecipe, OutOfLimits
from webapp.recipes.parsing import parse_output, parse_widths
from webapp.web.forms.output import FIELD_CHOICES, OutputForm, ResponsiveForm, current_presets
from webapp.web.forms.retention import retention_choices

# Names of form fields in the address of a recipe; other fields keep their names.
ADDRESS_NAMES = {
    "preset": "presets",
    "enlarged": "enlarged",
    "widths": "responsive-widths",
    "formats": "responsive-formats",
    "keep_hours": "keep_hours",
}
SWITCHES = ("transparent", "enlarge", "keep_copyright", "animated")
ADDRESS_SIDES = {"w": "width", "h": "height"}
SHORT_SIDES = {side: name for name, side in ADDRESS_SIDES.items()}


def names_recipe(query: Iterable[str]) -> bool:
    """Return whether the query of an address names a recipe."""
    return any(map(field_of_parameter, query))


def accepts(field: str, value: str) -> bool:
    """Return whether a field of the form accepts a value of an address."""
    name = field.rpartition("-")[2]
    if field == "keep_hours":
        return value in {choice.value for choice in retention_choices()}
    if not value.strip():
        return True
    if field in ("presets", "enlarged"):
        return value in {one.name for one in current_presets()}
    if name in SWITCHES:
        return False
    choices = FIELD_CHOICES[ResponsiveForm if field.startswith("responsive-") else OutputForm][name]
    if choices is not None:
        return value in choices
    try:
        if name == "widths":
            parse_widths(value)
        else:
            parse_output({"width": "1", "height": "1", name: value})
    except OutOfLimits:
        return True  # The form shows it, with the limit that it exceeds.
    except InvalidRecipe:
        return False
    return True


def field_of_parameter(name: str) -> str | None:
    """Return the name of the form field that an address means, or None."""
    if name in ADDRESS_NAMES:
        return ADDRESS_NAMES[name]
    parts = re.fullmatch(r"([a-z_]+)([1-9]\d?)?", name)
    field = ADDRESS_SIDES.get(parts[1], parts[1]) if parts else ""
    if not parts or field not in FIELD_CHOICES[OutputForm]:
        return None
    return f"outputs-{int(parts[2] or 1) - 1}-{field}"


def sizes_after(count: int, fields: Iterable[str]) -> set[str]:
    """Return the sizes of fields after the first `count`, like `outputs-20`."""
    numbers = {int(field.split("-")[1]) for field in fields if field.startswith("outputs-")}
    return {f"outputs-{number}" for number in sorted(numbers)[count:]}
