"""Look at every page in every state: write pictures of them into artifacts/.

python -m tests.browser.screenshots [readme | SCENE ...]

`readme` writes the two pictures of the README instead, and names of scenes no others.
"""

import logging
import sys
import tempfile
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import ADVICE, find_chromium
from tests.browser.pictures import paint
from tests.browser.scenes import SCENES, Stage, set_stage, settle
from webapp.config import ROOT

ARTIFACTS = ROOT / "artifacts"
DESK = {"viewport": {"width": 1360, "height": 900}}
SCREENS: dict[str, dict[str, Any]] = {
    "light": DESK,
    "dark": {**DESK, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
}
LARGE = {"viewport": {"width": 3840, "height": 2160}}
ON_LARGE = ("upload", "job-done", "image-cropped")
HIGH_CONTRAST = {**DESK, "color_scheme": "dark", "forced_colors": "active"}
IN_HIGH_CONTRAST = ("upload-queue", "job-working", "job-partly-failed", "error-404")
README = {"upload": "upload-queue", "job": "job-partly-failed"}
README_BYTES = 150_000


def show(browser: Browser, stage: Stage, scene: str, screen: dict[str, Any]) -> Image.Image:
    """Play a scene before a screen; give a picture of the whole page."""
    context = browser.new_context(**screen)
    try:
        page = context.new_page()
        SCENES[scene](page, stage)
        settle(page)
        return Image.open(BytesIO(page.screenshot(full_page=True)))
    finally:
        context.close()


def write(browser: Browser, stage: Stage, scenes: Collection[str]) -> None:
    """Write scenes on every screen."""
    wanted = [(name, screen, scene) for name, screen in SCREENS.items() for scene in SCENES]
    wanted += [("large", LARGE, scene) for scene in ON_LARGE]
    wanted += [("high-contrast", HIGH_CONTRAST, scene) for scene in IN_HIGH_CONTRAST]
    for name, screen, scene in wanted:
        if scene not in scenes:
            continue
        path = ARTIFACTS / name / f"{scene}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        show(browser, stage, scene, screen).save(path)
        print(path.relative_to(ROOT))


def write_readme(browser: Browser, stage: Stage) -> None:
    """Write the pictures of the README, as small as they have to be."""
    for name, scene in README.items():
        path = ROOT / "docs" / f"{name}.png"
        picture = show(browser, stage, scene, DESK).crop((0, 0, 1360, 900)).convert("RGB")
        _save_within(picture, path, README_BYTES)
        print(path.relative_to(ROOT), path.stat().st_size)


def _save_within(picture: Image.Image, path: Path, limit: int) -> None:
    for colors in (256, 128, 64, 32):
        # Only for a palette that is given does Pillow dither, and gradients need it.
        palette = picture.quantize(colors, kmeans=3)
        picture.quantize(palette=palette).save(path, optimize=True)
        if path.stat().st_size <= limit:
            return
    raise ValueError(f"{path.name} has more than {limit} bytes")


def main() -> None:
    """Start the servers and a browser, and write what is asked for."""
    logging.disable()  # One of the scenes is a fault.
    chromium = find_chromium()
    if not chromium:
        sys.exit(ADVICE)
    with (
        tempfile.TemporaryDirectory() as folder,
        set_stage(Path(folder), paint()) as stage,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False) as browser,
    ):
        if sys.argv[1:] == ["readme"]:
            write_readme(browser, stage)
        else:
            write(browser, stage, sys.argv[1:] or SCENES)


if __name__ == "__main__":
    main()
