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
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import cache
from html import escape
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyvips

from bench import peers
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
MAX_SHOWN = 300  # Rows of a section of the page.
# In the order in which they are asked to name a file: an AVIF can begin like an ICO.
KINDS = {"webp": webp, "heic": isobmff, "jpeg": jpeg, "png": png, "gif": gif, "tiff": tiff}
KINDS |= {"bmp": bmp, "ico": ico, "jp2": jp2}
ENDINGS = frozenset(
    (
        *("apng", "avif", "avifs", "bmp", "cur", "dib", "gif", "heic", "heics", "heif", "hif"),
        *("ico", "j2c", "j2k", "jfif", "jp2", "jpc", "jpe", "jpeg", "jpf", "jpg", "jpx", "mpo"),
        *("png", "tif", "tiff", "webp"),
    )
)

AGREES = "agrees with at least one peer"
DIFFERS = "differs from all peers that open it"
ALONE = "opened by us alone"
REFUSED = "refused by us, opened by a peer"
REFUSED_BY_ALL = "refused by us and by all peers"
CRASHED = "crashed, timed out or failed in our sandbox"
STATUSES = (AGREES, DIFFERS, ALONE, REFUSED, REFUSED_BY_ALL, CRASHED)
CRASHES = ("crashed", "timed_out", "failed")


