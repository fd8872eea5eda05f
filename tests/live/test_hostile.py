"""Hostile files over HTTP, while another client uploads photos.

One siege, and a test for each thing that must hold in it.
"""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import pytest

from tests.support.hostile import SENT, hostile_files
from tests.support.images import make_jpeg
from tests.support.pages import Page
from tests.support.people import find_token, part
from tests.support.servers import Client, Servers, decode_children_of, running, wait_for_end
from webapp.config import MB, Config

pytestmark = pytest.mark.live

WORKERS, SENDERS = 3, 2  # With all workers on hostile files, a clean one waits for one of them.
SECONDS = Config.decode_seconds + 5  # Until each has its answer: it may wait for another.


@dataclass
class Siege:
    """The outcome of it all."""

    files: dict[str, bytes] = field(repr=False)
    statuses: dict[str, int] = field(default_factory=dict)  # Of the uploads.
    sentences: dict[str, str] = field(default_factory=dict)  # Of those that were refused.
    seconds: dict[str, float] = field(default_factory=dict)  # From sending to the end of its job.
    clean_seconds: list[float] = field(default_factory=list)  # The same, of clean images.
    clean_failures: list[str] = field(default_factory=list)
    decoder_peak: int = 0  # Bytes of address space, the largest of all decoding processes seen.
    web_peak: int = 0  # Bytes resident, that all web processes together gained.
    consumer_before: list[int] = field(default_factory=list)  # Process ids.
    consumer_after: list[int] = field(default_factory=list)
    web_before: list[int] = field(default_factory=list)
    web_after: list[int] = field(default_factory=list)
    # State and error code of each image that was taken.
    outcomes: list[tuple[str, str | None]] = field(default_factory=list, repr=False)
    output: str = field(default="", repr=False)


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    siege = Siege({name: file for name, file in hostile_files().items() if name in SENT})
    assert siege.files.keys() == SENT
    with running(tmp_path_factory.mktemp("siege") / "instance", workers=WORKERS) as servers:
        before = servers.reset_web_peak()
        siege.consumer_before = servers.children("consumer")
        siege.web_before = servers.children("web")
        over = threading.Event()
        with ThreadPoolExecutor() as others:
            watching = others.submit(watch_decoders, servers, siege, over)
            cleaning = others.submit(send_clean, servers, siege, over)
            try:
                send_all(servers, siege)
            finally:
                over.set()
            cleaning.result()
            watching.result()
        siege.consumer_after = servers.children("consumer")
        siege.web_after = servers.children("web")
        siege.web_peak = servers.web_peak() - before
        siege.output = servers.output()
        siege.outcomes = servers.rows("SELECT status, error_code FROM images")
        yield siege


def send_all(servers: Servers, siege: Siege) -> None:
    """Send every file, in a random order that is always the same."""
    names = sorted(siege.files)
    random.Random(4).shuffle(names)
    with ThreadPoolExecutor(SENDERS) as senders:
        shares = [names[start::SENDERS] for start in range(SENDERS)]
        for sent in [senders.submit(send_share, servers, siege, share) for share in shares]:
            sent.result()


def send_share(servers: Servers, siege: Siege, names: list[str]) -> None:
    """Send files one after another, each when the one before has its answer."""
    with closing(servers.client()) as client:
        for number, name in enumerate(names):
            send = send_form if name.startswith("moving") or number % 4 == 0 else send_image
            started = time.monotonic()
            job_id = send(client, siege, name)
            if job_id:
                wait_for_end(servers, job_id, 2 * SECONDS)
            siege.seconds[name] = time.monotonic() - started


def send_image(client: Client, siege: Siege, name: str) -> str | None:
    """Send a file as a program does; return the id of its job if there is one."""
    answer = client.upload(siege.files[name], name)
    siege.statuses[name] = answer.status
    if answer.status == 202:
        return str(answer.json["job_id"])
    siege.sentences[name] = answer.json["detail"]
    return None


