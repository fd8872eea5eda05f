"""The real nginx, with the configuration we ship, before the real gunicorn."""

import gzip
import os
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
    RequestURITooLarge,
)

from tests.support.images import make_jpeg
from tests.support.nginx import (
    CLIENT,
    PREFIX,
    SHIPPED,
    ClientUnderPath,
    running_nginx,
    running_site,
    without_alias,
)
from tests.support.people import find_token
from tests.support.servers import (
    UPLOAD_BEGINNING,
    Answer,
    Client,
    Servers,
    children_of,
    free_port,
    running,
    wait_until,
)
from webapp.config import MB, ROOT, Config
from webapp.jobs.errors import FileTooLarge
from webapp.web.errors import problem
from webapp.web.views.responses import PICTURE_HEADERS

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {
        "trusted_proxies": 1,
        "web_workers": 1,
        "web_threads": 2,
        "user_header": "Remote-User",
    }


@pytest.fixture(scope="module")
def nginx(servers: Servers) -> Iterator[Client]:
    with running_nginx(servers) as client:
        yield client


def make_thumbnail(client: Client) -> str:
    """Make a thumbnail through nginx; return its address."""
    job_id = client.submit(make_jpeg(size=(300, 200)))
    client.wait_for(job_id)
    page = client.get(f"/jobs/{job_id}", accept="text/html").body.decode()
    found = re.search(r'href="[^"]*/thumbnails/([^"]+)"', page)
    assert found
    return found[1]


def prefix_of(client: Client) -> str:
    """Return the path that the application is under for a client."""
    return PREFIX if isinstance(client, ClientUnderPath) else ""


@pytest.fixture(scope="module")
def checking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Servers, Client]]:
    """Run a site with ours under a path, and an application that checks each file."""
    instance = tmp_path_factory.mktemp("path") / "instance"
    settings = {"trusted_proxies": 1, "trusted_prefix": 1, "accel_prefix": "/accel", "hsts_days": 1}
    with (
        running(instance, **settings, web_workers=1, web_threads=2) as servers,
        running_site(servers, without_alias) as client,
    ):
        yield servers, client


@pytest.fixture(scope="module")
def below(checking: tuple[Servers, Client]) -> Client:
    return checking[1]


@pytest.fixture(scope="module")
def servers_below(checking: tuple[Servers, Client]) -> Servers:
    return checking[0]


