"""The real nginx, with the configuration we ship and the paths of a test."""

import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from tests.support.servers import Client, Servers, free_port, wait_until
from webapp.config import ROOT

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
SHIPPED = (ROOT / "deploy/nginx/thumbnails.conf").read_text()
SHIPPED_PATH = (ROOT / "deploy/nginx/thumbnails-path.conf").read_text()
CLIENT = "X-Client"  # The header by which a test says from which address it comes.
PREFIX = "/thumbnails-app"


def documented_edit(word: str) -> Callable[[str], str]:
    """Return the edit of `sed` in the documents whose command contains a word."""
    document = (ROOT / "docs/deploy-nginx.md").read_text()
    (line,) = (one for one in document.splitlines() if one.startswith("sudo sed") and word in one)
    arguments = [one for one in shlex.split(line)[2:-1] if one != "-i"]

    def edit(shipped: str) -> str:
        edited = subprocess.run(
            ["sed", *arguments], input=shipped, capture_output=True, text=True, check=True
        ).stdout
        assert edited != shipped
        return edited

    return edit


def without_alias(shipped: str) -> str:
    """Remove the alias of thumbnails, as the documents say."""
    return documented_edit("by alias")(shipped)


def under_path(shipped: str) -> str:
    """Make the shipped server that of a path, as the documents say."""
    return documented_edit("client_scheme")(shipped)


@contextmanager
def running_nginx(
    servers: Servers, edit: Callable[[str], str] = lambda shipped: shipped
) -> Iterator[Client]:
    """Run nginx, with `edit` applied to what we ship; give a client that talks to it."""
    port = free_port()
    shipped = edit(SHIPPED)
    for there, here in (
        ("127.0.0.1:8000", f"127.0.0.1:{servers.port}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("listen [::]:80;", ""),
        ("/srv/thumbnails/instance", str(servers.instance)),
        ("/srv/thumbnails", str(servers.instance.parent)),
    ):
        assert there in shipped
        shipped = shipped.replace(there, here)
    with _running(servers, port, shipped), closing(Client("127.0.0.1", port)) as client:
        yield client


@contextmanager
def running_site(
    servers: Servers, edit: Callable[[str], str] = lambda shipped: shipped
) -> Iterator[Client]:
    """Run nginx for a site with another application, and ours under a path.

    Give a client that talks to ours.
    """
    inner = free_port()

    def place(shipped: str) -> str:
        edited = under_path(edit(shipped))
        assert "listen 80;" not in edited
        there = SHIPPED_PATH.replace("127.0.0.1:8001", f"127.0.0.1:{inner}")
        listen = "listen 80; listen [::]:80;"
        site = f"server {{ {listen} location / {{ return 200 elsewhere; }} {there} }}"
        return edited.replace("127.0.0.1:8001", f"127.0.0.1:{inner}") + site

    with (
        running_nginx(servers, place) as client,
        closing(ClientUnderPath(client.host, client.port)) as below,
    ):
        yield below


class ClientUnderPath(Client):
    """Talk to the application under its path; give addresses as if it had a host of its own."""

    def request(self, method: str, path: str, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Send one request, below the path."""
        below = path if path.startswith(f"{PREFIX}/") else PREFIX + path
        return super().request(method, below, *args, **kwargs)


@contextmanager
def _running(servers: Servers, port: int, shipped: str) -> Iterator[None]:
    assert NGINX, "This test needs nginx. On Debian: apt-get install nginx"
    folder = servers.instance.parent
    (folder / "nginx.conf").write_text(
        "daemon off; pid nginx.pid; error_log stderr; user root;"
        "events {} http { access_log off; gzip on;"
        f" set_real_ip_from 127.0.0.1; real_ip_header {CLIENT};"
        " proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;"
        f"{shipped} }}"
    )
    log = (folder / "nginx.log").open("w")
    with subprocess.Popen([NGINX, "-p", folder, "-c", "nginx.conf"], stderr=log) as process:
        try:
            wait_until(lambda: _is_open(port), what="an open port")
            yield
        finally:
            process.terminate()
            log.close()
            print((folder / "nginx.log").read_text())


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
