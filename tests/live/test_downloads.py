"""Zips from the real server: any size in little memory, and never truncated."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path

import pytest

from tests.support.images import make_jpeg
from tests.support.people import find_token, multipart, part
from tests.support.servers import Client, Servers, wait_until
from webapp.config import MB

pytestmark = pytest.mark.live


@pytest.fixture
def large_job(servers: Servers, client: Client) -> Path:
    """Make a job of two images with thumbnails of 500 MB each; return their folder."""
    token = find_token(client.get("/", accept="text/html").body.decode())
    images = [part(make_jpeg(), f"{number}.jpg") for number in (1, 2)]
    form = multipart(csrf_token=token, presets="square", images=images)
    headers = {"Content-Type": form["content_type"], "Accept": "text/html"}
    path = client.request("POST", "/jobs", form["data"], headers).headers["Location"]
    folder = servers.instance / "thumbnails" / path.rpartition("/")[2]
    wait_until(lambda: b"2 of 2 done" in client.get(path, accept="text/html").body)
    for file in folder.glob("*/*.jpg"):
        os.truncate(file, 500 * MB)  # It has a hole, and needs no disk.
    return folder


@contextmanager
def downloading(servers: Servers, folder: Path) -> Iterator[HTTPResponse]:
    """Begin to read the zip of a job."""
    with closing(HTTPConnection("127.0.0.1", servers.port, timeout=30)) as connection:
        connection.request("GET", f"/jobs/{folder.name}/zip")
        with connection.getresponse() as response:
            yield response


def test_gigabyte_is_sent_in_little_memory(servers: Servers, large_job: Path) -> None:
    before = servers.reset_web_peak()
    with downloading(servers, large_job) as response:
        length = int(response.headers["Content-Length"])
        received = 0
        while chunk := response.read(MB):
            received += len(chunk)
    assert received == length > 1000 * MB
    assert servers.web_peak() - before < 10 * MB


def test_head_is_answered_without_a_body(client: Client, large_job: Path) -> None:
    answer = client.request("HEAD", f"/jobs/{large_job.name}/zip")
    assert (answer.status, answer.body) == (200, b"")
    assert not {"Content-Length", "Transfer-Encoding"} & set(answer.headers)
    assert client.get("/healthcheck").status == 200  # On the same connection.


def test_zip_of_a_job_that_is_deleted_meanwhile_breaks_off(
    servers: Servers, large_job: Path
) -> None:
    with downloading(servers, large_job) as response:
        response.read(MB)
        shutil.rmtree(large_job)
        with pytest.raises(IncompleteRead):
            response.read()
