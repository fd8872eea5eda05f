"""Every reason why an image has no thumbnails, with code and sentence."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from webapp.recipes.outputs import Size


class ImageError(Exception):
    """An image has no thumbnails; the message says why and what to do."""

    code: str
    may_pass = False  # On a second try; the cause is the moment, not the file.


class Unsupported(ImageError):
    """The file is not an image, or is in a format that we do not read."""

    code = "unsupported_format"


class Empty(ImageError):
    """The file has no bytes."""

    code = "empty"

    def __init__(self) -> None:
        super().__init__("This file is empty. Choose it again, or export the image again.")


class Corrupt(ImageError):
    """The decoder rejects the file."""

    code = "corrupt"

    def __init__(self) -> None:
        super().__init__("This image is damaged. Open it in another program and save it again.")


class Truncated(ImageError):
    """The file ends before its picture does."""

    code = "truncated"

    def __init__(self) -> None:
        super().__init__("This image is incomplete: its end was cut off. Copy or export it again.")


class TooManyPixels(ImageError):
    """Decoding would take too much memory."""

    code = "too_many_pixels"

    def __init__(self, size: Size, limit: float) -> None:
        # Rounded up, so that the number shown is above the limit even if only just.
        megapixels = math.ceil(size[0] * size[1] / 1e5) / 10
        super().__init__(
            f"This image has {megapixels:,.10g} megapixels; the limit is {limit:g}."
            " Export it smaller."
        )


class TooManyScans(ImageError):
    """Decoding would take too much time.

    Each scan of a JPEG is a pass over the whole picture.
    """

    code = "too_many_scans"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"This JPEG is stored in more than {limit} scans; 10 are usual."
            " Save it again as a plain JPEG, not a progressive one."
        )


class TooManyFrames(ImageError):
    """Decoding all of an animation would take too much time."""

    code = "too_many_frames"

    def __init__(self, excess: str) -> None:
        super().__init__(
            f"This animation has more than {excess}. Shorten it, or ask for a still picture."
        )


class TooManyOutputPixels(ImageError):
    """The thumbnails of an image would have too many pixels in all."""

    code = "too_many_output_pixels"

    def __init__(self, pixels: float, limit: float) -> None:
        super().__init__(
            f"The thumbnails of this image would have {math.ceil(pixels / 1e5) / 10:g} megapixels"
            f" in all; the limit is {limit:g}. Ask for fewer or smaller ones."
        )


class ByteBudget(ImageError):
    """No quality makes the file as small as requested."""

    code = "byte_budget"

    def __init__(self, file_name: str, limit: int, smallest: int) -> None:
        super().__init__(
            f"{file_name} does not fit into {limit / 1000:g} kB: it has at least"
            f" {math.ceil(smallest / 1000)} kB. Ask for fewer pixels or allow more bytes."
        )


class TimedOut(ImageError):
    """Decoding takes too long."""

    code = "timed_out"
    may_pass = True

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"This image took longer than {seconds:g} s to decode. Export it smaller, or as JPEG."
        )


class OutOfMemory(ImageError):
    """Decoding takes too much memory."""

    code = "out_of_memory"
    may_pass = True

    def __init__(self) -> None:
        super().__init__(
            "This image needs more memory than the server gives one image."
            " Export it smaller, or as JPEG."
        )


class Crashed(ImageError):
    """The decode child crashed, or its answer was not that of our program."""

    code = "crashed"

    def __init__(self) -> None:
        super().__init__(
            "This image stopped the decoder. It is probably damaged:"
            " open it in an image editor, save it again and upload that."
        )


@contextmanager
def translate_decoder_errors() -> Iterator[None]:
    """Raise the ImageError that an exception of a decoder stands for."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        text = str(error).lower()
        if "out of memory" in text:
            raise MemoryError(str(error)) from error
        if isinstance(error, EOFError) or "truncated" in text:
            raise Truncated from error
        raise Corrupt from error