@pytest.fixture(params=["nginx", "below"])
def either(request: pytest.FixtureRequest) -> Client:
    """Return a client of a host of its own, with an alias, or of a path, without."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_job_is_made_through_nginx(either: Client) -> None:
    answer = either.get(f"/thumbnails/{make_thumbnail(either)}")
    assert Image.open(BytesIO(answer.body)).size == (100, 100)


def test_page_is_compressed_once_by_the_application_alone(nginx: Client) -> None:
    path = f"/jobs/{nginx.submit(make_jpeg())}"
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
    answer = nginx.request("GET", path, headers=headers)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body).startswith(b"<!DOCTYPE html>")
    assert "Content-Encoding" not in nginx.request("GET", "/jobs", headers=headers).headers


def test_client_cannot_name_itself_as_a_user(nginx: Client) -> None:
    for name in ("Remote-User", "remote_user", "Remote_User"):
        headers = {"Accept": "text/html", name: "alice"}
        assert b"Signed in as" not in nginx.request("GET", "/docs", headers=headers).body


def test_sign_in_of_the_documents_names_the_user(servers: Servers) -> None:
    document = (ROOT / "docs/access.md").read_text()
    (example,) = re.findall(r"```nginx\n(.*?)```", document, re.DOTALL)
    port = free_port()
    location, check = re.findall(r"location .*? \{\n(.*?)\n\}", example, re.DOTALL)
    check = check.replace("127.0.0.1:9091", f"127.0.0.1:{port}")
    auth = f"server {{ listen 127.0.0.1:{port}; add_header Remote-User alice; return 200; }}"

    def sign_in(shipped: str) -> str:
        assert 'proxy_set_header Remote-User "";' in shipped
        edited = shipped.replace('proxy_set_header Remote-User "";', location)
        check_at = f"location = /sign-in-check {{ {check} }} location / {{"
        return auth + edited.replace("location / {", check_at, 1)

    with running_nginx(servers, sign_in) as client:
        headers = {"Accept": "text/html", "Remote-User": "mallory"}
        page = client.request("GET", "/docs", headers=headers).body
        assert b"Signed in as </span><bdi>alice</bdi>" in page
        job_id = client.submit(make_jpeg())
        with closing(servers.client()) as direct:
            listed = direct.request("GET", "/jobs", headers={"Remote-User": "alice"}).body
            # Not every proxy drops such names, of which gunicorn would make the same variable.
            headers = {"Accept": "text/html", "Remote_User": "mallory"}
            assert b"Signed in as" not in direct.request("GET", "/docs", headers=headers).body
        assert job_id.encode() in listed


def test_nginx_serves_thumbnails_with_the_headers_of_flask(nginx: Client, servers: Servers) -> None:
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
    for answer in (direct, through):  # It would overrule the name that a link gives a saved file.
        assert "Content-Disposition" not in answer.headers
    assert through.body == direct.body


def test_nginx_serves_no_thumbnail_of_a_deleted_job(nginx: Client) -> None:
    thumbnail = f"/thumbnails/{make_thumbnail(nginx)}"
    job = f"/jobs/{thumbnail.split('/')[2]}"
    token = find_token(nginx.get(job, accept="text/html").body.decode())
    headers = {"Accept": "text/html"}
    assert nginx.get(thumbnail).status == 200
    assert nginx.post(f"{job}/delete", headers, csrf_token=token).status == 303
    assert nginx.get(thumbnail).status == 404
    assert nginx.post(f"{job}/restore", headers, csrf_token=token).status == 303
    assert nginx.get(thumbnail).status == 200


@pytest.fixture(scope="module")
def names(nginx: Client, servers: Servers) -> dict[str, str]:
    """Put files that must not be served beside a thumbnail; return the names."""
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


def test_missing_thumbnail_gets_an_error_page_with_the_headers(nginx: Client) -> None:
    folder = make_thumbnail(nginx).rpartition("/")[0]
    answer = nginx.get(f"/thumbnails/{folder}/none.jpg", accept="image/avif,text/html")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"Not found" in answer.body
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_thumbnails_that_are_gone_do_not_fill_the_log_of_errors(
    nginx: Client, servers: Servers
) -> None:
    path = f"{uuid4()}/{uuid4()}-0/square.jpg"
    assert nginx.get(f"/thumbnails/{path}").status == 404
    assert path not in (servers.instance.parent / "nginx.log").read_text()


def test_hundred_slow_clients_change_nothing_for_others(either: Client) -> None:
    before = max(seconds_of_an_upload(either) for _ in range(10))
    with ExitStack() as stack:
        for number in range(100):  # Fifty times the web server's threads.
            half = stack.enter_context(socket.create_connection(("127.0.0.1", either.port)))
            beginning = UPLOAD_BEGINNING.replace(
                b"Host: x", b"Host: x\r\n%b: 10.0.0.%d" % (CLIENT.encode(), number)
            ).replace(b"/upload_image", f"{prefix_of(either)}/upload_image".encode())
            half.sendall(beginning if number % 2 else beginning[:60])
        during = max(seconds_of_an_upload(either) for _ in range(10))
    assert during < before + 0.5


def seconds_of_an_upload(client: Client) -> float:
    start = time.monotonic()
    client.submit(make_jpeg())
    return time.monotonic() - start


def announce(
    nginx: Client, path: str, length: int, accept: str = "*/*", method: str = "POST"
) -> Answer:
    """Announce a body; give nginx's whole answer, after which it waits for the body."""
    with closing(HTTPConnection("127.0.0.1", nginx.port, timeout=30)) as connection:
        connection.putrequest(method, path)
        for name, value in (("Accept", accept), ("Content-Length", str(length))):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())


def test_nginx_refuses_a_large_request_with_our_error_page(nginx: Client) -> None:
    ours = problem(RequestEntityTooLarge())
    answer = announce(nginx, "/", 600_000_000, "text/html")
    assert answer.status == 413
    for words in (f"<h1>{ours.title}</h1>", ours.detail, "<span>413</span>", ours.code):
        assert words in answer.body.decode()
    answer = announce(nginx, "/jobs", 600_000_000)
    assert answer.status == 413
    assert answer.json == {"code": ours.code, "detail": ours.detail, "field": None}


