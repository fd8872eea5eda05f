"""The web process loads of the engine only what reads headers."""

import subprocess
import sys
from pathlib import Path

from webapp.config import ROOT

HEAVY = {
    *("pillow_heif", "pyvips", "PIL._imagingcms", "PIL.ImageCms", "PIL.ImageDraw"),
    *("PIL.ImageFilter", "PIL._avif", "PIL._webp"),
    *("webapp.engine.opening", "webapp.engine.encoding", "webapp.engine.thumbnails"),
    *("webapp.engine.thumbhash", "webapp.engine.decoding", "webapp.engine.vips"),
}
HEADERS_AND_PARENT = {
    *(
        "cicp",
        "decoder",
        "errors",
        "exif",
        "formats",
        "header",
        "identify",
        "ifd",
        "limits",
        "matrices",
        "profiles",
        "result",
    ),
}


def modules_after(script: str, *arguments: str) -> set[str]:
    """List the modules that a new process has loaded after a script."""
    run = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print(*sys.modules)", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_reading_headers_and_asking_a_child_load_no_decoder() -> None:
    loaded = modules_after("import webapp.engine.decoder, webapp.engine.identify")
    engine = {name.split(".")[2] for name in loaded if name.startswith("webapp.engine.")}
    assert engine == HEADERS_AND_PARENT
    assert loaded & HEAVY == set()


def test_web_process_loads_no_decoder(tmp_path: Path) -> None:
    script = """
import pathlib, sys
from webapp import create_app
from webapp.config import Config
create_app(Config(instance=pathlib.Path(sys.argv[1])))"""
    loaded = modules_after(script, str(tmp_path))
    assert "webapp.engine.identify" in loaded
    assert loaded & HEAVY == set()
