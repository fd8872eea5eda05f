"""The forms that people fill in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Never
from urllib.parse import urlencode

from flask import abort
from flask_wtf import FlaskForm
from werkzeug.datastructures import FileStorage, MultiDict
from wtforms import (
    Field,
    FieldList,
    Form,
    FormField,
    MultipleFileField,
    SelectField,
    SelectMultipleField,
)

from webapp.config import read_switch
from webapp.jobs.errors import NoImages, RetentionNotOffered
from webapp.recipes.outputs import (
    InvalidRecipe,
    Output,
    Recipe,
    RecipeLimits,
    RequestedFormat,
    TooManyOutputs,
    combine,
    responsive_set,
)
from webapp.recipes.presets import PRESETS, preset
from webapp.web.app_context import current_config, current_jobs
from webapp.web.forms.address import (
    SHORT_SIDES,
    SWITCHES,
    accepts,
    field_of_parameter,
    sizes_after,
)
from webapp.web.forms.output import (
    RESPONSIVE_FORMATS,
    OutputForm,
    ResponsiveForm,
    add_error,
    current_presets,
    default_presets,
    given_values,
)
from webapp.web.forms.retention import retention_choices
from webapp.web.upload_request import chosen_files

MAX_SIZES = 50  # Custom sizes that a form reads, unused ones too.


def _default_retention() -> str:
    return f"{current_config().retention_hours:g}"


class UploadForm(FlaskForm):  # type: ignore[misc]
    """The images, their recipe and their retention."""

    images = MultipleFileField("Photos")
    presets = SelectMultipleField(
        "Make from each photo", choices=list(PRESETS), default=default_presets
    )
    # The presets that enlarge photos which are smaller.
    enlarged = SelectMultipleField(choices=list(PRESETS))
    # WTForms drops entries above its limit: one more than ours shows that there were too many.
    outputs = FieldList(FormField(OutputForm), min_entries=1, max_entries=MAX_SIZES + 1)
    responsive = FormField(ResponsiveForm)
    keep_hours = SelectField(
        "Keep everything", choices=retention_choices, default=_default_retention
    )

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.offered_presets = current_presets()
        self.max_sizes = _max_sizes()
        self.not_understood: list[str] = []  # Of the address that filled in the form.
        self.left_out: list[str] = []  # Of sizes above the maximum.

    @property
    def is_used(self) -> bool:
        """True if it asks for any output."""
        own = [entry.form for entry in self.outputs]
        return bool(self.presets.data) or any(part.is_used for part in (*own, self.responsive.form))

    @classmethod
    def from_address(cls, query: MultiDict[str, str]) -> "UploadForm":
        """Fill in the recipe that an address names: `preset=card&w=640&h=360&fit=cover`.

        Parameters of a second output end in 2: `w2=320`. An address without outputs gets the
        default presets; so does one with no presets but unknown ones. Values above a limit are
        filled in, with an error beside their field.
        """
        fields: MultiDict[str, str] = MultiDict()
        not_understood, left_out = [], []
        addressed = [
            (field, name, value)
            for name, value in query.items(multi=True)
            if (field := field_of_parameter(name))
        ]
        too_many = sizes_after(_max_sizes(), [field for field, _, _ in addressed])
        for field, name, value in addressed:
            if field.rpartition("-")[0] in too_many:
                left_out.append(f"{name}={value}")
            elif field.rpartition("-")[2] in SWITCHES and (is_on := read_switch(value)) is not None:
                if is_on:  # A form leaves out a box that is not ticked.
                    fields.add(field, "y")
            elif accepts(field, value):
                fields.add(field, value)
            else:
                not_understood.append(f"{name}={value}")
        if list(fields) == ["keep_hours"]:
            fields.setlist("presets", default_presets())
        form = cls._filled_in(fields)
        form.not_understood, form.left_out = not_understood, left_out
        if form.is_used:
            with suppress(InvalidRecipe):
                form.recipe(current_jobs().recipe_limits)
        return form

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> "UploadForm":
        """Fill in a recipe: its presets, a responsive set, and the rest as sizes."""
        wanted = set(recipe.outputs)
        fields: MultiDict[str, str] = MultiDict()
        listed = set(wanted)
        for one in current_presets():
            for enlarge in (False, True):
                outputs = _preset_outputs(one.name, enlarge)
                if wanted.issuperset(outputs):
                    fields.add("presets", one.name)
                    listed.difference_update(outputs)
                    if enlarge:
                        fields.add("enlarged", one.name)
                    break
        own = [output for output in recipe.outputs if output in listed]
        widths, set_formats = _responsive_part(own)
        if widths:
            fields["responsive-widths"] = " ".join(map(str, widths))
            fields.setlist("responsive-formats", set_formats)
        sizes: dict[Output, list[str]] = {}  # And the formats of each.
        for output in own:
            if output.width in widths and _is_plain(output):
                continue
            sizes.setdefault(replace(output, name="x", format="webp"), []).append(output.format)
        for number, (output, formats) in enumerate(sizes.items()):
            for name, value in _output_fields(output):
                fields.add(f"outputs-{number}-{name}", value)
            fields.setlist(f"outputs-{number}-format", formats)
        return cls._filled_in(fields)

    @classmethod
    def _filled_in(cls, fields: MultiDict[str, str]) -> "UploadForm":
        form = cls(formdata=fields or None)
        for field in (form.responsive.form.formats, *(one.form.format for one in form.outputs)):
            if not field.data:  # No choice is never meant.
                field.process_data(field.default)
        return form

    def files(self) -> list[FileStorage]:
        """List the chosen files. Raises NoImages, and adds it to the field."""
        try:
            return chosen_files()
        except NoImages as error:
            self.images.errors = [str(error)]
            raise

    def recipe(self, limits: RecipeLimits) -> Recipe:
        """Read the recipe: all chosen presets and outputs, in this order.

        Raises InvalidRecipe, and adds it to the field.
        """
        asked: dict[Output, Field] = {}  # And the first field that asks for it.
        for form, name, read in self._parts():
            try:
                for output in read(limits.max_side):
                    asked.setdefault(output, form[name])
            except InvalidRecipe as error:
                raise add_error(form[error.field], error) from None
        try:
            return combine(asked, limits)
        except TooManyOutputs as error:
            raise add_error(asked[error.output], error) from None
        except InvalidRecipe as error:
            raise add_error(self.presets, error) from None

    def outputs_so_far(self, limits: RecipeLimits) -> dict[Output, Form]:
        """Map the outputs of all parts without a fault to the form of their part."""
        asked: dict[Output, Form] = {}
        for form, _, read in self._parts():
            with suppress(InvalidRecipe):
                asked |= dict.fromkeys(read(limits.max_side), form)
        return asked

    @property
    def query(self) -> str:
        """The recipe as the query of an address, without the defaults of fields."""
        pairs = [("preset", name) for name in self.presets.data or []]
        pairs += [("enlarged", name) for name in self.enlarged.data or []]
        used = [entry.form for entry in self.outputs if entry.form.is_used]
        for number, size in enumerate(used, 1):
            suffix = str(number) if number > 1 else ""
            pairs += [
                (SHORT_SIDES.get(field.short_name, field.short_name) + suffix, value)
                for field in size
                for value in given_values(field)
            ]
        if self.responsive.form.is_used:
            fields = iter(self.responsive.form)
            pairs += [(one.short_name, value) for one in fields for value in given_values(one)]
        if self.keep_hours.data != self.keep_hours.default():
            pairs.append(("keep_hours", self.keep_hours.data))
        return urlencode(pairs)

    def _parts(self) -> Iterator[tuple[Form, str, Callable[[int], Iterable[Output]]]]:
        """Return the parts: each with the field that stands for it, and its outputs."""
        yield self, "presets", self._outputs_of_presets
        for number, size in enumerate(entry.form for entry in self.outputs):
            yield size, "width", size.outputs if number < MAX_SIZES else _refuse_size
        yield self.responsive.form, "widths", self.responsive.form.outputs

    def _outputs_of_presets(self, _: int) -> Iterator[Output]:
        for name in dict.fromkeys(self.presets.data or []):
            yield from _preset_outputs(name, name in (self.enlarged.data or []))

    def retention_hours(self) -> float:
        """Return the chosen retention in hours.

        Raises RetentionNotOffered, and adds it to the field.
        """
        text = self.keep_hours.data
        if text not in {choice.value for choice in self.keep_hours.choices}:
            error = RetentionNotOffered()
            self.keep_hours.errors = [str(error)]
            self.keep_hours.data = self.keep_hours.default()
            raise error
        return float(text)


def read_upload_form() -> UploadForm:
    """Read the form of the current request.

    Raises BadRequest, where WTForms cannot even number the fields.
    """
    try:
        return UploadForm()
    except ValueError:
        abort(400, "This form cannot be read. Load the page again.")


def _preset_outputs(name: str, enlarge: bool) -> list[Output]:
    """List the outputs of a preset. Raises InvalidRecipe."""
    outputs = preset(name).recipe.outputs
    return [replace(output, enlarge=True) if enlarge else output for output in outputs]


def _refuse_size(_: int) -> Never:
    raise InvalidRecipe("width", f"A job has at most {MAX_SIZES} sizes of your own.")


def _max_sizes() -> int:
    return min(current_jobs().recipe_limits.max_outputs, MAX_SIZES)


def _output_fields(output: Output) -> Iterator[tuple[str, str]]:
    """Write an output as the fields of its form, without the format."""
    is_transparent = output.background == "transparent"
    texts = {
        "width": output.width,
        "height": output.height,
        "fit": output.fit,
        "quality": output.quality,
        "max_kb": output.max_bytes and output.max_bytes // 1000,
        "color": output.color if output.color != "srgb" else None,
        "focus": output.focus if output.focus == "smart" else None,
        "background": None if is_transparent else output.background,
        "transparent": "y" if is_transparent else None,
    }
    yield from ((name, str(text)) for name, text in texts.items() if text)
    for switch in ("enlarge", "keep_copyright", "animated"):
        if getattr(output, switch):
            yield switch, "y"


def _responsive_part(own: Sequence[Output]) -> tuple[Sequence[int], Sequence[RequestedFormat]]:
    """Find the largest responsive set among outputs: its widths and formats.

    One width alone is a size.
    """
    formats: dict[int, list[RequestedFormat]] = {}
    for output in own:
        if output.width and _is_plain(output):
            formats.setdefault(output.width, []).append(output.format)
    sets: dict[tuple[RequestedFormat, ...], list[int]] = {}
    for width, those in formats.items():
        sets.setdefault(tuple(those), []).append(width)
    best, widths = max(sets.items(), key=lambda one: len(one[1]), default=((), []))
    return (widths, best) if len(widths) > 1 else ((), ())


def _is_plain(output: Output) -> bool:
    """Return whether an output can be one of a responsive set."""
    if output.width is None or output.format not in RESPONSIVE_FORMATS:
        return False
    (plain,) = responsive_set((output.width,), (output.format,))
    return replace(output, name=plain.name) == plain
