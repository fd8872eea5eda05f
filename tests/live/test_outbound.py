"""Images that the consumer fetches from other servers, while processes die or stop."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs
from tests.support.origins import Connection, Origin, origin
from tests.support.servers import Servers, running, wait_for_end, wait_until
from webapp.config import Config
from webapp.jobs.models import Progress
from webapp.recipes.presets import PRESETS

pytestmark = pytest.mark.live

PHOTO = make_jpeg()


@dataclass
class SlowServer:
    """Send half of a photo, and the rest once it is let go."""

    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, connection: Connection, _: bytes) -> None:
        half = len(PHOTO) // 2
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PHOTO)}\r\n\r\n"
        connection.sendall(head.encode() + PHOTO[:half])
        for number in range(half, len(PHOTO)):  # Slowly, so that it looks whether to stop.
            if self.may_go_on.wait(0.05):
                connection.sendall(PHOTO[number:])
                return
            connection.sendall(PHOTO[number : number + 1])


@dataclass
class Fetching:
    """Servers that fetch from another one, and their jobs."""

    servers: Servers
    slow: SlowServer
    origin: Origin

    def __post_init__(self) -> None:
        allowed: Any = self.origin.host
        config = Config(instance=self.servers.instance, fetch_urls=True)
        self.jobs = open_jobs(replace(config, allowed_private_hosts=allowed))

    def submit(self) -> str:
        """Submit a closed job of one image to fetch, and wait until its server was asked."""
        asked = len(self.origin.requests)
        job_id = self.jobs.submit(PRESETS["square"].recipe, "owner")
        self.jobs.add_url(job_id, self.origin.url, None, None, "client")
        self.jobs.close(job_id)
        wait_until(lambda: len(self.origin.requests) > asked, what="the fetch")
        return job_id

    def finish(self, job_id: str) -> Progress:
        """Wait until a job is finished."""
        self.slow.may_go_on.set()

        def finished() -> Progress | None:
            job = self.jobs.progress(job_id)
            return job if job.is_finished else None

        job: Progress = wait_until(finished, what="the end of the job")
        return job

    def process(self) -> int:
        """Return the id of the process that fetches: it alone reads the pipe."""
        pipe = str(self.servers.instance / "outbound.wake")
        return next(pid for pid in self.servers.children("consumer") if pipe in _open_files(pid))


def _open_files(pid: int) -> set[str]:
    return {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.fixture
def fetching(tmp_path: Path) -> Iterator[Fetching]:
    slow = SlowServer()
    with origin(slow) as server:
        settings = {"fetch_urls": 1, "fetch_seconds": 5, "allowed_private_hosts": server.host}
        with running(tmp_path / "instance", workers=1, **settings) as servers:
            yield Fetching(servers, slow, server)


def test_an_image_is_fetched_and_made_though_its_process_is_killed(fetching: Fetching) -> None:
    job_id = fetching.submit()
    os.kill(fetching.process(), signal.SIGKILL)

    # The lease of the dead one would last for 20 s.
    fetching.jobs.store.db.execute("UPDATE fetches SET lease = 0")
    job = fetching.finish(job_id)

    assert (job.counts.done, job.counts.total) == (1, 1)


def test_a_stop_hands_a_fetch_to_the_next_consumer(fetching: Fetching) -> None:
    job_id = fetching.submit()
    consumer = fetching.servers.processes["consumer"]

    consumer.send_signal(signal.SIGTERM)
    assert consumer.wait(10) == 0
    (fetch,) = fetching.jobs.store.fetches.of_job(job_id)
    assert fetch.status == "waiting"
    fetching.servers.start_one("consumer")

    assert fetching.finish(job_id).counts.done == 1


def test_slow_servers_hold_up_no_uploads(fetching: Fetching) -> None:
    fetching.submit()

    with closing(fetching.servers.client()) as client:
        uploaded = client.submit(PHOTO)
        wait_for_end(fetching.servers, uploaded, 5)

    assert not fetching.slow.may_go_on.is_set()
