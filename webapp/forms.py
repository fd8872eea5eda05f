"""The forms that people fill in."""

from io import SEEK_END
from itertools import chain

from flask import abort
from flask_wtf import FlaskForm
from werkzeug.datastructures import FileStorage
from wtforms import (
    BooleanField,
    ColorField,
    FieldList,
    Form,
    FormField,
    IntegerField,
    MultipleFileField,
    SelectField,
    SelectMultipleField,
)
from wtforms.fields.choices import SelectChoice

from webapp.formatters import format_name
from webapp.jobs import NoImages
from webapp.recipes import (
    FITS,
    FORMATS,
    PRESETS,
    InvalidRecipe,
    Output,
    Recipe,
    RecipeLimits,
    combine,
    parse_output,
    preset,
)


class OutputForm(Form):  # type: ignore[misc]
    """Ask for one output of one's own; left without a size, it is not asked for."""

    width = IntegerField("Width")
    height = IntegerField("Height")
    fit = SelectField("Fit", choices=FITS)
    format = SelectField(
        "Format",
        choices=[SelectChoice(name, format_name(name)) for name in FORMATS]
        + [SelectChoice("source", "as source")],
        default="webp",
    )
    quality = IntegerField("Quality")
    max_kb = IntegerField("Limit")
    background = ColorField("Background", default="#ffffff")
    focus = SelectField(
        "Crop", choices=[SelectChoice("", "centre"), SelectChoice("smart", "detail")], default=""
    )
    enlarge = BooleanField("Enlarge")
    keep_copyright = BooleanField("Keep copyright")
    animated = BooleanField("Animated")

    def output(self, max_side: int) -> Output | None:
        """Read the output, in the words of `recipes`.

        Raises InvalidRecipe, and says the same beside the field.
        """
        given = {field.short_name: _text(field.raw_data) for field in self}
        if not given["width"].strip() and not given["height"].strip():
            return None
        try:
            output = parse_output(given)
            output.check_sides(max_side)
            return output
        except InvalidRecipe as error:
            field = self[error.field]
            field.errors = [str(error)]
            raise InvalidRecipe(field.name, str(error)) from None


class UploadForm(FlaskForm):  # type: ignore[misc]
    """Ask for images and for what to make of them."""

    images = MultipleFileField("Images")
    presets = SelectMultipleField(
        "Presets",
        choices=list(PRESETS),
        default=["web-set"],
    )
    outputs = FieldList(FormField(OutputForm), min_entries=1, max_entries=50)

    def files(self) -> list[FileStorage]:
        """List what was chosen; a browser sends a nameless empty file for nothing.

        Raises NoImages, and says the same beside the field.
        """
        files = [
            file
            for file in self.images.data or []
            if isinstance(file, FileStorage) and (file.filename or file.seek(0, SEEK_END))
        ]
        if not files:
            error = NoImages()
            self.images.errors = [str(error)]
            raise error
        return files

    def recipe(self, limits: RecipeLimits) -> Recipe:
        """Read the recipe: all chosen presets and outputs, in this order.

        Raises InvalidRecipe, and says the same beside the field.
        """
        own = [entry.form.output(limits.max_side) for entry in self.outputs.entries]
        try:
            chosen = [preset(name) for name in self.presets.data or []]
            outputs = chain.from_iterable(preset.recipe.outputs for preset in chosen)
            return combine([*outputs, *filter(None, own)], limits)
        except InvalidRecipe as error:
            self.presets.errors = [str(error)]
            raise


def read_upload_form() -> UploadForm:
    """Read the form of the current request.

    Raises BadRequest, where WTForms cannot even number the fields.
    """
    try:
        return UploadForm()
    except ValueError:
        abort(400, "This form cannot be read. Load the page again.")


def _text(values: list[object] | None) -> str:
    """Give the first value of a field; a file is no text."""
    return next((value for value in values or [] if isinstance(value, str)), "")
