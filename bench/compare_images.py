"""Compare our pictures of any images with those of other programs.

    make compare-images DIR=FOLDER

Makes a PNG within 256 × 256 of each image in a folder and the folders in it: with the real engine
in its sandbox, and with the peers that are installed, one after the other until one agrees with us.
Two pictures agree if their sides differ by at most a pixel, their colours by a mean CIEDE2000 of 3,
over white and over black, and their opacity by 3 of 255. Writes a page of those that differ, the
worst first, and a summary in JSON into artifacts/compare-images, and prints the counts. Needs no
network.

Agreement is not proof: peers share libraries with us and with each other, and some faults.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyvips

from bench import peers
from bench.comparison.compared import (
    AGREES,
    ALONE,
    CRASHED,
    DIFFERS,
    REFUSED,
    REFUSED_BY_ALL,
    Compared,
)
from bench.comparison.pictures import difference_of, have_one_size, load, write_difference
from bench.comparison.report import count, format_page, format_table
from bench.peers import CORES, Failed, NotInstalled
from bench.peers.pictures import SIDE, Chromium, ImageMagick, Library, PictureMaker
from webapp.config import ROOT, Config
from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.formats import bmp, gif, ico, isobmff, jp2, jpeg, png, tiff, webp
from webapp.engine.identify import HEAD
from webapp.recipes.outputs import Output, Recipe
from webapp.sandbox import client

ARTIFACTS = ROOT / "artifacts" / "compare-images"
RECIPE = Recipe((Output("made", SIDE, SIDE, format="png"),))
MAX_DIFFERENCE = 3.0  # Mean CIEDE2000, and mean opacity of 255.
KINDS = {"webp": webp, "heic": isobmff, "jpeg": jpeg, "png": png, "gif": gif, "tiff": tiff}
KINDS |= {"bmp": bmp, "ico": ico, "jp2": jp2}
CRASHES = ("crashed", "timed_out", "failed")
ENDINGS = frozenset(
    (
        *("apng", "avif", "avifs", "bmp", "cur", "dib", "gif", "heic", "heics", "heif", "hif"),
        *("ico", "j2c", "j2k", "jfif", "jp2", "jpc", "jpe", "jpeg", "jpf", "jpg", "jpx", "mpo"),
        *("png", "tif", "tiff", "webp"),
    )
)


class Comparer:
    """Compare images one by one; a process has one of these."""

    def __init__(self, core: int) -> None:
        self._folder = ARTIFACTS / f"work-{os.getpid()}"
        self._folder.mkdir(parents=True)
        self._decoder = Decoder.from_config(Config())
        self.peers, self.missing = start_peers(self._folder, core)

    def compare(self, number: int, root: Path, source: Path) -> Compared:
        """Make our picture, then those of peers until one decides."""
        for made in self._folder.glob("*.png"):
            made.unlink()
        with source.open("rb") as file:
            kind = find_kind(file.read(HEAD))
        compared = Compared(str(source.relative_to(root)), kind)
        ours = self._make_ours(source, compared)
        for peer in self.peers:
            picture = self._make_theirs(peer, source, compared)
            if picture is None:
                continue
            compared.differences[peer.name] = (
                100.0 if ours is None else difference_of(ours, picture)
            )
            if ours is None or compared.difference <= MAX_DIFFERENCE:
                break
        compared.status = judge(compared)
        if compared.status in (DIFFERS, REFUSED, CRASHED):
            self._keep_pictures(number, ours, compared)
        return compared

    def _make_ours(self, source: Path, compared: Compared) -> Any:
        try:
            result = self._decoder.make_thumbnails(source, RECIPE, self._folder)
        except ImageError as error:
            compared.code, compared.message = error.code, str(error)
            return None
        except client.Failed as error:
            compared.code, compared.message = "failed", str(error).strip().splitlines()[-1]
            return None
        compared.size = (result.header.width, result.header.height)
        made = self._folder / result.thumbnails[0].file_name
        made.rename(self._folder / "ours.png")
        return load(self._folder / "ours.png").copy_memory()

    def _make_theirs(self, peer: PictureMaker, source: Path, compared: Compared) -> Any:
        target = self._folder / f"{peer.name}.png"
        try:
            peer.make(source, compared.kind, target)
            return load(target).copy_memory()
        except (Failed, OSError, pyvips.Error) as error:
            compared.differences[peer.name] = None
            compared.errors[peer.name] = str(error)[:300]
            return None

    def _keep_pictures(self, number: int, ours: Any, compared: Compared) -> None:
        folder = ARTIFACTS / "pictures"
        for name in ("ours", *(peer.name for peer in self.peers)):
            path = self._folder / f"{name}.png"
            if not path.exists():
                continue
            kept = path.rename(folder / f"{number}-{name}.png")
            compared.pictures[name] = kept.name
            if ours is None or name == "ours" or not have_one_size(ours, theirs := load(kept)):
                continue
            apart = folder / f"{number}-{name}-difference.png"
            write_difference(ours, theirs, apart)
            compared.pictures[f"{name}, difference × 4"] = apart.name


def judge(compared: Compared) -> str:
    """Return the status of an image that was compared."""
    is_opened = any(value is not None for value in compared.differences.values())
    if compared.code in CRASHES:
        return CRASHED
    if compared.code:
        return REFUSED if is_opened else REFUSED_BY_ALL
    if not is_opened:
        return ALONE
    return AGREES if compared.difference <= MAX_DIFFERENCE else DIFFERS


def find_kind(head: bytes) -> str:
    """Return the format of a file, or nothing; that of an AVIF is `heic`, too."""
    return next((kind for kind, module in KINDS.items() if module.matches(head)), "")


def start_peers(folder: Path, core: int) -> tuple[list[PictureMaker], list[str]]:
    """Start the peers that are installed; also return why the others are not."""
    vips = peers.Peer("pyvips", "libvips", sys.executable)  # In our environment, for development.
    makers: list[PictureMaker] = []
    missing = []
    for start in (
        lambda: Library("libvips", vips, core),
        lambda: Library("sharp", peers.SHARP, core),
        lambda: ImageMagick(folder),
        Chromium,
    ):
        try:
            makers.append(start())
        except NotInstalled as error:
            missing.append(str(error))
    return makers, missing


@cache
def comparer() -> Comparer:
    """Start the comparer of this process."""
    return Comparer(os.getpid() % len(CORES))


def compare(number: int, root: Path, source: Path) -> Compared:
    """Compare one image in this process."""
    return comparer().compare(number, root, source)


def describe_peers() -> tuple[dict[str, str], list[str]]:
    """Return the versions of the peers that are installed, and which are not."""
    return {peer.name: peer.version for peer in comparer().peers}, comparer().missing


def find_images(root: Path) -> Iterator[Path]:
    """Find the images of a folder by the endings of their names, in order."""
    for path in sorted(root.rglob("*")):
        if path.suffix[1:].lower() in ENDINGS and path.is_file() and path.stat().st_size:
            yield path


def main() -> None:
    """Compare the images of the folder of the command line."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("make compare-images DIR=FOLDER")
    root = Path(sys.argv[1]).resolve()
    shutil.rmtree(ARTIFACTS, ignore_errors=True)
    (ARTIFACTS / "pictures").mkdir(parents=True)
    images = list(find_images(root))
    print(f"{len(images)} images")
    all_compared = []
    # libvips has threads, which a fork would lose.
    with ProcessPoolExecutor(len(CORES), mp_context=get_context("spawn")) as pool:
        versions, missing = pool.submit(describe_peers).result()
        for name, version in versions.items():
            print(f"- {name}: {version}")
        for sentence in missing:
            print(f"- {sentence}: left out")
        tasks = [pool.submit(compare, number, root, path) for number, path in enumerate(images)]
        for task in as_completed(tasks):
            all_compared.append(task.result())
            if len(all_compared) % 100 == 0:
                print(f"{len(all_compared)} compared", file=sys.stderr, flush=True)
    all_compared.sort(key=lambda compared: (-compared.difference, compared.file))
    counts = count(all_compared)
    summary = {"peers": versions, **counts, "images": [asdict(each) for each in all_compared]}
    (ARTIFACTS / "summary.json").write_text(json.dumps(summary, indent=1))
    table = format_table(counts)
    (ARTIFACTS / "index.html").write_text(format_page(all_compared, table))
    for work in ARTIFACTS.glob("work-*"):
        shutil.rmtree(work)
    print(f"\n{table}\n\n{ARTIFACTS / 'index.html'}")


if __name__ == "__main__":
    main()
