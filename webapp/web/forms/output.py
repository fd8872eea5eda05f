"""The form of one output, and of a responsive set."""

from collections.abc import Iterable

from wtforms import (
    BooleanField,
    ColorField,
    Field,
    Form,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.widgets import CheckboxInput

from webapp.config import read_switch
from webapp.recipes.outputs import ANIMATED_FORMATS, FORMATS, InvalidRecipe, Output, responsive_set
from webapp.recipes.parsing import parse_output, parse_widths
from webapp.recipes.presets import FIRST_CHOICES, Preset, offered_presets
from webapp.web.app_context import current_jobs
from webapp.web.formatters import format_name

RESPONSIVE_FORMATS = tuple(format for format in FORMATS if format != "gif")


def _format_choices(formats: Iterable[str]) -> list[SelectChoice]:
    return [SelectChoice(name, format_name(name)) for name in formats]


class SwitchField(BooleanField):  # type: ignore[misc]
    """Read a box with the words for on and off that settings and links have."""

    def process_formdata(self, values: list[str]) -> None:
        """Read the value of the box; there is none if it is not ticked."""
        self.data = bool(values and read_switch(values[0]))


class OutputForm(Form):  # type: ignore[misc]
    """One custom size, in one or more formats; unused without a size."""

    width = IntegerField("Width, px")
    height = IntegerField("Height, px")
    fit = RadioField(
        "How it fits",
        choices=[
            SelectChoice("contain", "Fit inside"),
            SelectChoice("cover", "Crop to fill"),
            SelectChoice("pad", "Whole photo on a colour"),
        ],
        default="contain",
    )
    format = SelectMultipleField(
        "Formats",
        choices=[*_format_choices(FORMATS), SelectChoice("source", "as the photo")],
        default=["webp"],
        option_widget=CheckboxInput(),
    )
    quality = IntegerField("Quality")
    max_kb = IntegerField("At most, kB")
    background = ColorField("Background", default="#ffffff")
    transparent = SwitchField("Transparent")
    focus = SelectField(
        "Crop around",
        choices=[SelectChoice("", "centre"), SelectChoice("smart", "detail")],
        default="",
    )
    color = SelectField(
        "Colours",
        choices=[SelectChoice("srgb", "sRGB"), SelectChoice("keep", "keep Display P3")],
        default="srgb",
    )
    enlarge = SwitchField("Enlarge small photos")
    keep_copyright = SwitchField("Keep copyright and author")
    animated = SwitchField("Stay animated, in WebP and GIF")

    @property
    def more(self) -> list[Field]:
        """All fields but its size, fit and formats."""
        first = (self.width, self.height, self.fit, self.format)
        return [field for field in self if field not in first]

    @property
    def has_more(self) -> bool:
        """True if one of the other fields is filled in, or has an error."""
        return any(
            field.errors or (field.data and field.data != field.default) for field in self.more
        )

    @property
    def is_used(self) -> bool:
        """True if it has a size."""
        return any(_text(side.raw_data).strip() for side in (self.width, self.height))

    def outputs(self, max_side: int) -> list[Output]:
        """Read the output of each format, in the words of `recipes`.

        Raises InvalidRecipe, with the name of a field.
        """
        if not self.is_used:
            return []
        given = {field.short_name: _text(field.raw_data) for field in self}
        if self.transparent.data:
            given["background"] = "transparent"
        formats = list(dict.fromkeys(self.format.data))
        # Formats without animation are stills, beside animated ones.
        moving = ANIMATED_FORMATS.intersection(formats) or formats
        _require_formats(self.format)
        outputs = []
        for format in formats:
            animated = given["animated"] if format in moving else ""
            outputs.append(parse_output({**given, "format": format, "animated": animated}))
            outputs[-1].check_sides(max_side)
        return outputs


class ResponsiveForm(Form):  # type: ignore[misc]
    """A responsive set: every width in every format; unused without widths."""

    widths = StringField("Widths, px")
    formats = SelectMultipleField(
        "Formats",
        choices=_format_choices(RESPONSIVE_FORMATS),
        default=["webp", "jpeg"],
        option_widget=CheckboxInput(),
    )

    @property
    def is_used(self) -> bool:
        """True if it has widths."""
        return bool(_text(self.widths.raw_data).strip())

    def outputs(self, max_side: int) -> tuple[Output, ...]:
        """Read the outputs of the set.

        Raises InvalidRecipe, with the name of a field.
        """
        if not self.is_used:
            return ()
        try:
            _require_formats(self.formats)
            outputs = responsive_set(parse_widths(self.widths.data), self.formats.data)
            for output in outputs:
                output.check_sides(max_side)
            return outputs
        except InvalidRecipe as error:
            field = "formats" if error.field == "format" else "widths"
            raise InvalidRecipe(field, str(error)) from None


def _require_formats(field: Field) -> None:
    if not field.data:
        raise InvalidRecipe("format", "Choose at least one format.")


def add_error(field: Field, error: InvalidRecipe) -> InvalidRecipe:
    """Add an error to a field, and return it with the field's name."""
    field.errors = [str(error)]
    return InvalidRecipe(field.name, str(error))


def given_values(field: Field) -> list[str]:
    """List the texts of a field; its default only if several can be chosen."""
    texts = [value.strip() for value in field.raw_data or [] if isinstance(value, str)]
    is_one = not isinstance(field, SelectMultipleField)
    return [text for text in texts if text and not (is_one and text == field.default)]


def _text(values: list[object] | None) -> str:
    """Return the first text among the values of a field; a file is none."""
    return next((value for value in values or [] if isinstance(value, str)), "")


def current_presets() -> list[Preset]:
    """List the presets within the limits of the settings."""
    return offered_presets(current_jobs().recipe_limits)


def default_presets() -> list[str]:
    """List the presets that a new form has ticked."""
    offered = {one.name for one in current_presets()}
    return [name for name in FIRST_CHOICES if name in offered][:1]


def _choices(form: type[Form]) -> dict[str, set[str] | None]:
    """Return the choices of each field of a form.

    The choices are None where a field takes free text.
    """
    return {
        field.name: {choice.value for choice in field.choices}
        if isinstance(field, (SelectField, SelectMultipleField))
        else None
        for field in form()
    }


# Read once: creating a form takes WTForms 0.1 ms, and an address has hundreds of parameters.
FIELD_CHOICES = {form: _choices(form) for form in (OutputForm, ResponsiveForm)}
