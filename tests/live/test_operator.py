"""What operators see: exact metrics, and logs that can be joined."""

import json
import os
import signal
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.images import make_jpeg, make_truncated
from tests.support.servers import Servers, wait_until

pytestmark = pytest.mark.live

GOOD, TRUNCATED, REFUSED = 20, 6, 4
TOKEN = "long-and-very-secret"


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": 2, "log_format": "json", "metrics_token": TOKEN}


@pytest.fixture(scope="module")
def servers(servers: Servers) -> Servers:
    """Two web processes and two workers that made some images and failed on others."""
    send_images(servers)
    return servers


def send_images(servers: Servers) -> None:
    """Send images over many connections, so that both web processes take some."""
    files = [make_jpeg()] * GOOD + [make_truncated()] * TRUNCATED + [b"no image"] * REFUSED
    taken = []
    for file in files:
        with closing(servers.client()) as client:
            answer = client.upload(file, "a\x1b[31m.jpg")
            if answer.status == 202:
                taken.append(answer.json["job_id"])
    with closing(servers.client()) as client:
        wait_until(lambda: all(map(client.finished, taken)), what="all jobs")


def counts(servers: Servers) -> dict[tuple[str, ...], float]:
    """Read all that does not depend on the moment, on a connection of its own."""
    with closing(servers.client()) as client:
        answer = client.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200
    return {
        (sample.name.removeprefix("thumbnails_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if family.type in ("counter", "histogram")
    }


def lines(servers: Servers) -> list[dict[str, Any]]:
    """Read what all processes logged."""
    return [json.loads(line) for line in servers.output().splitlines()]


def web_processes_asked(servers: Servers) -> set[int]:
    return {line["pid"] for line in lines(servers) if line.get("path") == "/metrics"}


def test_counters_are_exact_whichever_process_answers(servers: Servers) -> None:
    answers = [counts(servers)]

    def both_answered() -> bool:
        answers.append(counts(servers))
        return len(web_processes_asked(servers)) == 2

    wait_until(both_answered, what="answers of both web processes")
    expected = {
        ("uploads_total", "", "accepted"): GOOD + TRUNCATED,
        ("uploads_total", "unsupported_format", "refused"): REFUSED,
        ("images_total", "", "done"): GOOD,
        ("images_total", "truncated", "failed"): TRUNCATED,
        ("wait_seconds_count",): GOOD + TRUNCATED,
        ("work_seconds_count",): GOOD + TRUNCATED,
    }
    assert answers[0] | expected == answers[0]
    assert all(answer == answers[0] for answer in answers)


def test_counters_outlive_the_processes(servers: Servers) -> None:
    before = counts(servers)
    killed = set(servers.children("web") + servers.children("consumer"))
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(servers.children("web")) - killed) == 2, what="new web processes")
    assert counts(servers) == before


def test_every_image_is_followed_from_its_upload_to_its_end(servers: Servers) -> None:
    said = lines(servers)
    uploads = [line for line in said if line["message"] == "image accepted"]
    ends = {
        (line["job_id"], line["image_id"]): line
        for line in said
        if line["message"] in ("image done", "image failed")
    }
    joined = [(upload, ends[upload["job_id"], upload["image_id"]]) for upload in uploads]
    assert Counter(end["message"] for _, end in joined) == {
        "image done": GOOD,
        "image failed": TRUNCATED,
    }
    requests = {line["request_id"] for line in said if line["message"] == "request"}
    for upload, end in joined:
        assert (upload["process"], end["process"]) == ("web", "consumer")
        assert upload["request_id"] in requests


def test_gunicorn_and_huey_log_in_our_format(servers: Servers) -> None:
    worker = wait_until(lambda: servers.children("consumer"), what="a worker")[0]
    os.kill(worker, signal.SIGKILL)  # Huey says that it makes another.

    def speakers() -> set[tuple[str, str]]:
        return {(line["process"], line["logger"].partition(".")[0]) for line in lines(servers)}

    wait_until(lambda: ("consumer", "huey") in speakers(), what="a line of Huey's")
    assert ("web", "gunicorn") in speakers()


def test_hostile_file_name_reaches_no_terminal(servers: Servers) -> None:
    assert "\x1b" not in servers.output()
