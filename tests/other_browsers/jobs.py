"""Jobs of a window's person that are created without the upload page."""

from collections.abc import Mapping
from contextlib import closing

from tests.browser.jobs import post_form
from tests.other_browsers.driver import Driver
from tests.support.images import make_jpeg
from tests.support.servers import Servers, wait_for_end

PHOTO = make_jpeg(size=(1000, 700))


def create_job(window: Driver, servers: Servers, files: Mapping[str, bytes], *presets: str) -> str:
    """Create a job; make its owner the person of a window; return the job's URL."""
    with closing(servers.client()) as client:
        path = post_form(client, files, presets or ("square",))
        session = client.cookies["session"]
    window.set_cookie("session", session)
    return f"{servers.url}{path}"


def open_job(window: Driver, servers: Servers, *names: str, presets: tuple[str, ...] = ()) -> str:
    """Open the page of a finished job of photos with these names; return its URL."""
    url = create_job(window, servers, dict.fromkeys(names, PHOTO), *presets)
    wait_for_end(servers, url.rpartition("/")[2])
    window.open(url)
    return url