@pytest.mark.parametrize(
    "path", ["/jobs/{}/remake", "/jobs/open", "/sign-in", "/nowhere", "/api/v1/jobs/{}/close"]
)
def test_only_images_may_be_larger_than_a_megabyte(nginx: Client, path: str) -> None:
    answer = announce(nginx, path.format(uuid4()), 1_100_000)
    assert (answer.status, answer.json["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jobs/{}/images"),
        ("PUT", "/api/v1/jobs/{}/images?position=1"),
        ("PUT", "/api/v1/jobs/{0}/images/{0}"),
    ],
)
def test_file_over_the_limit_is_refused_before_it_is_sent(
    nginx: Client, method: str, path: str
) -> None:
    answer = announce(nginx, path.format(uuid4()), 52_000_000, method=method)
    assert answer.status == 413
    assert answer.json["code"] == FileTooLarge.code
    assert answer.json["detail"] == "This file is too large. Export it smaller."


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_client_of_thumbnail_api_that_nginx_refuses_gets_the_detail_alone(
    nginx: Client, accept: str
) -> None:
    answer = announce(nginx, "/upload_image", 52_000_000, accept)
    assert (answer.status, answer.headers["Content-Type"]) == (413, "application/json")
    assert answer.json == {"detail": "This file is too large. Export it smaller."}


def test_file_of_the_largest_size_reaches_the_application(nginx: Client) -> None:
    body = bytes(Config().max_file_mb * MB + 1000)  # The form adds less than that.
    assert nginx.request("POST", "/upload_image", body).status == 422


def test_new_job_of_the_api_may_be_as_large_as_a_form(nginx: Client) -> None:
    body = bytes(Config().max_file_mb * MB + 4_000_000)  # More than nginx lets one file have.
    answer = nginx.request("POST", "/api/v1/jobs?preset=square", body)
    assert (answer.status, answer.json["code"]) == (413, FileTooLarge.code)  # The application's.
    answer = announce(nginx, "/api/v1/jobs?preset=square", 600_000_000)
    assert (answer.status, answer.json["code"]) == (413, "request_too_large")


def test_program_that_nginx_refuses_gets_problem_details(nginx: Client) -> None:
    ours = problem(RequestEntityTooLarge())
    answer = announce(nginx, "/api/v1/jobs", 600_000_000, "text/html")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {key: value for key, value in answer.json.items() if key != "instance"} == {
        "type": f"/docs#{ours.code}",
        "title": ours.title,
        "status": 413,
        "detail": ours.detail,
        "code": ours.code,
    }


def test_program_uploads_a_large_photo_and_waits_through_nginx(nginx: Client) -> None:
    head = {"Content-Type": "application/json"}
    opened = nginx.request("POST", "/api/v1/jobs", b'{"presets": ["square"]}', head).json
    job = f"/api/v1/jobs/{opened['id']}"
    photo = make_jpeg(size=(300, 200)) + bytes(5_000_000)  # Cameras append previews, too.
    added = nginx.request("PUT", f"{job}/images?filename=a.jpg&position=0", photo)
    assert (added.status, added.json["bytes"]) == (201, len(photo))
    begun = time.monotonic()
    assert not nginx.request("GET", f"{job}?wait=1").json["is_finished"]  # It is still open.
    assert time.monotonic() - begun > 0.9
    nginx.request("POST", f"{job}/close")
    done = nginx.request("GET", job, headers={"Prefer": "wait=20"})
    assert done.headers["Preference-Applied"] == "wait=20"
    assert done.json["status"] == "done"
    answer = nginx.request("GET", f"{job}/thumbnails.zip")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert nginx.request("DELETE", job).status == 204


def raw(nginx: Client, head: bytes) -> str:
    """Send what no client sends; give the answer."""
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as connection:
        connection.sendall(head)
        return connection.makefile("rb").read().decode()


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nAccept: text/html\r\nContent-Length: x\r\n\r\n", 400, "bad_request"),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 9000), 414, "request_uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n" % (b"a" * 9000), 431,
         "request_header_fields_too_large"),
        (b"GET /form HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "not_found"),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "method_not_allowed"),
    ],
)  # fmt: skip
def test_nginx_refuses_bad_requests_with_our_error_page(
    nginx: Client, head: bytes, status: int, code: str
) -> None:
    beginning, _, body = raw(nginx, head).partition("\r\n\r\n")
    assert beginning.split()[1] == str(status)
    assert code in body
    assert "X-Content-Type-Options: nosniff" in beginning
    assert "Server: nginx\r\n" in beginning


