"""Processes die or hang: what was accepted is finished all the same."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs
from tests.support.servers import (
    UPLOAD_BEGINNING,
    Client,
    Servers,
    decode_children_of,
    descendants_of,
    is_alive,
    wait_until,
)
from webapp.config import Config
from webapp.recipes.presets import PRESETS

pytestmark = pytest.mark.live

LEASE = 1.5  # Seconds; 6 by default.
RECOVERY = LEASE + 4  # Until an image runs again, or one without a notification is found.
# A worker has a decode server with a child. The scheduler and the process for requests to other
# servers have neither.
SPARES = [0, 0, 2, 2]
ORPHANS = 2.0  # Seconds that a process may outlive its parent.


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": 2, "lease_seconds": LEASE}


def meet_at_work(servers: Servers) -> int:
    """Wait until a worker decodes an image that it claimed; return its pid."""

    def at_work() -> list[int]:
        rows = servers.rows("SELECT claimed_by FROM images WHERE status = 'working'")
        claimed = {int(worker.rpartition(":")[2]) for (worker,) in rows}
        return [pid for pid in servers.busy_workers() if pid in claimed]

    pid: int = wait_until(at_work, what="a worker at work")[0]
    return pid


def runs_again(servers: Servers, job_id: str) -> bool:
    rows = servers.rows("SELECT attempts FROM images WHERE job_id = ?", job_id)
    return bool(rows == [(2,)])


def finish(client: Client, job_id: str, seconds: float = 20.0) -> None:
    client.wait_for(job_id, seconds)
    assert client.get(f"/check_job_status/{job_id}").status == 303


def test_image_of_a_killed_worker_runs_again_soon(
    servers: Servers, client: Client, scan: bytes
) -> None:
    job_id = client.submit(scan)
    os.kill(meet_at_work(servers), signal.SIGKILL)
    wait_until(lambda: runs_again(servers, job_id), RECOVERY, "another worker")
    finish(client, job_id)


def test_image_of_a_killed_consumer_runs_again_after_its_restart(
    servers: Servers, client: Client, scan: bytes
) -> None:
    job_id = client.submit(scan)
    meet_at_work(servers)
    servers.processes["consumer"].kill()
    servers.processes["consumer"].wait()
    servers.start_one("consumer")
    wait_until(lambda: runs_again(servers, job_id), RECOVERY, "another worker")
    finish(client, job_id)


def test_image_of_a_killed_decode_child_runs_again_soon(
    servers: Servers, client: Client, scan: bytes
) -> None:
    job_id = client.submit(scan)
    for child in decode_children_of(meet_at_work(servers)):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: runs_again(servers, job_id), RECOVERY, "another attempt")
    finish(client, job_id)


def test_work_without_a_notification_is_found_while_idle(servers: Servers, client: Client) -> None:
    finish(client, submit_without_notification(servers), RECOVERY)


def test_work_without_a_notification_is_found_under_load(servers: Servers, client: Client) -> None:
    with loaded(servers):
        finish(client, submit_without_notification(servers), RECOVERY)


def submit_without_notification(servers: Servers) -> str:
    """Accept an image as the web server does, and lose the notification."""
    jobs = open_jobs(Config(instance=servers.instance))
    with closing(jobs.store.db), closing(jobs.open_upload()) as upload:
        upload.write(make_jpeg())
        return jobs.submit_image(PRESETS["square"].recipe, None, upload, "a.jpg", "127.0.0.1")


@contextmanager
def loaded(servers: Servers) -> Iterator[None]:
    """Keep more images waiting than there are workers for as long as the block lasts."""
    over = threading.Event()
    photo = make_jpeg((2000, 1500))

    def upload() -> None:
        with closing(servers.client()) as client:
            while not over.is_set():
                for _ in range(4):
                    client.submit(photo)
                finish(client, client.submit(photo), 60.0)

    people = [threading.Thread(target=upload) for _ in range(3)]
    for person in people:
        person.start()
    try:
        waiting = "SELECT 1 FROM images WHERE status = 'waiting'"
        wait_until(lambda: len(servers.rows(waiting)) > 2, what="a queue")
        yield
    finally:
        over.set()
        for person in people:
            person.join()


def test_hung_worker_is_overtaken_and_cannot_publish_when_it_wakes(
    servers: Servers, client: Client, scan: bytes
) -> None:
    job_id = client.submit(scan)
    hung = meet_at_work(servers)
    os.kill(hung, signal.SIGSTOP)
    try:
        wait_until(lambda: runs_again(servers, job_id), RECOVERY, "another worker")
        finish(client, job_id)
        finished = servers.rows("SELECT version FROM jobs WHERE id = ?", job_id)
    finally:
        os.kill(hung, signal.SIGCONT)
    awake = time.time()
    beats = "SELECT 1 FROM workers WHERE name LIKE ? AND beat > ?"
    wait_until(lambda: servers.rows(beats, f"%:{hung}", awake), what="its next beat")
    wait_until(lambda: not decode_children_of(hung), what="the end of its work")
    assert servers.rows("SELECT version FROM jobs WHERE id = ?", job_id) == finished
    (image,) = (servers.instance / "thumbnails" / job_id).iterdir()
    assert image.name.endswith("-2")


def test_workers_end_with_their_killed_consumer(servers: Servers, client: Client) -> None:
    def all_four() -> list[int] | None:
        """List all children, once a dead one is replaced."""
        children = servers.children("consumer")
        return children if len(children) == len(SPARES) else None

    children = wait_until(all_four, what="all workers")
    servers.processes["consumer"].kill()
    servers.processes["consumer"].wait()
    wait_until(lambda: not any(map(is_alive, children)), ORPHANS, "the workers' end")
    servers.start_one("consumer")
    wait_until(client.is_healthy, what="a healthy consumer")


def test_decode_child_ends_with_its_killed_worker(
    servers: Servers, client: Client, scan: bytes
) -> None:
    client.submit(scan)
    worker = meet_at_work(servers)
    children = descendants_of(worker)
    assert len(children) >= 2  # Its decode server, and children of that.
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, children)), ORPHANS, "the child's end")


def test_decode_child_of_a_finished_job_ends_soon(servers: Servers, client: Client) -> None:
    finish(client, client.submit(make_jpeg()))
    wait_until(
        lambda: sorted(len(descendants_of(pid)) for pid in servers.children("consumer")) == SPARES,
        what="no child but the next one of each worker",
    )


def test_web_workers_end_with_their_killed_server_during_an_upload(
    servers: Servers, client: Client
) -> None:
    children = servers.children("web")
    assert len(children) == Config.web_workers
    with socket.create_connection(("127.0.0.1", servers.port)) as slow:
        slow.sendall(UPLOAD_BEGINNING + bytes(300_000))
        receiving = servers.instance / "tmp"
        wait_until(lambda: list(receiving.glob("upload-*")), what="the upload's file")
        servers.processes["web"].kill()
        servers.processes["web"].wait()
        wait_until(lambda: not any(map(is_alive, children)), ORPHANS, "the workers' end")
    servers.start_one("web")
    wait_until(client.is_healthy, what="a healthy server")
