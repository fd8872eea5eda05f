"""Let peers make a small PNG of an image, to compare its pixels.

Each reads the first frame, orients it, converts it to sRGB and fits it into a square; a small one
is not enlarged. Peers that are not installed raise NotInstalled.
"""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from PIL import ImageCms

from bench import peers
from bench.peers import Failed, NotInstalled, Worker
from bench.peers.worker import Job

SIDE = 256
_SECONDS = 15.0  # For one image; some files keep a peer busy for minutes.
# ImageMagick is told the format, because it also runs what it takes for a script.
_MAGICK_FORMATS = {"jpeg", "png", "webp", "gif", "tiff", "bmp", "ico", "jp2", "heic"}
_BROWSER_FORMATS = {"jpeg", "png", "webp", "gif", "bmp", "ico", "heic"}  # "heic" is AVIF, too.


class PictureMaker(Protocol):
    """A peer: its name, its version, and what it makes of an image."""

    name: str
    version: str

    def make(self, source: Path, kind: str, target: Path) -> None:
        """Write a PNG. `kind` is the format of the file. Raises Failed."""
        ...


class Library:
    """A peer that runs as a worker of this package: libvips or sharp."""

    def __init__(self, name: str, peer: peers.Peer, core: int) -> None:
        self.name, self._peer, self._core = name, peer, core
        self._worker = Worker(peer, core)
        self.version = self._worker.version

    def make(self, source: Path, kind: str, target: Path) -> None:
        if not self._worker.is_running():  # The image before may have crashed it.
            self._worker = Worker(self._peer, self._core)
        folder = target.parent
        job: Job = {
            "source": str(source),
            "folder": str(folder),
            "sizes": [SIDE],
            "quality": 0,
            "cascade": False,
            "repeat": 1,
            "format": "png",
        }
        self._worker.run(job, _SECONDS)
        (folder / f"{SIDE}.png").replace(target)

    def close(self) -> None:
        """End the worker."""
        self._worker.__exit__(None, None, None)


class ImageMagick:
    """A process for each image, which gets it on its standard input."""

    name = "ImageMagick"

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("magick") or ""
        if not self._program:
            raise NotInstalled("ImageMagick: magick is not installed")
        first = subprocess.run([self._program, "-version"], capture_output=True, text=True)
        self.version = " ".join(first.stdout.split()[1:3])
        self._profile = folder / "srgb.icc"
        self._profile.write_bytes(
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        )

    def make(self, source: Path, kind: str, target: Path) -> None:
        if kind not in _MAGICK_FORMATS:
            raise Failed("It is not asked for this format.")
        limits = ("-limit", "thread", "1", "-limit", "memory", "1GiB", "-limit", "disk", "0")
        steps = ("-auto-orient", "-profile", str(self._profile), "-colorspace", "sRGB")
        form = ("-resize", f"{SIDE}x{SIDE}>", "-depth", "8", "-strip", f"png:{target}")
        with source.open("rb") as file:
            command = [self._program, *limits, f"{kind}:-[0]", *steps, *form]
            try:
                done = subprocess.run(command, stdin=file, capture_output=True, timeout=_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise Failed(f"It took longer than {_SECONDS:g} s.") from error
        if not target.exists():  # It exits with 1 also after a warning.
            raise Failed(done.stderr.decode("utf-8", "replace").strip()[:300] or "It failed.")


class Chromium:
    """A page of a browser that draws on a canvas."""

    name = "Chromium"
    _DRAW = """async ([source, side, seconds]) => {
        const image = new Image();
        image.src = source;
        const late = new Promise((_, fail) =>
            setTimeout(() => fail("It took too long."), 1000 * seconds));
        await Promise.race([image.decode(), late]);
        const scale = Math.min(1, side / Math.max(image.naturalWidth, image.naturalHeight));
        const canvas = document.createElement("canvas");
        canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
        canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
        const context = canvas.getContext("2d");
        context.imageSmoothingQuality = "high";
        context.drawImage(image, 0, 0, canvas.width, canvas.height);
        return canvas.toDataURL("image/png").split(",")[1];
    }"""

    def __init__(self) -> None:
        from tests.browser.chromium import find_chromium

        try:
            self._path = find_chromium()
            from playwright.sync_api import sync_playwright
        except ImportError as error:
            raise NotInstalled("Chromium: Playwright is not installed") from error
        if not self._path:
            raise NotInstalled("Chromium is not installed")
        self._playwright = sync_playwright().start()
        self._start()
        self.version = f"Chromium {self._browser.version}"

    def _start(self) -> None:
        self._browser = self._playwright.chromium.launch(
            executable_path=self._path, chromium_sandbox=False
        )
        self._page = self._browser.new_context(offline=True).new_page()

    def make(self, source: Path, kind: str, target: Path) -> None:
        if kind not in _BROWSER_FORMATS:
            raise Failed("It is not asked for this format.")
        data = base64.b64encode(source.read_bytes()).decode()
        try:
            address = f"data:image/{kind};base64,{data}"
            drawn = self._page.evaluate(self._DRAW, [address, SIDE, _SECONDS])
        except Exception as error:  # Playwright's errors are of several kinds.
            if not self._browser.is_connected() or self._page.is_closed():
                self._start()
            raise Failed(str(error).splitlines()[0]) from error
        target.write_bytes(base64.b64decode(drawn))