@pytest.mark.parametrize(
    "error",
    [
        BadRequest(),
        NotFound(),
        MethodNotAllowed(),
        RequestURITooLarge(),
        RequestHeaderFieldsTooLarge(),
    ],
)
def test_error_pages_of_nginx_match_the_application(error: HTTPException) -> None:
    ours = problem(error)
    for words in (ours.code, f'"{ours.title}"', f'"{ours.detail}"'):
        assert re.search(rf"^    {ours.status} +{re.escape(words)};$", SHIPPED, re.MULTILINE)


@pytest.fixture
def nginx_of_its_own(servers: Servers) -> Iterator[Client]:
    """Run another one: for some seconds its client may send nothing."""
    with running_nginx(servers) as client:
        yield client


def test_requests_over_the_rate_limit_get_a_retry_after(nginx_of_its_own: Client) -> None:
    answers = (nginx_of_its_own.request("POST", "/upload_image") for _ in range(5000))
    answer = next(answer for answer in answers if answer.status == 429)
    assert answer.headers["Retry-After"] == "1"
    assert answer.json == {"detail": "Too many requests at once. Wait a second."}


@pytest.mark.parametrize(
    ("path", "net"), [("/jobs/{}/zip", 1), ("/api/v1/jobs/{}/thumbnails.zip", 2)]
)
def test_costly_reads_are_limited_by_client(nginx: Client, path: str, net: int) -> None:
    def ask(client: str) -> int:
        return nginx.request("GET", path.format(uuid4()), headers={CLIENT: client}).status

    neighbours = [ask(f"2001:db8:{net}:1::{number}") for number in range(20)]
    assert set(neighbours) == {404, 429}  # They are one client, with a network of its own.
    assert ask(f"2001:db8:{net}:2::1") == 404
    mapped = [ask(f"::ffff:10.0.{net}.1") for _ in range(20)]
    assert mapped[-1] == 429
    assert ask(f"10.0.{net}.1") == 429
    assert ask(f"::ffff:10.0.{net}.2") == 404


def test_page_explains_that_the_server_is_unavailable(tmp_path: Path) -> None:
    with running_nginx(Servers(tmp_path / "instance")) as client:
        answer = client.get("/", accept="text/html")
        assert (answer.status, answer.headers["Retry-After"]) == (502, "5")
        assert b"<h1>Service unavailable</h1>" in answer.body
        assert b">Try again</a>" in answer.body
        assert client.get("/", accept="application/json").json["code"] == "bad_gateway"


# What one client can take for itself


def limits() -> dict[str, int]:
    """Return the requests of each kind that a client may have in progress."""
    return {zone: int(count) for zone, count in re.findall(r"limit_conn (\w+) (\d+);", SHIPPED)}


def megabytes(directive: str) -> list[int]:
    """Return the sizes that the shipped file sets by a directive, in bytes."""
    return [int(size) << 20 for size in re.findall(rf"{directive} (\d+)m;", SHIPPED)]


def longest_bodies() -> dict[str, int]:
    """Return the bytes of the longest body of each kind."""
    patterns = re.findall(r'"~(\^\[A-Z\].*)" +(\w+);', SHIPPED)
    longest = {
        kind: max(n for n in range(999_999, 10**9, 10**6) if re.match(pattern, f"POST  {n}"))
        for pattern, kind in patterns
    }
    return {**longest, "form": max(megabytes("client_max_body_size"))}


def largest_share() -> int:
    """Add up what one client may have nginx store at a time, in bytes."""
    most, longest = limits(), longest_bodies()
    rest = most["clients"] - most["forms"] - most["files"] - most["photos"]
    return (
        most["forms"] * longest["form"]
        + most["files"] * longest["file"]
        + most["photos"] * longest["photo"]
        + rest * longest["small"]
        + most["clients"] * max(megabytes("proxy_max_temp_file_size"))
    )


def test_limits_of_one_client_sum_to_less_than_a_gigabyte() -> None:
    assert largest_share() < 10**9


def test_two_clients_that_read_slowly_leave_zips_for_others() -> None:
    assert 2 * limits()["downloads"] < limits()["zips"]


def shrink(shipped: str) -> str:
    """Divide each size by ten, to write less, and extend each timeout."""
    sizes = re.sub(r"(\d+)m;", lambda found: f"{(int(found[1]) << 20) // 10};", shipped)
    lengths = re.sub(
        r"\[0-9\]\{(1,)?(\d)\}",
        lambda found: f"[0-9]{{{found[1] or ''}{int(found[2]) - 1}}}",
        sizes,
    )
    return lengths.replace("client_body_timeout 10s", "client_body_timeout 100s")


