"""Every flow once, in Firefox and in WebKit."""

from pathlib import Path

import pytest

from tests.other_browsers.driver import Driver
from tests.support.images import make_jpeg
from tests.support.servers import Servers


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    files = [tmp_path / name for name in ("beach.jpg", "hills.jpg")]
    for file in files:
        file.write_bytes(make_jpeg((640, 480)))
    return files


def make_job(window: Driver, servers: Servers, photos: list[Path]) -> None:
    window.open(f"{servers.url}/?preset=card&preset=avatar")
    window.choose(window.find("() => document.getElementById('images')"), photos)
    window.click("Make 4 thumbnails")
    window.wait_for_text("h1", "2 of 2 done")


def test_photos_become_thumbnails(window: Driver, servers: Servers, photos: list[Path]) -> None:
    make_job(window, servers, photos)
    window.wait_for(
        "() => [...document.querySelectorAll('.shot img')].every((i) => i.naturalWidth)"
    )
