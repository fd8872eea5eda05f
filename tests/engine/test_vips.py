"""Thumbnails are the same with libvips and without it."""

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
from PIL import Image

from tests.support import hostile
from tests.support.engine import Engine
from tests.support.images import (
    encode,
    make_corners,
    make_exif,
    make_image,
    make_jpeg,
    make_picture,
    make_png,
    make_png_chunk,
    make_truncated,
    psnr,
)
from webapp.config import ROOT
from webapp.engine import vips
from webapp.engine.errors import ImageError
from webapp.recipes.outputs import Output

pytestmark = pytest.mark.slow
needs_libvips = pytest.mark.skipif(vips.libvips is None, reason="has no wheel for this machine")

Make = Callable[..., Image.Image]

LARGE = (803, 535)


@pytest.fixture
def make(engine: Engine) -> Make:
    """Make a thumbnail of bytes."""
    return engine.picture


@pytest.fixture
def make_without(make: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make the same where libvips is not installed."""

    def make_without(image: bytes, output: Output) -> Image.Image:
        with monkeypatch.context() as patch:
            patch.setattr(vips, "libvips", None)
            return make(image, output)

    return make_without


def make_wide_png() -> bytes:
    """Make a PNG of 16 bits a channel, which Pillow cannot write: each byte twice."""
    picture = make_picture("RGB", LARGE).tobytes()
    line = LARGE[0] * 3
    lines = b"".join(
        b"\0" + bytes(byte for byte in picture[start : start + line] for _ in range(2))
        for start in range(0, len(picture), line)
    )
    header = struct.pack(">IIBBBBB", *LARGE, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(make_png_chunk(*chunk) for chunk in chunks)


IMAGES: dict[str, Callable[[], bytes]] = {
    "rgb": lambda: make_png("RGB", LARGE),
    "grey": lambda: make_png("L", LARGE),
    "palette": lambda: make_png("P", LARGE),
    "palette of 4": lambda: make_png("P", LARGE, bits=2),
    "1 bit": lambda: make_png("1", LARGE),
    "16 bits": lambda: make_png("I;16", LARGE),
    "16 bits a channel": make_wide_png,
    "alpha": lambda: make_png("RGBA", LARGE),
    "palette with a transparent colour": lambda: make_png("P", LARGE, transparency=0),
    "a transparent colour": lambda: make_png("RGB", LARGE, transparency=(0, 0, 0)),
    "jpeg": lambda: make_jpeg(LARGE),
    "grey jpeg": lambda: make_jpeg(image=make_picture("L", LARGE)),
    "webp": lambda: make_image("RGB", LARGE, "webp"),
    "turned webp": lambda: encode(
        make_picture("RGB", LARGE), "webp", exif=make_exif(orientation=6)
    ),
    "webp with alpha": lambda: make_image("RGBA", LARGE, "webp"),
}


@cache
def image_of(kind: str) -> bytes:
    return IMAGES[kind]()


OUTPUTS = {
    "small": Output("a", 100, 100, format="png"),
    "large": Output("a", 334, 334, format="png"),
    "as it is": Output("a", *LARGE, format="png"),
    "odd": Output("a", 178, None, format="png"),
    "cropped": Output("a", 140, 200, "cover", "png"),
    "enlarged": Output("a", 1000, 1000, format="png", enlarge=True),
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("kind", IMAGES)
def test_picture_is_the_same_with_libvips(
    make: Make, make_without: Make, kind: str, output: Output
) -> None:
    one, other = make(image_of(kind), output), make_without(image_of(kind), output)
    # Nothing but black and white next to each other shows every rounding.
    assert psnr(one, other) > (35 if kind == "1 bit" else 45)


@needs_libvips
def test_libvips_makes_large_thumbnails(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vips, "resize", partial(_require, vips.resize))
    assert make(make_jpeg((2000, 1500)), OUTPUTS["large"]).size == (334, 251)


def _require(way: Callable[..., object], *args: object) -> object:
    made = way(*args)
    assert made
    return made


@needs_libvips
@pytest.mark.parametrize("format", ["png", "webp"])
def test_libvips_decodes(format: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vips, "read", partial(_require, vips.read))
    assert make(make_image("RGB", LARGE, format), OUTPUTS["small"]).size == (100, 67)


def test_libvips_keeps_the_limits_of_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(make_png("RGB", (6000, 4000), compress_level=1))
    made = make_by_command(tmp_path, THUMBNAIL_DECODE_MEMORY_MB="400")  # A quarter of the default.
    assert made.returncode == 0, made.stdout + made.stderr
    assert "1024 × 683" in made.stdout


@pytest.mark.parametrize("error", ["ImportError", "OSError"], ids=["pyvips", "library"])
def test_thumbnails_are_made_where_libvips_is_not_installed(tmp_path: Path, error: str) -> None:
    (tmp_path / "pyvips.py").write_text(f"raise {error}")
    (tmp_path / "large.png").write_bytes(make_png("RGB", (1500, 1000)))
    made = make_by_command(tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "1024 × 683" in made.stdout


def make_by_command(folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Make a thumbnail of `large.png` in processes of their own, sandbox and all."""
    command = [sys.executable, "-m", "flask", "thumbnails", "make", "large.png", "--width", "1024"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


FAULTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "truncated": lambda png, _: make_truncated(png),
    "broken end": lambda png, _: png[:-6] + b"broken",
    "no pixels": lambda png, _: png.replace(b"IDAT", b"IDOT", 1),
    "truncated webp": lambda _, webp: make_truncated(webp),
    "damaged webp": lambda _, webp: webp[:200] + bytes(400) + webp[600:],
}


@pytest.mark.parametrize("damage", FAULTS.values(), ids=FAULTS)
def test_libvips_finds_the_same_faults(
    make: Make, make_without: Make, damage: Callable[[bytes, bytes], bytes]
) -> None:
    image = damage(image_of("rgb"), image_of("webp"))
    verdicts: list[object] = []
    for way in (make, make_without):
        try:
            verdicts.append(way(image, OUTPUTS["small"]).size)
        except ImageError as error:
            verdicts.append(error.code)
    assert verdicts[0] == verdicts[1]


def test_png_with_its_orientation_at_the_end_is_upright(make: Make) -> None:
    png = encode(make_corners((300, 200)), "PNG")
    exif = make_png_chunk(b"eXIf", make_exif(orientation=6).removeprefix(b"Exif\0\0"))
    turned = make(png[:-12] + exif + png[-12:], OUTPUTS["small"])
    assert turned.size == (67, 100)


@pytest.mark.parametrize("size", [(1, 3_000_000), (3_000_000, 1)])
def test_very_long_line_or_column_is_left_to_pillow(
    size: tuple[int, int], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vips, "read", lambda *_: pytest.fail("libvips takes seconds for it"))
    make(hostile.png.build(*size), Output("made", 60, 60, format="png"))