class Greedy:
    """A client that takes as much as nginx lets it, and goes on with none of it."""

    def __init__(self, client: Client, stack: ExitStack) -> None:
        self.client, self.stack = client, stack
        self.sent = 0
        self.held: Counter[str] = Counter()

    def send_bodies(self, path: str, length: int) -> None:
        """Send bodies of a length but for their last byte, until one is refused."""
        head = f"POST {path} HTTP/1.1\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n"
        while connection := self._begin(head, path, b"HTTP/1.1 100"):
            connection.sendall(bytes(length - 1))
            self.sent += length - 1
            assert self.sent < 10**8, "That is a gigabyte, in tenths."

    def send_chunks(self, path: str) -> None:
        """Send bodies of an untold length, as long as may be, until one is refused."""
        length = max(megabytes("client_max_body_size")) // 10
        head = f"POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        while connection := self._begin(head, path, b"HTTP/1.1 100"):
            connection.sendall(b"%x\r\n" % length + bytes(length - 1))
            self.sent += length - 1
            assert self.sent < 10**8, "That is a gigabyte, in tenths."

    def ask_for(self, path: str, at_most: int) -> None:
        """Request responses and read nothing of them, until one is refused."""
        while self.held[path] < at_most:
            if not self._begin(f"GET {path} HTTP/1.1\r\n", path, b"HTTP/1.1 200"):
                break

    def _begin(self, head: str, path: str, accepted: bytes) -> socket.socket | None:
        """Begin a request on a kept connection; return it if nginx accepts the request."""
        connection = self.stack.enter_context(socket.socket())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", self.client.port))
        cookie = self.client.cookies["session"]
        connection.sendall(f"{head}Host: x\r\nCookie: session={cookie}\r\n\r\n".encode())
        if connection.recv(len(accepted)) == accepted:
            self.held[path] += 1
            return connection
        connection.close()
        return None


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Servers, Client]]:
    """Run an nginx whose sizes are a tenth of the shipped ones."""
    instance = tmp_path_factory.mktemp("crowded") / "instance"
    with running(instance, trusted_proxies=1) as servers, running_nginx(servers, shrink) as client:
        yield servers, client


