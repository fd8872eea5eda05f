"""What the scripts of the upload page have to know, from the modules that own it."""

from typing import Any

from webapp.config import MB
from webapp.engine.errors import Empty
from webapp.engine.identify import FORMAT_PATTERN, HEAD, UNSUPPORTED_PATTERNS
from webapp.jobs.errors import FileTooLarge, NoImages, TooManyImages
from webapp.jobs.names import SYSTEM_FILES_PATTERN, UNNAMED, UNSEEN_PATTERN
from webapp.recipes.outputs import DEFAULT_QUALITY, MAX_SIDE, REQUESTED_FORMATS, Output
from webapp.recipes.presets import Preset
from webapp.web.app_context import current_config
from webapp.web.formatters import FILE_SIZES, format_name
from webapp.web.forms.output import current_presets


def upload_rules() -> dict[str, Any]:
    """Return the rules by which scripts check files and count thumbnails.

    Patterns of bytes are for text that is read as Latin-1.
    """
    config = current_config()
    return {
        "max_images": config.max_images,
        "max_file_mb": config.max_file_mb,
        "mb": MB,
        "stalled_ms": 1500 * config.stall_seconds,  # The server's own limit is a little shorter.
        "file_sizes": FILE_SIZES,
        "head": HEAD,
        "formats": FORMAT_PATTERN.decode("latin-1"),
        "unsupported": [(one.decode("latin-1"), words) for one, words in UNSUPPORTED_PATTERNS],
        "unseen": UNSEEN_PATTERN,
        "system_files": SYSTEM_FILES_PATTERN,
        "unnamed": UNNAMED,
        "empty": str(Empty()),
        "too_large": FileTooLarge.sentence,
        "too_many": str(TooManyImages(config.max_images)),
        "no_images": str(NoImages()),
        "max_side": MAX_SIDE,
        "qualities": DEFAULT_QUALITY,
        "format_names": {name: format_name(name) for name in REQUESTED_FORMATS},
        "presets": {preset.name: _describe(preset) for preset in current_presets()},
    }


def _describe(preset: Preset) -> list[dict[str, object]]:
    """List what scripts draw and count of a preset."""
    outputs = preset.recipe.outputs
    return [{"title": _title(preset, output), **_fields(output)} for output in outputs]


def _title(preset: Preset, output: Output) -> str:
    return preset.title if len(preset.recipe.outputs) == 1 else str(output.width or output.height)


def _fields(output: Output) -> dict[str, object]:
    names = ("name", "width", "height", "fit", "format", "background", "focus", "enlarge")
    return {name: getattr(output, name) for name in names}
