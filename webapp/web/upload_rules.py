"""What scripts have to know of files, from the modules that own it."""

from typing import Any

from webapp.config import MB
from webapp.engine.errors import Empty
from webapp.engine.identify import FORMAT_PATTERN, HEAD, UNSUPPORTED_PATTERNS
from webapp.jobs.errors import FileTooLarge, NoImages, TooManyImages
from webapp.jobs.names import SYSTEM_FILES_PATTERN, UNNAMED, UNSEEN_PATTERN
from webapp.web.app_context import current_config
from webapp.web.formatters import FILE_SIZES


def upload_rules() -> dict[str, Any]:
    """Return the rules by which scripts check files.

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
    }