@pytest.fixture(scope="module")
def greedy(crowded: tuple[Servers, Client]) -> Iterator[Greedy]:
    """Return a client that holds all that it can get."""
    servers, client = crowded
    job_id = client.submit(make_jpeg())
    client.wait_for(job_id)
    [image_id] = servers.rows("SELECT id FROM images WHERE job_id = ?", job_id)[0]
    for file in servers.instance.glob(f"*/{job_id}/**/*"):
        if file.is_file():
            os.truncate(file, 500 << 20)  # It has a hole, and needs no disk.
    job = f"/jobs/{job_id}"
    posted = ("/", "/jobs", f"{job}/images", "/upload_image", f"{job}/remake", "/sign-in", "/form",
              f"{job}/zip", "/thumbnails/x", "/nowhere", "/api/v1/jobs", f"/api/v1{job}/images",
              "/api-form")  # fmt: skip
    with ExitStack() as stack:
        greedy = Greedy(client, stack)
        greedy.ask_for(f"{job}/zip", at_most=1)
        greedy.ask_for(f"{job}/images/{image_id}/original", at_most=10)
        greedy.ask_for(f"/api/v1{job}/thumbnails.zip", at_most=10)
        greedy.ask_for(f"/download_thumbnail/{job_id}", at_most=2)  # Half a gigabyte, here.
        for length in sorted(longest_bodies().values(), reverse=True):
            for path in posted:
                greedy.send_bodies(path, length // 10)
        for path in posted:
            greedy.send_chunks(path)
        yield greedy


def stored(folder: Path) -> int:
    """Return the bytes on disk of the files that nginx has open, named or not."""
    total = 0
    for worker in children_of(int((folder / "nginx.pid").read_text())):
        for descriptor in Path(f"/proc/{worker}/fd").iterdir():
            with suppress(FileNotFoundError):
                if str(descriptor.readlink()).startswith(
                    (f"{folder}/uploads", f"{folder}/answers")
                ):
                    total += descriptor.stat().st_blocks * 512
    return total


def test_one_client_fills_no_more_disk_than_its_limits(
    crowded: tuple[Servers, Client], greedy: Greedy
) -> None:
    folder = crowded[0].instance.parent
    answers = 2 * max(megabytes("proxy_max_temp_file_size")) // 10
    everything = greedy.sent + answers
    wait_until(lambda: stored(folder) > 0.97 * everything, what="all of it on the disk")
    assert 0.9 * largest_share() < 10 * stored(folder) < largest_share()


def test_one_client_reads_few_zips_and_originals_at_a_time(greedy: Greedy) -> None:
    held = sum(count for path, count in greedy.held.items() if path.endswith(("zip", "original")))
    assert held == limits()["downloads"]


def test_others_are_served_while_one_client_takes_all(
    crowded: tuple[Servers, Client], greedy: Greedy
) -> None:
    headers = {CLIENT: "10.0.0.2"}
    client = crowded[1]
    assert client.request("GET", "/jobs", headers=headers).status == 200
    file = FileStorage(BytesIO(make_jpeg()), filename="a.jpg")
    assert client.post("/upload_image", headers, file=file).status == 202


def test_client_with_too_many_requests_at_once_gets_a_reason(
    crowded: tuple[Servers, Client], greedy: Greedy
) -> None:
    words = "You have too many requests in progress. Wait until some have finished."
    answer = crowded[1].get("/")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert answer.json == {"code": "too_many_requests", "detail": words, "field": None}
    page = crowded[1].get("/", accept="text/html")
    assert page.status == 429
    assert words in page.body.decode()


# Under a path, and files that the application has checked


def test_nginx_drops_no_header_of_the_application(checking: tuple[Servers, Client]) -> None:
    servers, client = checking
    path = f"/thumbnails/{make_thumbnail(client)}"
    with closing(servers.client()) as direct:
        named = direct.get(path).headers
    sent = client.get(path).headers
    assert "Strict-Transport-Security" in sent
    assert set(named) - set(sent) == {"X-Accel-Redirect"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_thumbnail_is_sent_with_the_same_headers_in_both_ways(either: Client, method: str) -> None:
    answer = either.request(method, f"/thumbnails/{make_thumbnail(either)}")
    assert answer.status == 200
    assert answer.headers["Server"].startswith("nginx")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert PICTURE_HEADERS.items() <= answer.headers.items()
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert not {"Content-Disposition", "X-Accel-Redirect", "Set-Cookie"} & set(answer.headers)
    assert int(answer.headers["Content-Length"]) > 300
    assert len(answer.body) == (int(answer.headers["Content-Length"]) if method == "GET" else 0)


def test_part_of_a_thumbnail_and_what_is_unchanged_in_both_ways(either: Client) -> None:
    path = f"/thumbnails/{make_thumbnail(either)}"
    whole = either.get(path)
    part = either.request("GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole.body[10:20])
    for name, known in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
        same = either.request("GET", path, headers={name: whole.headers[known]})
        assert (same.status, same.body) == (304, b"")
        assert same.headers["Cache-Control"] == whole.headers["Cache-Control"]
        assert same.headers["Content-Security-Policy"] == whole.headers["Content-Security-Policy"]


def test_other_paths_of_the_site_are_those_of_its_own_application(below: Client) -> None:
    with closing(Client(below.host, below.port)) as site:
        for path in (
            "/",
            "/jobs",
            "/static/x",
            "/api/v1/jobs",
            "/thumbnails-application",
            "/accel/",
        ):
            assert site.get(path).body == b"elsewhere"
        asked = site.get(f"{PREFIX}?preset=card")
        assert (asked.status, asked.headers["Location"]) == (308, f"{PREFIX}/?preset=card")


def test_links_and_redirects_are_below_the_path(below: Client) -> None:
    page = below.get("/", accept="text/html").body.decode()
    token = find_token(page)
    file = FileStorage(BytesIO(make_jpeg()), filename="a.jpg")
    sent = below.post("/", {"Accept": "text/html"}, csrf_token=token, presets="square", images=file)
    assert sent.status == 303
    job = sent.headers["Location"]
    assert job.startswith(f"{PREFIX}/jobs/")
    answer = below.request(
        "GET", job.replace("/jobs/", "/api/v1/jobs/"), headers={"Prefer": "wait=20"}
    )
    host = f"http://127.0.0.1:{below.port}{PREFIX}"
    assert all(link.startswith(f"{host}/") for link in answer.json["links"].values())
    url = answer.json["images"][0]["thumbnails"][0]["url"]
    assert url.startswith(f"{host}/thumbnails/")
    assert below.get(url.removeprefix(f"http://127.0.0.1:{below.port}")).status == 200


def test_error_pages_of_nginx_link_below_the_path(below: Client) -> None:
    page = announce(below, f"{PREFIX}/", 600_000_000, "text/html")
    assert (page.status, f'href="{PREFIX}/">Make thumbnails' in page.body.decode()) == (413, True)
    details = announce(below, f"{PREFIX}/api/v1/jobs", 600_000_000)
    assert details.json["type"] == f"{PREFIX}/docs#request_too_large"


SPOOFED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=https",
    "X-Real-IP": "203.0.113.9",
    "X-Accel-Redirect": "/accel/secret_key",
    "X_Forwarded_For": "203.0.113.9",
    "X_Forwarded_Host": "evil.example",
    "X_Forwarded_Prefix": "/evil",
    "X_Forwarded_Proto": "https",
    "SCRIPT_NAME": "/evil",
    "PATH_INFO": "/evil",
}


@pytest.mark.parametrize("way", ["nginx", "below"])
def test_spoofed_headers_of_proxies_are_ignored(request: pytest.FixtureRequest, way: str) -> None:
    client: Client = request.getfixturevalue(way)
    servers = request.getfixturevalue("servers" if way == "nginx" else "servers_below")
    path = f"/docs/{uuid4()}"
    assert client.request("GET", path, headers=SPOOFED).status == 404
    (line,) = wait_until(lambda: re.findall(rf".* path={path} .*", servers.output()))
    assert " client=127.0.0.1" in line
    made = client.request("POST", "/api/v1/jobs", b'{"presets": ["square"]}',
                          {**SPOOFED, "Content-Type": "application/json"})  # fmt: skip
    host = f"http://127.0.0.1:{client.port}{prefix_of(client)}/api/v1/jobs/"
    assert made.headers["Location"].startswith(host)
    page = client.request("GET", "/docs", headers=SPOOFED)
    assert page.status == 200
    assert b"evil" not in page.body


def test_no_header_of_a_client_on_this_machine_changes_the_path(servers: Servers) -> None:
    with closing(servers.client()) as direct:
        for name in ("SCRIPT_NAME", "PATH_INFO"):
            page = direct.request("GET", "/docs", headers={name: "/docs/try"})
            assert (page.status, b'id="try"' in page.body) == (200, False)
            assert b"/docs/try/" not in page.body


@pytest.fixture(scope="module")
def owned(checking: tuple[Servers, Client]) -> str:
    """Return the address of an original of half a gigabyte, below the path."""
    servers, client = checking
    job_id = client.submit(make_jpeg())
    client.wait_for(job_id)
    (file,) = (servers.instance / "originals" / job_id).iterdir()
    os.truncate(file, 500 << 20)  # It has a hole, and needs no disk.
    return f"/jobs/{job_id}/images/{file.name}/original"


def test_original_is_sent_by_nginx_with_the_headers_of_the_application(
    below: Client, owned: str
) -> None:
    answer = below.request("GET", owned, headers={"Range": "bytes=0-1"})
    assert (answer.status, answer.body) == (206, b"\xff\xd8")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "private"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert PICTURE_HEADERS.items() <= answer.headers.items()
    with closing(type(below)(below.host, below.port)) as stranger:
        assert stranger.get(owned).status == 403


def begin_to_read(stack: ExitStack, client: Client, path: str, address: str) -> int:
    """Ask for a path, from an address, and read no more than the status; return it."""
    reader = stack.enter_context(socket.socket())
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(30)
    reader.connect((client.host, client.port))
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"GET {prefix_of(client)}{path} HTTP/1.1\r\nHost: x\r\n{CLIENT}: {address}\r\n"
    reader.sendall(f"{head}Cookie: {cookie}\r\n\r\n".encode())
    return int(reader.recv(12).removeprefix(b"HTTP/1.1 "))


def test_slow_readers_of_originals_hold_no_thread(below: Client, owned: str) -> None:
    with ExitStack() as stack:
        for number in range(6):  # Three times the web server's threads.
            assert begin_to_read(stack, below, owned, f"10.0.1.{number}") == 200
        begun = time.monotonic()
        assert below.get("/jobs", accept="text/html").status == 200
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("way", ["nginx", "below"])
def test_one_client_reads_a_hundred_thumbnails_at_a_time(
    request: pytest.FixtureRequest, way: str
) -> None:
    client: Client = request.getfixturevalue(way)
    servers: Servers = request.getfixturevalue("servers" if way == "nginx" else "servers_below")
    thumbnail = make_thumbnail(client)
    os.truncate(servers.instance / "thumbnails" / thumbnail, 50 << 20)  # It needs no disk.
    with ExitStack() as stack:
        asked = [
            begin_to_read(stack, client, f"/thumbnails/{thumbnail}", "10.0.2.1") for _ in range(101)
        ]
        assert Counter(asked) == {200: 100, 429: 1}
        assert begin_to_read(stack, client, f"/thumbnails/{thumbnail}", "10.0.2.2") == 200


def test_internal_location_cannot_be_asked_for(either: Client) -> None:
    thumbnail = make_thumbnail(either)
    job_id = thumbnail.partition("/")[0]
    image_id = thumbnail.split("/")[1].rpartition("-")[0]
    for path in (f"/accel/thumbnails/{thumbnail}", f"/accel/originals/{job_id}/{image_id}",
                 f"/accel/../accel/thumbnails/{thumbnail}", f"/%61ccel/thumbnails/{thumbnail}",
                 f"//accel/thumbnails/{thumbnail}", "/accel/", "/accel/secret_key"):  # fmt: skip
        answer = either.get(path)
        assert (path, answer.status) == (path, 404)
        assert not answer.headers["Content-Type"].startswith("image/")


def test_links_and_other_files_are_refused_where_the_application_checks(
    checking: tuple[Servers, Client],
) -> None:
    servers, client = checking
    folder, _, file = make_thumbnail(client).rpartition("/")
    place = servers.instance / "thumbnails" / folder
    (place / "evil.html").write_text("<script>")
    (place / "link.jpg").symlink_to(servers.instance / "secret_key")
    place.with_name(f"{place.name}9").symlink_to(place)
    for path in ("none.jpg", "../jobs.db", "..%2fjobs.db", "%252e%252e/jobs.db", f"{folder}/",
                 f"{folder}/evil.html", f"{folder}/link.jpg", f"{folder}9/{file}",
                 f"{folder}/..%2f..%2f..%2fjobs.db", f"{folder}/{file}%00"):  # fmt: skip
        answer = client.get(f"/thumbnails/{path}")
        assert (path, answer.status in (400, 404)) == (path, True)
        assert not answer.headers["Content-Type"].startswith("image/")


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_original_that_is_a_link_is_refused(checking: tuple[Servers, Client], linked: str) -> None:
    servers, client = checking
    job_id = client.submit(make_jpeg())
    client.wait_for(job_id)
    folder = servers.instance / "originals" / job_id
    (file,) = folder.iterdir()
    moved = servers.instance / "tmp" / job_id
    if linked == "file":
        file.rename(moved)
        file.symlink_to(servers.instance / "secret_key")
    else:
        folder.rename(moved)
        folder.symlink_to(moved)
    answer = client.get(f"/jobs/{job_id}/images/{file.name}/original")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert (servers.instance / "secret_key").stat().st_mode & 0o777 == 0o600


def test_checks_of_the_documents_print_what_they_say(either: Client) -> None:
    document = (ROOT / "docs/deploy-nginx.md").read_text()
    checks = re.findall(r"^(curl .*) # (\S+)$", document, re.MULTILINE)
    assert len(checks) > 5
    site = f"http://127.0.0.1:{either.port}{prefix_of(either)}"
    commands = "\n".join(command for command, _ in checks)
    printed = subprocess.run(
        ["sh", "-c", f"SITE={site}\n{commands}"], capture_output=True, text=True, check=False
    ).stdout
    assert printed.split() == [expected for _, expected in checks]


def test_page_for_an_unreadable_request_links_below_the_path(servers_below: Servers) -> None:
    head = (
        b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n"
        b"X-Forwarded-Prefix: %b\r\nContent-Length: x\r\n\r\n"
    )
    with closing(servers_below.client()) as direct:
        page = raw(direct, head % PREFIX.encode())
        assert f'<a class="brand" href="{PREFIX}/">' in page
        assert '<a class="brand" href="/">' in raw(direct, head % b"//evil.example")
