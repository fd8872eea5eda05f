"""Jobs created without the upload page, for tests of what comes after it."""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from io import BytesIO

from playwright.sync_api import Page, expect
from werkzeug.datastructures import FileStorage

from tests.support.images import make_jpeg
from tests.support.jobs import claim, claims_of, open_jobs, work
from tests.support.people import find_token
from tests.support.servers import Client, Servers, wait_for_end
from webapp.config import Config
from webapp.engine.errors import TimedOut

PHOTO = make_jpeg(size=(1000, 700))


def post_form(
    client: Client, files: Mapping[str, bytes], presets: Sequence[str] = ("web-set",)
) -> str:
    """Post the upload form without a browser; return the job's path."""
    token = find_token(client.get("/", accept="text/html").body.decode())
    images = [FileStorage(BytesIO(data), filename=name) for name, data in files.items()]
    headers = {"Accept": "text/html"}
    answer = client.post("/jobs", headers, csrf_token=token, presets=list(presets), images=images)
    assert answer.status == 303, answer.body
    return answer.headers["Location"]


def create_job(page: Page, servers: Servers, files: Mapping[str, bytes], *presets: str) -> str:
    """Create a job of this page's user without showing a page; return its URL.

    Where a test does not look at the upload, this costs a fifth of uploading on the page.
    """
    with closing(servers.client()) as client:
        client.cookies |= {it["name"]: it["value"] for it in page.context.cookies(servers.url)}
        path = post_form(client, files, presets or ("square",))
        session = {"name": "session", "value": client.cookies["session"], "url": servers.url}
    page.context.add_cookies([session])  # type: ignore[list-item]
    return f"{servers.url}{path}"


def make_job(page: Page, servers: Servers, files: Mapping[str, bytes], *presets: str) -> str:
    """Create a job of this page's user, and wait for its end; return its URL."""
    url = create_job(page, servers, files, *presets)
    wait_for_end(servers, url.rpartition("/")[2])
    return url


def image_url(servers: Servers, job_url: str) -> str:
    """Return the URL of the page of a job's first image."""
    sql = "SELECT id FROM images WHERE job_id = ? ORDER BY position LIMIT 1"
    [[image_id]] = servers.rows(sql, job_url.rpartition("/")[2])
    return f"{job_url}/images/{image_id}"


def open_waiting(page: Page, servers: Servers, *names: str, preset: str = "square") -> None:
    """Create a job of photos of these names, and open its page, where they wait."""
    page.goto(create_job(page, servers, dict.fromkeys(names, PHOTO), preset))
    expect(page.locator("h1")).to_have_text(re.compile(rf"0 of {len(names)} done$"))


def run_out_of_time(servers: Servers, images: int = 1) -> None:
    """Fail the next images for a reason that may pass."""
    jobs = open_jobs(Config(instance=servers.instance))
    error = TimedOut(60)
    try:
        for _ in range(images):
            claims_of(jobs).fail(claim(jobs), error.code, str(error))
    finally:
        jobs.store.db.close()


def work_on(servers: Servers) -> None:
    """Work on all images that wait, as the servers' consumer does if they have one."""
    jobs = open_jobs(Config(instance=servers.instance))
    try:
        work(jobs)
    finally:
        jobs.store.db.close()
