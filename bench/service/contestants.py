"""Start the applications that are measured, and send their requests."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from bench.peers import ENVIRONMENT, NotInstalled
from bench.service.connections import Body, Connection, Server, encode_form, encode_image
from bench.service.cpu import CpuSeconds, by_part
from bench.targets import OURS
from tests.support.people import part
from tests.support.servers import Client, Servers, children_of, free_port, running, wait_until

THUMBOR = "thumbor"
POLL_SECONDS = 0.01
JOBS = "/api/v1/jobs"
WAIT = "Prefer: wait=10"


class Contestant(Server, Protocol):
    """An application that makes a thumbnail of an image that is uploaded to it."""

    name: str

    def encode(self, photo: Path) -> Body:
        """Encode the upload of a photo."""
        ...

    def send(self, client: Connection, body: Body) -> str:
        """Upload a photo; return its id."""
        ...

    def fetch(self, client: Connection, photo_id: str) -> bytes:
        """Fetch the thumbnail of an upload, once it is there."""
        ...

    def make(self, client: Connection, body: Body) -> bytes:
        """Upload a photo, and fetch its thumbnail."""
        return self.fetch(client, self.send(client, body))

    def cpu_seconds(self) -> CpuSeconds:
        """Return the CPU time of each part so far, if it runs here."""
        ...


class ThumbnailApi(Contestant):
    """A server with the routes of thumbnail-api, wherever it runs."""

    name = OURS

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def encode(self, photo: Path) -> Body:
        return encode_form(file=part(photo.read_bytes(), photo.name))

    def send(self, client: Connection, body: Body) -> str:
        answer = client.post("/upload_image", body)
        assert answer.status == 202, answer
        return str(json.loads(answer.body)["job_id"])

    def fetch(self, client: Connection, photo_id: str) -> bytes:
        while b'"Processing"' in client.get(f"/check_job_status/{photo_id}").body:
            time.sleep(POLL_SECONDS)
        answer = client.get(f"/download_thumbnail/{photo_id}")
        assert answer.status == 200, answer
        return answer.body

    def acceptors(self) -> list[int]:
        return []

    def cpu_seconds(self) -> CpuSeconds:
        return {}


def at(address: str) -> ThumbnailApi:
    """Return the server at an address."""
    parts = urlsplit(address)
    return ThumbnailApi(parts.hostname or "127.0.0.1", parts.port or 80)


class Ours(ThumbnailApi):
    """Our web server and consumer, started as `make run` starts them."""

    def __init__(self, servers: Servers) -> None:
        super().__init__("127.0.0.1", servers.port)
        self._servers = servers

    def acceptors(self) -> list[int]:
        return self._servers.children("web")

    def cpu_seconds(self) -> CpuSeconds:
        roots = self._servers.processes
        return {
            **by_part(roots["web"].pid, lambda command: "web"),
            **by_part(roots["consumer"].pid, _part_of_consumer),
        }


class Api(Ours):
    """The same servers by their API: one request that is answered with the thumbnail."""

    def encode(self, photo: Path) -> Body:
        return encode_image(photo)

    def make(self, client: Connection, body: Body) -> bytes:
        client.cookies.clear()  # To one owner, the same bytes are answered without work.
        answer = client.post(f"{JOBS}?preset=square", body, WAIT, "Accept: image/*")
        if answer.status == 202:  # No thread was free to wait.
            path = urlsplit(answer.location).path
            job = self.wait_for_images(client, path)
            answer = client.get(urlsplit(job["images"][0]["thumbnails"][0]["url"]).path)
        assert answer.status == 200, answer
        return answer.body

    def finished_job(self, client: Connection, body: Body) -> tuple[str, str]:
        """Create a job of a photo; return its path and ETag once it is finished."""
        client.cookies.clear()
        answer = client.post(f"{JOBS}?preset=square", body, WAIT)
        assert answer.status == 201, answer
        return urlsplit(answer.location).path, answer.etag

    def open_job(self, client: Connection) -> str:
        """Create a job of a new owner that takes images; return its path."""
        client.cookies.clear()
        answer = client.post(JOBS, Body(b'{"presets": ["square"]}', "application/json"))
        assert answer.status == 201, answer
        return urlsplit(answer.location).path

    def wait_for_images(self, client: Connection, path: str) -> dict[str, Any]:
        """Wait until all images of a job are done; return it."""
        while True:
            job: dict[str, Any] = json.loads(client.get(path).body)
            if job["counts"]["done"] == job["counts"]["total"]:
                return job
            assert not job["counts"]["failed"], job
            time.sleep(POLL_SECONDS)


S = TypeVar("S", bound=Ours)


def _part_of_consumer(command: bytes) -> str:
    return "decode" if b"decode_server" in command else "consumer"


@contextmanager
def start_ours(folder: Path, kind: Callable[[Servers], S]) -> Iterator[S]:
    """Run our servers, without the limits that one client would reach."""
    limits = ("max_jobs_per_hour", "max_mb_per_hour", "max_work_seconds_per_hour")
    with running(folder / "instance", **dict.fromkeys(limits, 1_000_000)) as servers:
        yield kind(servers)


class Thumbor(Contestant):
    """thumbor, with the options of `start_thumbor`."""

    name = THUMBOR
    host = "127.0.0.1"

    def __init__(self, port: int, pid: int) -> None:
        self.port, self._pid = port, pid

    def encode(self, photo: Path) -> Body:
        return encode_image(photo)

    def send(self, client: Connection, body: Body) -> str:
        answer = client.post("/image", body)
        assert answer.status == 201, answer
        return answer.location.split("/")[2]

    def fetch(self, client: Connection, photo_id: str) -> bytes:
        filters = "filters:fill(white):format(jpeg)"
        answer = client.get(f"/unsafe/fit-in/100x100/{filters}/{photo_id}")
        assert answer.status == 200, answer
        return answer.body

    def acceptors(self) -> list[int]:
        return children_of(self._pid)

    def cpu_seconds(self) -> CpuSeconds:
        return by_part(self._pid, lambda command: THUMBOR)


def thumbor_version() -> str:
    """Return the version of thumbor and of its Pillow. Raises NotInstalled."""
    program = ENVIRONMENT / "bin/python"
    ask = "import PIL, thumbor; print(thumbor.__version__, 'with Pillow', PIL.__version__)"
    try:
        asked = subprocess.run([program, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstalled("thumbor is not installed") from error
    return f"thumbor {asked.stdout.strip()}"


@contextmanager
def start_thumbor(folder: Path, processes: int = 2) -> Iterator[Thumbor]:
    """Run thumbor: uploads, kept as files; everything else is its default.

    It allows unsafe URLs and keeps no results by default.
    """
    folder.mkdir()
    settings = folder / "thumbor.conf"
    store = str(folder / "store")
    settings.write_text(f"UPLOAD_ENABLED = True\nFILE_STORAGE_ROOT_PATH = {store!r}\n")
    port = free_port()
    address = ["--ip", "127.0.0.1", "--port", str(port)]
    program = [str(ENVIRONMENT / "bin/thumbor"), "--conf", str(settings), *address]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*program, "--processes", str(processes)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            client = Client("127.0.0.1", port)
            wait_until(client.is_healthy, what="thumbor")
            client.close()
            yield Thumbor(port, process.pid)
        finally:
            _kill(process)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
