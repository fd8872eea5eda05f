"""Files that are sent to bring the service down: bombs, lies, loops and junk.

`hostile_files` makes all of them. They are made in code, each time the same, and most have a few
kilobytes; the function that makes a file shows what it promises or hides. The few that must be
large have some megabytes, below the limit of an upload. One module holds one format.
"""

from tests.support.hostile import (
    bmp,
    exif,
    gif,
    ico,
    isobmff,
    jp2,
    jpeg,
    mutations,
    png,
    polyglots,
    tiff,
    webp,
)
from tests.support.hostile.binary import Files

_MODULES = (jpeg, exif, png, webp, gif, tiff, bmp, ico, jp2, isobmff, polyglots, mutations)


def hostile_files() -> Files:
    """Make all of them, by the names to send them under."""
    files: Files = {}
    for module in _MODULES:
        made = module.files()
        assert not files.keys() & made.keys()
        files |= made
    return files
