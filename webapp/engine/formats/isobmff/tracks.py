"""The tracks of a sequence: a picture and perhaps its alpha, frame by frame."""

import struct
from dataclasses import dataclass, field

from webapp.engine.formats.isobmff.boxes import BoxReader
from webapp.engine.formats.isobmff.properties import Properties
from webapp.recipes.outputs import Size

_MAX_REFERENCES = 32  # Tracks that one is the alpha of.


@dataclass
class Track:
    """A `trak` of a sequence; `frames` is 0 if they are not AV1."""

    id: int = 0
    size: Size = (0, 0)
    frames: int = 0
    aux_for: tuple[int, ...] = ()
    properties: Properties = field(default_factory=list)
    meta: bytes = b""

    @classmethod
    def parse(cls, reader: BoxReader, content: bytes) -> "Track":
        track = cls()
        for kind, body in reader.boxes(content):
            if kind == b"tkhd":
                (track.id,) = struct.unpack_from(">I", body, 20 if body[0] else 12)
                width, height = struct.unpack(">II", body[-8:])  # In 1/65536 of a pixel.
                track.size = width >> 16, height >> 16
            elif kind == b"tref":
                ids = reader.child(body, b"auxl")[: 4 * _MAX_REFERENCES]
                track.aux_for = struct.unpack(f">{len(ids) // 4}I", ids)
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
