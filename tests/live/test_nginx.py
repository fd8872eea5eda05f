"""The real nginx, with the configuration we ship, before the real gunicorn."""

import gzip
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from werkzeug.exceptions import RequestEntityTooLarge

from tests.images import make_jpeg
from tests.servers import (
    ROOT,
    UPLOAD_BEGINNING,
    Answer,
    Client,
    Servers,
    free_port,
    running,
    wait_until,
)
from webapp.errors import problem

pytestmark = pytest.mark.live

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("nginx")
    with running(folder / "instance", trusted_proxies=1, web_workers=1, web_threads=2) as servers:
        yield servers


@pytest.fixture(scope="module")
def nginx(servers: Servers) -> Iterator[Client]:
    with running_nginx(servers) as client:
        yield client


@contextmanager
def running_nginx(servers: Servers) -> Iterator[Client]:
    """Run nginx; give a client that talks to it."""
    assert NGINX, "This test needs nginx. On Debian: apt-get install nginx"
    port, folder = free_port(), servers.instance.parent
    (folder / "nginx.conf").write_text(configuration(servers, port))
    log = (folder / "nginx.log").open("w")
    with subprocess.Popen([NGINX, "-p", folder, "-c", "nginx.conf"], stderr=log) as process:
        try:
            wait_until(lambda: is_open(port), what="an open port")
            with closing(Client("127.0.0.1", port)) as client:
                yield client
        finally:
            process.terminate()
            log.close()
            print((folder / "nginx.log").read_text())


def configuration(servers: Servers, port: int) -> str:
    """Put the shipped server into a whole configuration, with this test's names and paths."""
    shipped = (ROOT / "deploy/nginx/thumbnails.conf").read_text()
    for there, here in (
        ("127.0.0.1:8000", f"127.0.0.1:{servers.port}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("/srv/thumbnails/instance", str(servers.instance)),
        ("/srv/thumbnails", str(servers.instance.parent)),
    ):
        assert there in shipped
        shipped = shipped.replace(there, here)
    return (
        "daemon off; pid nginx.pid; error_log stderr; user root;"
        "events {} http { access_log off; gzip on;"
        " proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;"
        f"{shipped} }}"
    )


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_thumbnail(client: Client) -> str:
    """Go the whole way through nginx; give the thumbnail's address."""
    job_id = client.submit(make_jpeg(size=(300, 200)))
    client.wait_for(job_id)
    page = client.get(f"/jobs/{job_id}", accept="text/html").body.decode()
    return page.split('href="/thumbnails/')[1].split('"')[0]


def test_whole_way_works_through_nginx(nginx: Client) -> None:
    answer = nginx.get(f"/thumbnails/{make_thumbnail(nginx)}")
    assert Image.open(BytesIO(answer.body)).size == (100, 100)


def test_page_is_compressed_once_by_the_application_alone(nginx: Client) -> None:
    path = f"/jobs/{nginx.submit(make_jpeg())}"
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
    answer = nginx.request("GET", path, headers=headers)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body).startswith(b"<!DOCTYPE html>")
    assert "Content-Encoding" not in nginx.request("GET", "/jobs", headers=headers).headers


def test_thumbnail_comes_from_nginx_with_the_headers_of_flask(
    nginx: Client, servers: Servers
) -> None:
    path = f"/thumbnails/{make_thumbnail(nginx)}"
    with closing(servers.client()) as client:
        direct = client.get(path)
    through = nginx.get(path)
    assert direct.headers["Server"] == "gunicorn"
    assert through.headers["Server"].startswith("nginx")
    for name in (
        "Content-Type",
        "Content-Length",
        "Cache-Control",
        "Content-Security-Policy",
        "X-Content-Type-Options",
        "Referrer-Policy",
    ):
        assert through.headers[name] == direct.headers[name]
    assert through.body == direct.body


@pytest.fixture(scope="module")
def names(nginx: Client, servers: Servers) -> dict[str, str]:
    """Put things that are not to be served beside a thumbnail; give what is there."""
    folder, _, file = make_thumbnail(nginx).rpartition("/")
    place = servers.instance / "thumbnails" / folder
    (place / "evil.html").write_text("<script>")
    (place / "link.jpg").symlink_to(servers.instance / "secret_key")
    linked = f"{folder}9"  # Another attempt's, by its name.
    place.with_name(place.name + "9").symlink_to(place)
    return {"folder": folder, "file": file, "upper": file.upper(), "linked": linked}


