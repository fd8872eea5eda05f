"""The shipped commands: upload over HTTP, thumbnails as files, recovery."""

import os
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from io import BytesIO
from pathlib import Path

import pytest
from werkzeug.datastructures import FileStorage

from tests.support.images import make_image, make_jpeg, make_png
from tests.support.pages import Page
from tests.support.people import find_token
from tests.support.servers import Client, Servers, environment, free_port, running, wait_until
from webapp.config import ROOT
from webapp.web.views.thumbnail_api import WAIT_SECONDS

pytestmark = pytest.mark.live


def test_status_is_read_once_a_second_while_a_job_is_processing(client: Client) -> None:
    job_id = client.submit(make_jpeg())
    started = time.monotonic()
    reads = 1
    while not client.finished(job_id):
        reads += 1
    assert reads <= 2 + (time.monotonic() - started) / WAIT_SECONDS


def test_status_reads_leave_half_of_the_threads_free(tmp_path: Path) -> None:
    with (
        running(tmp_path / "instance", "web", web_workers=1, web_threads=2) as servers,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(closing(servers.client())) for _ in range(4)]
        job_id = clients[0].submit(make_jpeg())
        started = time.monotonic()
        with ThreadPoolExecutor(len(clients)) as threads:
            assert not any(threads.map(lambda client: client.finished(job_id), clients))
        assert time.monotonic() - started < 2 * WAIT_SECONDS  # One waits at a time.


