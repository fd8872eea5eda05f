"""Measure the time from upload to thumbnail, and images a second.

    make bench                                  starts the real servers here
    make bench BASE_URL=http://127.0.0.1:9000   measures another server with the same routes

Both are for a photo of 12 megapixels and the 100 x 100 thumbnail of thumbnail-api, with its routes,
so that it can be measured too. Figures are medians. Nothing is asserted.
"""

import statistics
import sys
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image, ImageFilter

from tests.support.servers import Client, Servers, running
from webapp.config import MB

IDLE_IMAGES = 40
CLIENTS = 8
LOAD_IMAGES = 320
# How often a client polls. Under load, polling takes time from the others.
IDLE_POLL, LOAD_POLL = 0.004, 0.1  # Seconds.
LARGE_MB = 100


def make_photo() -> bytes:
    """Create a JPEG of 12 megapixels and about 1.8 MB: soft shapes with grain."""
    shapes = Image.effect_noise((125, 94), 120).resize((4000, 3000), Image.Resampling.BICUBIC)
    grain = Image.effect_noise((4000, 3000), 9).filter(ImageFilter.GaussianBlur(1.2))
    grey = Image.blend(shapes, grain, 0.4)
    photo = Image.merge("RGB", (grey, grey.point(lambda v: v * 0.9), grey.rotate(180)))
    buffer = BytesIO()
    photo.save(buffer, "jpeg", quality=90)
    return buffer.getvalue()


def fetch_thumbnail(client: Client, photo: bytes, poll: float) -> float:
    """Submit a photo, wait, fetch the thumbnail; return the seconds."""
    start = time.perf_counter()
    job_id = client.submit(photo)
    while not client.finished(job_id):
        time.sleep(poll)
    answer = client.get(f"/download_thumbnail/{job_id}")
    assert answer.status == 200, answer
    return time.perf_counter() - start


def measure_idle(client: Client, photo: bytes) -> None:
    """Print how long one image takes on an idle server."""
    fetch_thumbnail(client, photo, IDLE_POLL)
    seconds = sorted(fetch_thumbnail(client, photo, IDLE_POLL) for _ in range(IDLE_IMAGES))
    middle, late = statistics.median(seconds), seconds[int(len(seconds) * 0.95)]
    print(f"idle, upload to thumbnail    p50 {middle * 1000:5.0f} ms   p95 {late * 1000:5.0f} ms")


def measure_load(host: str, port: int, photo: bytes) -> None:
    """Print images a second with several clients."""
    shares = [LOAD_IMAGES // CLIENTS] * CLIENTS
    seconds: list[float] = []

    def use(count: int) -> None:
        client = Client(host, port)
        for _ in range(count):
            seconds.append(fetch_thumbnail(client, photo, LOAD_POLL))
        client.close()

    threads = [threading.Thread(target=use, args=(share,)) for share in shares]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(seconds) / (time.perf_counter() - start)
    middle = statistics.median(seconds)
    print(
        f"{CLIENTS} clients                    {rate:5.1f} images/s   p50 {middle * 1000:5.0f} ms"
    )


def measure_memory(servers: Servers, photo: bytes) -> None:
    """Print how much the web processes grow, at their peak, for one large upload."""
    before = servers.reset_web_peak()
    answer = servers.client().upload(photo + bytes(LARGE_MB * MB))
    growth = servers.web_peak() - before
    print(f"upload of {LARGE_MB} MB             +{growth / MB:.1f} MB in the web ({answer.status})")


def main() -> None:
    """Measure the server named on the command line, or one of our own."""
    photo = make_photo()
    print(f"12 MP JPEG of {len(photo) / 1e6:.1f} MB to 100 x 100")
    if len(sys.argv) > 1:
        address = urlsplit(sys.argv[1])
        host, port = address.hostname or "127.0.0.1", address.port or 80
        measure_idle(Client(host, port), photo)
        measure_load(host, port, photo)
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "instance", max_file_mb=LARGE_MB + 10) as servers,
    ):
        measure_idle(servers.client(), photo)
        measure_load("127.0.0.1", servers.port, photo)
        measure_memory(servers, photo)


if __name__ == "__main__":
    main()