def send_form(client: Client, siege: Siege, name: str) -> str | None:
    """Send a file as the page without script does, and ask for its movement."""
    token = find_token(client.get("/", accept="text/html").body.decode())
    asked = {"width": "64", "height": "64", "format": "webp", "animated": "y"}
    output = {f"outputs-0-{name}": value for name, value in asked.items()}
    image = part(siege.files[name], name)
    fields = {"csrf_token": token, "presets": "square", **output, "images": image}
    answer = client.post("/jobs", {"Accept": "text/html"}, **fields)
    siege.statuses[name] = answer.status
    if answer.status == 303:
        return answer.headers["Location"].rpartition("/")[2]
    siege.sentences[name] = Page(answer.body.decode()).texts("#skipped .why")[0]
    return None


def send_clean(servers: Servers, siege: Siege, over: threading.Event) -> None:
    """Send photos, one after another, as another client does."""
    photo = make_jpeg((1600, 1200))
    with closing(servers.client()) as client:
        while not over.wait(1):
            started = time.monotonic()
            job_id = client.submit(photo)
            wait_for_end(servers, job_id, 60)
            siege.clean_seconds.append(time.monotonic() - started)
            answer = client.get(f"/check_job_status/{job_id}")
            if answer.status != 303:
                siege.clean_failures.append(answer.body.decode())


def watch_decoders(servers: Servers, siege: Siege, over: threading.Event) -> None:
    """Record the largest memory of all processes that decode."""
    while not over.wait(0.1):
        for worker in servers.children("consumer"):
            for child in decode_children_of(worker):
                try:
                    status = Path(f"/proc/{child}/status").read_text()
                    peak = int(status.split("VmPeak:")[1].split()[0]) * 1024
                except (FileNotFoundError, ProcessLookupError, IndexError):
                    continue  # It ended in between.
                siege.decoder_peak = max(siege.decoder_peak, peak)


def test_each_hostile_file_is_answered_in_time(siege: Siege) -> None:
    assert siege.seconds.keys() == siege.files.keys()
    assert {n: s for n, s in siege.seconds.items() if s > SECONDS} == {}


def test_each_hostile_file_is_accepted_or_refused_with_a_reason(siege: Siege) -> None:
    assert set(siege.statuses.values()) == {202, 303, 413, 415}
    refused = {name for name, status in siege.statuses.items() if status >= 400}
    assert siege.sentences.keys() == refused
    assert {n: s for n, s in siege.sentences.items() if not s.endswith(".")} == {}


def test_each_accepted_file_is_done_or_failed_for_a_reason(siege: Siege) -> None:
    assert {state for state, _ in siege.outcomes} == {"done", "failed"}
    assert {code for state, code in siege.outcomes if state == "failed"} <= {
        "byte_budget",
        "corrupt",
        "out_of_memory",
        "timed_out",
        "too_many_frames",
        "truncated",
    }


def test_no_process_dies_of_hostile_files(siege: Siege) -> None:
    assert siege.consumer_after == siege.consumer_before
    assert siege.web_after == siege.web_before


def test_no_error_is_unexpected(siege: Siege) -> None:
    assert "Traceback" not in siege.output
    assert "internal_error" not in siege.output


def test_no_decoder_exceeds_its_memory(siege: Siege) -> None:
    limit = Config.decode_memory_mb * MB
    assert limit / 2 < siege.decoder_peak <= limit  # Some try, or the test shows nothing.


def test_web_server_needs_little_memory_for_hostile_files(siege: Siege) -> None:
    assert siege.web_peak < 200_000_000  # One icon took 1.6 GB; what is received takes none.


def test_images_of_other_clients_are_processed_meanwhile(siege: Siege) -> None:
    assert siege.clean_failures == []
    assert quantiles(siege.clean_seconds, n=20)[-1] < 2.0