@dataclass
class Compared:
    """What came of one image; differences are None where a peer did not open it."""

    file: str
    kind: str
    status: str = ""
    code: str = ""
    message: str = ""
    size: tuple[int, int] | None = None
    differences: dict[str, float | None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    @property
    def difference(self) -> float:
        """Return the difference to the nearest peer."""
        known = [value for value in self.differences.values() if value is not None]
        return min(known, default=0.0)


# Pictures

pyvips.cache_set_max(0)  # Or it would return the picture before, of the same path.


def load(path: Path) -> Any:
    """Load a PNG as sRGB of 8 bits with an alpha channel."""
    picture = pyvips.Image.new_from_file(str(path)).colourspace("srgb")
    return picture if picture.hasalpha() else picture.bandjoin(255)


def difference_of(ours: Any, theirs: Any) -> float:
    """Return how far two pictures are apart; 100 if their sizes differ.

    That is the mean CIEDE2000, the worse of over white and over black, or the mean difference of
    their opacity, whichever is more.
    """
    if abs(ours.width - theirs.width) > 1 or abs(ours.height - theirs.height) > 1:
        return 100.0
    theirs = fit(theirs, ours)
    colors = [
        flat(ours, shade).colourspace("lab").dE00(flat(theirs, shade).colourspace("lab")).avg()
        for shade in (255, 0)
    ]
    return float(max(*colors, (ours[3] - theirs[3]).abs().avg()))


def fit(picture: Any, to: Any) -> Any:
    """Resize a picture by the one pixel that programs round differently."""
    if (picture.width, picture.height) == (to.width, to.height):
        return picture
    return picture.thumbnail_image(to.width, height=to.height, size="force").cast("uchar")


def flat(picture: Any, shade: int) -> Any:
    return picture.flatten(background=shade).copy(interpretation="srgb").cast("uchar")


def write_difference(ours: Any, theirs: Any, target: Path) -> None:
    """Write where two pictures differ, four times as bright; black is the same."""
    if abs(ours.width - theirs.width) <= 1 and abs(ours.height - theirs.height) <= 1:
        apart = (flat(ours, 255) - flat(fit(theirs, ours), 255)).abs() * 4
        apart.cast("uchar").copy(interpretation="srgb").write_to_file(str(target))


# One image


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
            compared.differences[peer.name] = difference_of(ours, picture) if ours else 100.0
            if not ours or compared.difference <= MAX_DIFFERENCE:
                break
        compared.status = self._judge(compared)
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

    def _judge(self, compared: Compared) -> str:
        is_opened = any(value is not None for value in compared.differences.values())
        if compared.code in CRASHES:
            return CRASHED
        if compared.code:
            return REFUSED if is_opened else REFUSED_BY_ALL
        if not is_opened:
            return ALONE
        return AGREES if compared.difference <= MAX_DIFFERENCE else DIFFERS

    def _keep_pictures(self, number: int, ours: Any, compared: Compared) -> None:
        folder = ARTIFACTS / "pictures"
        for name in ("ours", *(peer.name for peer in self.peers)):
            path = self._folder / f"{name}.png"
            if not path.exists():
                continue
            kept = folder / f"{number}-{name}.png"
            path.rename(kept)
            compared.pictures[name] = kept.name
            if ours and name != "ours":
                apart = folder / f"{number}-{name}-difference.png"
                write_difference(ours, load(kept), apart)
                if apart.exists():
                    compared.pictures[f"{name}, difference × 4"] = apart.name


def find_kind(head: bytes) -> str:
    """Return the format of a file, or nothing; that of an AVIF is `heic`, too."""
    return next((kind for kind, module in KINDS.items() if module.matches(head)), "")


def start_peers(folder: Path, core: int) -> tuple[list[PictureMaker], list[str]]:
    """Start the peers that are installed; also return what the others say."""
    vips = peers.Peer("pyvips", "libvips", sys.executable)  # In our environment, for development.
    makers: list[PictureMaker] = []
    missing = []
    for start in (
        lambda: Library("libvips", vips, core),
        lambda: Library("sharp", peers.SHARP, core),
        lambda: ImageMagick(folder),
        lambda: Chromium(),
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


# The report


def find_images(root: Path) -> Iterator[Path]:
    """Find the images of a folder by the endings of their names, in order."""
    for path in sorted(root.rglob("*")):
        if path.suffix[1:].lower() in ENDINGS and path.is_file() and path.stat().st_size:
            yield path


def count(all_compared: list[Compared]) -> dict[str, Any]:
    """Count images by status and kind, and those refused by code."""
    statuses = Counter(compared.status for compared in all_compared)
    kinds = sorted({compared.kind or "unknown" for compared in all_compared})
    codes = Counter(compared.code for compared in all_compared if compared.status == REFUSED)
    by_kind = Counter((compared.kind or "unknown", compared.status) for compared in all_compared)
    return {
        "files": len(all_compared),
        "statuses": {status: statuses[status] for status in STATUSES},
        "refused": dict(codes.most_common()),
        "kinds": {kind: [by_kind[kind, status] for status in STATUSES] for kind in kinds},
    }


def format_table(counts: dict[str, Any]) -> str:
    """Return the counts as Markdown."""
    lines = [f"| format | files | {' | '.join(STATUSES)} |", "|---" * (len(STATUSES) + 2) + "|"]
    rows = [*counts["kinds"].items(), ("all", list(counts["statuses"].values()))]
    for kind, row in rows:
        lines.append(f"| {kind} | {sum(row)} | {' | '.join(map(str, row))} |")
    codes = ", ".join(f"{code} {number}" for code, number in counts["refused"].items())
    return "\n".join([*lines, "", f"Refused by us, opened by a peer: {codes or 'none'}"])


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Our pictures beside those of others</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }}
article {{ border-top: 1px solid #ccc; padding: 1rem 0; }}
h3 {{ font-size: 1rem; margin: 0; overflow-wrap: anywhere; }}
p {{ margin: 0.25rem 0 0.75rem; }}
div {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
figure {{ margin: 0; }}
img {{ background: repeating-conic-gradient(#ccc 0 25%, #fff 0 50%) 0 / 16px 16px; }}
pre {{ overflow-x: auto; }}
</style>
<h1>Our pictures beside those of others</h1>
<pre>{table}</pre>
{sections}
</html>
"""


def format_page(all_compared: list[Compared], table: str) -> str:
    """Return the page: what differs, the worst first."""
    sections = []
    for status in (CRASHED, DIFFERS, REFUSED):
        rows = [compared for compared in all_compared if compared.status == status]
        rows.sort(key=lambda compared: (compared.code, -compared.difference, compared.file))
        shown = "\n".join(format_row(compared) for compared in rows[:MAX_SHOWN])
        rest = f", of which {MAX_SHOWN} are shown" if len(rows) > MAX_SHOWN else ""
        sections.append(f"<h2>{status.capitalize()}: {len(rows)}{rest}</h2>\n{shown}")
    return _PAGE.format(table=escape(table), sections="\n".join(sections))


def format_row(compared: Compared) -> str:
    """Return the pictures of one image."""
    facts = [f"{name}: {value:.1f}" for name, value in compared.differences.items() if value]
    if compared.code:
        facts = [f"{compared.code}: {compared.message}"]
    facts += [f"{name}: {error}" for name, error in compared.errors.items()]
    figures = "".join(
        f'<figure><img src="pictures/{escape(path)}" alt="" loading="lazy">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, path in sorted(compared.pictures.items(), key=lambda pair: pair[0] != "ours")
    )
    return (
        f"<article><h3>{escape(compared.file)}</h3><p>{escape(' · '.join(facts))}</p>"
        f"<div>{figures}</div></article>"
    )


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