@pytest.mark.parametrize(
    "path",
    ["none.jpg", "../jobs.db", "..%2fjobs.db", "", "%2e%2e/jobs.db", "jobs.db",
     "%252e%252e/jobs.db",
     "{folder}/none.jpg", "{folder}/", "{folder}", "{folder}/..%2f..%2f..%2fjobs.db",
     "{folder}/../../../secret_key", "{folder}/{file}%00", "{folder}/{file}/", "{folder}/evil.html",
     "{folder}/%c0%ae%c0%ae/{file}", "{folder}/..%5c{file}", "{folder}/{upper}",
     "{folder}/link.jpg", "{linked}/{file}"],
)  # fmt: skip
def test_nothing_else_is_served(nginx: Client, names: dict[str, str], path: str) -> None:
    answer = nginx.get(f"/thumbnails/{path.format(**names)}")
    assert answer.status in (400, 404)
    assert not answer.headers["Content-Type"].startswith("image/")
    assert b"<script" not in answer.body


def test_missing_thumbnail_says_so_with_the_headers(nginx: Client) -> None:
    folder = make_thumbnail(nginx).rpartition("/")[0]
    answer = nginx.get(f"/thumbnails/{folder}/none.jpg", accept="image/avif,text/html")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"Nothing here" in answer.body
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_hundred_slow_clients_change_nothing_for_others(nginx: Client) -> None:
    before = max(seconds_of_an_upload(nginx) for _ in range(10))
    with ExitStack() as stack:
        for number in range(100):  # Fifty times the web server's threads.
            half = stack.enter_context(socket.create_connection(("127.0.0.1", nginx.port)))
            half.sendall(UPLOAD_BEGINNING if number % 2 else UPLOAD_BEGINNING[:60])
        during = max(seconds_of_an_upload(nginx) for _ in range(10))
    assert during < before + 0.5


def seconds_of_an_upload(client: Client) -> float:
    start = time.monotonic()
    client.submit(make_jpeg())
    return time.monotonic() - start


def refuse_too_much(nginx: Client, accept: str) -> Answer:
    """Announce more than nginx takes; give its whole answer, after which it waits for the rest."""
    with closing(HTTPConnection("127.0.0.1", nginx.port, timeout=30)) as connection:
        connection.putrequest("POST", "/jobs")
        for name, value in (("Accept", accept), ("Content-Length", "600000000")):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())


def test_request_over_the_limit_is_refused_by_nginx_in_our_words(nginx: Client) -> None:
    ours = problem(RequestEntityTooLarge())
    answer = refuse_too_much(nginx, "text/html")
    assert answer.status == 413
    for words in (f"<h1>{ours.title}</h1>", ours.detail, "<span>413</span>", ours.code):
        assert words in answer.body.decode()
    answer = refuse_too_much(nginx, "*/*")
    assert answer.status == 413
    assert answer.json == {"code": ours.code, "detail": ours.detail, "field": None}


@pytest.fixture
def nginx_of_its_own(tmp_path: Path) -> Iterator[Client]:
    """Run another one: for some seconds its client may send nothing."""
    with (
        running(tmp_path / "instance", trusted_proxies=1) as servers,
        running_nginx(servers) as client,
    ):
        yield client


def test_requests_that_come_too_fast_are_told_when_to_come_again(nginx_of_its_own: Client) -> None:
    answers = (nginx_of_its_own.request("POST", "/upload_image") for _ in range(5000))
    answer = next(answer for answer in answers if answer.status == 429)
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["code"] == "too_many_requests"


def test_server_that_is_not_there_is_told_of_in_a_page(tmp_path: Path) -> None:
    with running_nginx(Servers(tmp_path / "instance")) as client:
        answer = client.get("/", accept="text/html")
        assert (answer.status, answer.headers["Retry-After"]) == (502, "5")
        assert b"<h1>Not there at the moment</h1>" in answer.body
        assert b">Try again</a>" in answer.body
        assert client.get("/", accept="application/json").json["code"] == "bad_gateway"
