"""The web process loads no decoder, no encoder of ours and no drawing code."""

import subprocess
import sys

from webapp import ROOT

HEAVY = {
    *("pillow_heif", "pyvips", "PIL._imagingcms", "PIL.ImageCms", "PIL.ImageDraw"),
    *("PIL.ImageFilter", "PIL.ImageStat", "PIL._avif", "PIL._webp"),
}
LIGHT_ENGINE = {
    *("decoder", "errors", "exif", "formats", "header", "identify", "ifd", "limits", "result"),
}


def test_web_process_loads_only_what_reads_headers() -> None:
    script = "import sys, webapp.engine.decoder, webapp.engine.identify; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    engine = {name.split(".")[2] for name in loaded if name.startswith("webapp.engine.")}
    assert loaded & HEAVY == set()
    assert engine == LIGHT_ENGINE
