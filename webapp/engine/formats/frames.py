"""The frames of an animation as GIF and PNG store them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from PIL import Image

DEFAULT_DURATION = 100  # Milliseconds, of a frame that declares none.


class Disposal(Enum):
    """What becomes of the area of a frame when its time is over."""

    KEEP = "keep"
    CLEAR = "clear"
    RESTORE = "restore"  # What was there before the frame.


@dataclass(frozen=True)
class StoredFrame:
    """A frame: a picture of a part of the canvas."""

    image: Image.Image  # Open, but not yet decoded.
    corner: tuple[int, int]
    duration: int  # Milliseconds.
    disposal: Disposal
    is_over: bool = True  # Laid over what is there; else it replaces that.


@dataclass(frozen=True)
class StoredAnimation:
    """An animation whose frames are found one after the other."""

    count: int
    pixels: int  # Of all frames together, as stored.
    plays: int  # 0 is for ever.
    frames: Iterator[StoredFrame]
