"""The real Caddy, with the file we ship, before the real servers."""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from http.client import HTTPSConnection
from io import BytesIO

import pytest
from PIL import Image
from werkzeug.datastructures import FileStorage

from tests.support.forms import encode_form
from tests.support.images import make_jpeg
from tests.support.servers import Answer, Servers, free_port, running, wait_for_end, wait_until
from webapp.config import MB, ROOT

CADDY = shutil.which("caddy")
# The certificate is Caddy's own: none is got from an authority, and none is installed here.
LOCAL = "{\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n"
SPOOFED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/elsewhere",
    "X-Request-ID": "spoofed",
    "Remote-User": "alice",
}


class Https:
    """Talk to Caddy, whose certificate no authority has signed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._context = ssl._create_unverified_context()

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = HTTPSConnection("localhost", self._port, timeout=20, context=self._context)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def is_healthy(self) -> bool:
        try:
            return self.request("GET", "/healthcheck").status == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    settings = {
        "trusted_proxies": 1,
        "cookie_secure": 1,
        "hsts_days": 365,
        "allowed_hosts": "localhost",
        "user_header": "Remote-User",
        "workers": 1,
        "web_workers": 1,
        "max_file_mb": 1,
    }
    with running(tmp_path_factory.mktemp("caddy") / "instance", **settings) as servers:
        yield servers


@pytest.fixture(scope="module")
def caddy(servers: Servers) -> Iterator[Https]:
    assert CADDY, "This test needs Caddy. On Debian: apt-get install caddy"
    folder, port = servers.instance.parent, free_port()
    shipped = (ROOT / "deploy/Caddyfile").read_text()
    (folder / "Caddyfile").write_text(re.sub(r"^{\n", lambda _: LOCAL, shipped, flags=re.MULTILINE))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DOMAIN": f"localhost:{port}",
        "UPSTREAM": f"127.0.0.1:{servers.port}",
    }
    command = [CADDY, "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    with (
        (folder / "caddy.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environ, stderr=log, stdout=log) as process,
    ):
        try:
            client = Https(port)
            wait_until(client.is_healthy, what="Caddy")
            yield client
        except BaseException:
            print((folder / "caddy.log").read_text())
            raise
        finally:
            process.kill()


def upload(caddy: Https, headers: Mapping[str, str] | None = None, data: bytes = b"") -> Answer:
    file = FileStorage(BytesIO(data or make_jpeg((640, 480))), filename="a.jpg")
    kind, body = encode_form({"file": file})
    return caddy.request("POST", "/upload_image", body, {"Content-Type": kind, **(headers or {})})


def test_upload_through_caddy_becomes_a_thumbnail(caddy: Https, servers: Servers) -> None:
    answer = upload(caddy)
    assert answer.status == 202, answer.body
    job_id = answer.json["job_id"]
    wait_for_end(servers, job_id)
    thumbnail = caddy.request("GET", f"/download_thumbnail/{job_id}")
    with Image.open(BytesIO(thumbnail.body)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (100, 100))


def test_client_cannot_say_who_it_is(caddy: Https, servers: Servers) -> None:
    answer = upload(caddy, SPOOFED)
    [line] = [
        line
        for line in servers.output().splitlines()
        if answer.headers["X-Request-Id"] in line and "path=/upload_image" in line
    ]
    assert "client=127.0.0.1" in line
    assert answer.headers["X-Request-Id"] != "spoofed"
    assert servers.rows("SELECT count(*) FROM jobs WHERE owner LIKE '%alice%'") == [(0,)]


def test_client_cannot_turn_https_off(caddy: Https) -> None:
    answer = caddy.request("GET", "/", headers=SPOOFED)
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "; Secure" in answer.headers["Set-Cookie"]
    assert b"/elsewhere" not in answer.body


def test_file_that_is_too_large_is_refused_in_the_words_of_the_server(caddy: Https) -> None:
    answer = upload(caddy, data=b"\xff\xd8\xff" + bytes(3 * MB))
    assert answer.status == 413
    assert "1 MB" in answer.json["detail"]


def test_caddy_does_not_name_itself(caddy: Https) -> None:
    assert "Caddy" not in caddy.request("GET", "/").headers.get("Server", "")


def test_shipped_file_gets_a_certificate_for_the_domain() -> None:
    assert CADDY, "This test needs Caddy. On Debian: apt-get install caddy"
    command = [CADDY, "validate", "--config", "deploy/Caddyfile", "--adapter", "caddyfile"]
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DOMAIN": "t.example.com"}
    checked = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "enabling automatic HTTP->HTTPS redirects" in checked.stderr