def test_stopping_server_answers_status_reads_at_once(tmp_path: Path) -> None:
    with (
        running(tmp_path / "instance", "web", web_workers=1) as servers,
        closing(servers.client()) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        job_id = client.submit(make_jpeg())
        tasks = Path(f"/proc/{servers.children('web')[0]}/task")
        before = len(list(tasks.iterdir()))
        answer = thread.submit(client.finished, job_id)
        wait_until(lambda: len(list(tasks.iterdir())) > before, what="a thread that watches")
        servers.processes["web"].terminate()
        assert answer.result(WAIT_SECONDS / 2) is False


def test_work_without_notifications_is_found_at_once(tmp_path: Path) -> None:
    with (
        running(tmp_path / "instance", workers=1) as servers,
        closing(servers.client()) as client,
    ):
        consumer = servers.processes["consumer"]
        consumer.send_signal(signal.SIGTERM)
        consumer.wait(20)
        job_ids = [client.submit(make_jpeg()) for _ in range(20)]
        with closing(sqlite3.connect(servers.instance / "queue.db")) as queue, queue:
            queue.execute("DELETE FROM task")
        servers.start_one("consumer")
        # One a second would take 20 seconds.
        wait_until(lambda: all(map(client.finished, job_ids)), 10.0, "all jobs")


def test_health_shows_when_the_consumer_stops_and_starts(servers: Servers, client: Client) -> None:
    consumer = servers.processes["consumer"]
    consumer.send_signal(signal.SIGTERM)
    consumer.wait(20)
    wait_until(lambda: client.get("/healthcheck").status == 503, what="an unhealthy answer")
    servers.start_one("consumer")
    wait_until(lambda: client.get("/healthcheck").status == 200, what="a healthy answer")


def test_paused_workers_finish_what_they_have_and_take_nothing_new(
    servers: Servers, client: Client, scan: bytes
) -> None:
    at_work = client.submit(scan)
    wait_until(servers.busy_workers, what="a worker at work")
    assert "Work is paused." in servers.command("jobs", "pause")
    waiting = client.submit(make_jpeg())
    client.wait_for(at_work)
    wait_until(lambda: not servers.messages(), what="workers that looked for the other image")
    health = client.get("/healthcheck").json
    assert (health["paused"], health["working"], health["queue_depth"]) == (True, 0, 1)
    assert "Work goes on." in servers.command("jobs", "resume")
    client.wait_for(waiting)


def test_graceful_stop_finishes_the_image_in_progress(tmp_path: Path, scan: bytes) -> None:
    with (
        running(tmp_path / "instance", workers=1) as servers,
        closing(servers.client()) as client,
    ):
        job_id = client.submit(scan)
        wait_until(servers.busy_workers, what="a worker at work")
        servers.processes["consumer"].send_signal(signal.SIGTERM)
        servers.processes["consumer"].wait(20)
        assert client.get(f"/check_job_status/{job_id}").json["status"] == "Succeeded"


def test_queue_file_can_be_removed_while_all_runs(tmp_path: Path) -> None:
    with (
        running(tmp_path / "instance", workers=1, web_workers=1) as servers,
        closing(servers.client()) as client,
    ):
        for file in servers.instance.glob("queue.db*"):
            file.unlink()
        for pid in servers.children("consumer"):
            os.kill(pid, signal.SIGKILL)
        client.wait_for(client.submit(make_jpeg()))
        assert servers.output().count("Traceback") < 200
        assert stat.S_IMODE((servers.instance / "queue.db").stat().st_mode) == 0o600


def test_expired_job_is_swept_with_its_files(tmp_path: Path) -> None:
    with (
        running(tmp_path / "instance", retention_hours=0.001) as servers,
        closing(servers.client()) as client,
    ):
        job_id = client.submit(make_jpeg())
        wait_until(lambda: client.get(f"/check_job_status/{job_id}").status == 404, what="expiry")
        originals = servers.instance / "originals"
        # The sweep runs when the consumer starts, and each minute.
        servers.processes["consumer"].send_signal(signal.SIGTERM)
        servers.processes["consumer"].wait(20)
        assert (originals / job_id).exists()
        servers.start_one("consumer")
        wait_until(lambda: not (originals / job_id).exists(), what="the sweep")


def test_client_that_is_still_sending_reads_the_refusal(tmp_path: Path) -> None:
    with (
        running(tmp_path / "instance", max_file_mb=1, max_request_mb=1) as servers,
        closing(servers.client()) as client,
    ):
        answer = client.upload(bytes(30_000_000))
    assert answer.status == 413
    assert answer.json["detail"] == "That is 31 MB at once; the limit is 1 MB. Send fewer files."


def test_form_without_script_takes_500_files(client: Client) -> None:
    token = find_token(client.get("/", accept="text/html").body.decode())
    photo = make_jpeg(size=(60, 40))
    files = [FileStorage(BytesIO(photo), filename=f"{number}.jpg") for number in range(501)]
    answer = client.post(
        "/jobs", {"Accept": "text/html"}, csrf_token=token, presets="square", images=files
    )
    assert answer.status == 303
    page = client.get(answer.headers["Location"], accept="text/html").body.decode()
    assert page.count('<li id="image-') == 500
    skipped = Page(page).texts(".skip-why")
    assert skipped == ["A job has at most 500 photos. Start a new one for the rest."]


def large(picture: bytes) -> bytes:
    """Make an image of 100 MB that is taken: decoders ignore what follows its end."""
    return picture + bytes(100_000_000)


@pytest.fixture(scope="module")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that take large files, in one web process."""
    instance = tmp_path_factory.mktemp("live") / "instance"
    with running(instance, max_file_mb=110, web_workers=1) as servers:
        yield servers


@pytest.mark.parametrize(
    "picture",
    [make_jpeg(), make_png(), make_image("RGB", (120, 80), "WEBP")],
    ids=["jpeg", "png", "webp"],
)
def test_upload_of_100_mb_does_not_fill_the_webs_memory(generous: Servers, picture: bytes) -> None:
    with closing(generous.client()) as client:
        client.submit(make_jpeg())
        before = generous.reset_web_peak()
        client.submit(large(picture))
        assert generous.web_peak() - before < 20_000_000


@pytest.mark.parametrize("port", [None, free_port()], ids=["default", "chosen"])
def test_make_run_prints_its_address_and_stops_on_interrupt(
    tmp_path: Path, port: int | None
) -> None:
    host = "127.0.0.2"  # Port 8000 of 127.0.0.1 may be in use.
    settings = {"host": host, "port": port} if port else {"host": host}
    with subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=environment(tmp_path / "instance", **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run, closing(Client(host, port or 8000)) as client:  # fmt: skip
        wait_until(client.is_healthy, 60.0, "a healthy server")
        os.killpg(run.pid, signal.SIGINT)  # As Ctrl-C does.
        output = run.communicate(timeout=20)[0].decode()
        assert f"http://{host}:{port or 8000}" in output
        assert not client.is_healthy()


def test_wrong_setting_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    environ = environment(tmp_path, max_images="many")
    ended = subprocess.run(["make", "run"], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ended.returncode != 0
    said = [line for line in ended.stderr.splitlines() if not line.startswith("make")]
    assert said == ['THUMBNAIL_MAX_IMAGES must be a whole number, not "many".']
