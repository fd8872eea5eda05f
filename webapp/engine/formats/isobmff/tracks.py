"""The tracks of a sequence: a picture and perhaps its alpha, frame by frame."""

import struct
from dataclasses import dataclass, field

from webapp.engine.formats.isobmff.boxes import BoxReader
from webapp.engine.formats.isobmff.properties import Properties
from webapp.recipes.outputs import Size


@dataclass
class Track:
    """A `trak` of a sequence; `frames` is 0 if they are not AV1."""

    size: Size = (0, 0)
    frames: int = 0
    is_auxiliary: bool = False  # The alpha of another track, for one.
    properties: Properties = field(default_factory=list)
    meta: bytes = b""

    @classmethod
    def parse(cls, reader: BoxReader, content: bytes) -> "Track":
        track = cls()
        for kind, body in reader.boxes(content):
            if kind == b"tkhd":
                width, height = struct.unpack(">II", body[-8:])  # In 1/65536 of a pixel.
                track.size = width >> 16, height >> 16
            elif kind == b"tref":
                track.is_auxiliary = bool(reader.child(body, b"auxl"))
            elif kind == b"meta":
                track.meta = body
            elif kind == b"mdia":
                samples = reader.child(reader.child(body, b"minf"), b"stbl")
                track._parse_samples(reader, samples)
        return track

    def _parse_samples(self, reader: BoxReader, table: bytes) -> None:
        description = reader.child(table, b"stsd")
        frames = [body for kind, body in reader.boxes(description, 8) if kind == b"av01"]
        if frames:
            self.properties = list(reader.boxes(frames[0], 78))  # After its fields.
            (self.frames,) = struct.unpack_from(">I", reader.child(table, b"stsz"), 8)
