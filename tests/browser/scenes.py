"""Every page in every state, for checks by axe, small screens and screenshots.

No consumer runs: a job stays as it is until a test works on it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import inf
from pathlib import Path
from secrets import token_hex
from threading import Thread
from time import time
from zipfile import ZipFile

from playwright.sync_api import Page, Route, expect
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.browser.actions import drop
from tests.browser.jobs import post_form
from tests.support.errors import ERRORS
from tests.support.images import make_jpeg, make_png, make_truncated
from tests.support.jobs import claim, claims_of, open_jobs, work
from tests.support.servers import Client, running
from webapp import create_app
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.store.operations import Operations
from webapp.jobs.tokens import create_token
from webapp.jobs.webhooks import Webhooks

TOKEN = "the token of the second server"
LONG = "Scan for the printers, corrected colours, " * 5 + "final.jpg"
RIGHT_TO_LEFT = "صورة من الشاطئ (2) IMG_0417.jpg"
UNBROKEN = "n" * 240 + ".jpg"
FILES = {
    "IMG_2741.jpg": make_jpeg(size=(300, 200), gps=True),
    LONG: make_jpeg(size=(200, 300)),
    RIGHT_TO_LEFT: make_jpeg(size=(600, 200)),
    UNBROKEN: make_png("RGBA", (300, 200)),
    "cut.jpg": make_truncated(),
}


@dataclass(frozen=True)
class Stage:
    """A server with jobs in every state, and one that refuses everything."""

    url: str
    refusing_url: str
    folder: Path  # For what a scene keeps on the disk.
    jobs: Jobs
    owner: Client
    files: Mapping[str, bytes]
    addresses: Mapping[str, str]  # Of the jobs, by what there is to see.

    def enter(self, page: Page, path: str) -> None:
        """Open a page as the owner of the jobs, whose workers are alive and not paused."""
        self.jobs.store.operations.resume()
        session = {"name": "session", "value": self.owner.cookies["session"], "url": self.url}
        page.context.add_cookies([session])  # type: ignore[list-item]
        # Without a worker there is no telling when a job is finished; this one is for a slow test.
        Operations(self.jobs.store.db, lambda: time() + 50).beat("worker")
        page.goto(f"{self.url}{path.format(**self.addresses)}")


@contextmanager
def set_stage(folder: Path, files: Mapping[str, bytes] = FILES) -> Iterator[Stage]:
    """Start the web servers and create the jobs; the last file cannot be decoded."""
    with (
        running(folder / "instance", "web") as servers,
        refusing(folder / "refusing") as refusing_url,
    ):
        jobs, client = open_jobs(Config(instance=servers.instance)), servers.client()
        try:
            addresses = _make_jobs(jobs, client, files)
            yield Stage(servers.url, refusing_url, folder, jobs, client, files, addresses)
        finally:
            client.close()
            jobs.store.db.close()


def _make_jobs(jobs: Jobs, client: Client, files: Mapping[str, bytes]) -> dict[str, str]:
    sound = dict(list(files.items())[:-1])
    few = dict(list(sound.items())[:2])
    addresses = {
        "failed": post_form(client, files),
        "cropped": post_form(client, few, ["web-set", "card", "avatar"]),
        "done": post_form(client, sound),
        "of-token": post_form(client, few),
    }
    work(jobs)
    job_id = addresses["of-token"].removeprefix("/jobs/")
    jobs.store.db.execute("UPDATE jobs SET owner = 'token:7' WHERE id = :id", id=job_id)
    for kind, image in (("done", 0), ("failed", -1), ("cropped", 0)):
        addresses[f"image-{kind}"] = _image_address(jobs, addresses[kind], image)
    _, _, job_id, _, image_id = addresses["image-cropped"].split("/")
    addresses["of-cropped"] = image_id
    jobs.set_focal_point(job_id, image_id, (0.62, 0.4), "127.0.0.1")
    work(jobs)
    addresses["working"] = post_form(client, sound)
    claims = [claim(jobs) for _ in sound]
    middle = len(claims) // 2
    for free in claims[:middle]:
        claims_of(jobs).release(free)
    work(jobs)
    for free in claims[middle + 1 :]:
        claims_of(jobs).release(free)
    addresses["waiting"] = post_form(client, sound)
    return addresses


def _image_address(jobs: Jobs, address: str, index: int) -> str:
    image = jobs.job(address.removeprefix("/jobs/")).images[index]
    return f"{address}/images/{image.id}"


# Errors


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Write nothing: the application logs each request."""


@contextmanager
def refusing(instance: Path) -> Iterator[str]:
    """Serve the application with an access token and an address for each error."""
    app = create_app(Config(instance=instance, access_token=TOKEN))
    for status, view in ERRORS.items():
        app.add_url_rule(f"/errors/{status}", f"error-{status}", view)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["jobs"].store.db.close()
        app.extensions["huey"].storage.close()


# Scenes


def settle(page: Page) -> None:
    """Wait for every picture of the page, also for those that load lazily.

    Where the connection is lost, none comes any more.
    """
    page.eval_on_selector_all("img", "(all) => all.forEach((image) => (image.loading = 'eager'))")
    page.evaluate("Promise.allSettled([...document.images].map((image) => image.decode()))")


Scene = Callable[[Page, Stage], None]
SCENES: dict[str, Scene] = {}


def scene(act: Scene) -> Scene:
    """Add what leads a page into a state to the scenes, by its name."""
    SCENES[act.__name__.replace("_", "-")] = act
    return act


def _at(path: str) -> Scene:
    return lambda page, stage: stage.enter(page, path)


def _refused(status: int) -> Scene:
    def act(page: Page, stage: Stage) -> None:
        page.goto(f"{stage.refusing_url}/errors/{status}")

    return act


SCENES["upload"] = _at("/")


@scene
def upload_queue(page: Page, stage: Stage) -> None:
    """Files are chosen, and some of them refused."""
    stage.enter(page, "/")
    drop(page, {**stage.files, "notes.jpg": b"only words", "empty.png": b""})
    expect(page.get_by_text("This file is empty.")).to_be_visible()
    expect(page.locator(".contact .well:empty")).to_have_count(0)  # Each has its preview.


@scene
def upload_of_nothing(page: Page, stage: Stage) -> None:
    """The button is pressed and no file is there."""
    stage.enter(page, "/")
    page.locator("#submit").click()
    expect(page.get_by_text("Choose at least one photo.")).to_be_visible()


@scene
def upload_dragging(page: Page, stage: Stage) -> None:
    """Files are over the window."""
    stage.enter(page, "/")
    transfer = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([""], "a.jpg"));
            return transfer;
        }"""
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    expect(page.get_by_text("Drop 1 file")).to_be_visible()


@scene
def upload_sending(page: Page, stage: Stage) -> None:
    """Some files have arrived; the others are on a slow line."""
    page.goto(stage.url)
    drop(page, dict(list(stage.files.items())[:-1]))
    first = iter([True])

    def hold(route: Route) -> None:
        if next(first, False):
            route.continue_()

    page.route("**/images", hold)
    page.locator("#submit").click()
    expect(page.locator(".frame:not(.sending)")).to_have_count(1)


SCENES |= {
    "job-waiting": _at("{waiting}"),
    "job-working": _at("{working}"),
    "job-done": _at("{done}"),
    "job-partly-failed": _at("{failed}"),
    "job-remake": _at("{done}/remake"),
    "job-delete": _at("{done}/delete"),
    "image": _at("{image-done}"),
    "image-cropped": _at("{image-cropped}"),
    "image-failed": _at("{image-failed}"),
    "crops": _at("{cropped}/crops?of={of-cropped}&undo={of-cropped}:"),
    "crops-none": _at("{failed}/crops"),
}


@scene
def job_without_connection(page: Page, stage: Stage) -> None:
    """The line is cut while a job goes on."""
    stage.enter(page, "{working}")
    settle(page)
    page.context.set_offline(True)
    expect(page.locator(".bar", has_text="Connection lost")).to_be_visible()


@scene
def job_refusal(page: Page, stage: Stage) -> None:
    """The server refuses what a button asks for, while the line is cut too."""
    SCENES["job-without-connection"](page, stage)
    detail = "Your network has made 5000 jobs within an hour. There is room again in 12 minutes."
    page.route("**/cancel", lambda route: route.fulfill(status=429, json={"detail": detail}))
    page.get_by_role("button", name="Cancel all waiting").click()
    expect(page.locator(".bar", has_text=detail)).to_be_visible()


@scene
def job_deleted(page: Page, stage: Stage) -> None:
    """A job was deleted a moment ago, and can still come back."""
    stage.enter(page, post_form(stage.owner, dict(list(stage.files.items())[:2])))
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


@scene
def jobs_deleted(page: Page, stage: Stage) -> None:
    """A job of the list was deleted a moment ago, and another is being named."""
    stage.enter(page, post_form(stage.owner, dict(list(stage.files.items())[:2])))
    page.goto(f"{stage.url}/jobs")
    page.get_by_role("button", name="Delete").first.click()
    expect(page.locator(":focus")).to_have_text("Undo")  # There may be others, of other scenes.
    page.get_by_role("button", name="Rename").first.click()
    expect(page.get_by_label("Name of this job").first).to_be_focused()


@scene
def archive_index(page: Page, stage: Stage) -> None:
    """The zip of a job is opened on the disk of the user."""
    archive = stage.owner.get(f"{stage.addresses['failed']}/zip").body
    ZipFile(BytesIO(archive)).extractall(stage.folder / "zip")
    page.goto((stage.folder / "zip" / "index.html").as_uri())


@scene
def job_without_workers(page: Page, stage: Stage) -> None:
    """No worker is there, and the page of a job that waits says so."""
    stage.enter(page, "{waiting}")
    stage.jobs.store.operations.forget_workers(inf)
    page.reload()
    expect(page.locator("#attention .idle")).to_be_visible()


@scene
def job_paused(page: Page, stage: Stage) -> None:
    """The operator paused the work, for a reason of several lines on a phone."""
    stage.enter(page, "{waiting}")
    reason = "We move all photos to a new disk, which takes until three o'clock in the afternoon."
    stage.jobs.store.operations.pause(reason)
    page.reload()
    expect(page.locator("#attention .paused")).to_be_visible()


@scene
def job_with_missing_files(page: Page, stage: Stage) -> None:
    """Some of what was sent is not in the job."""
    others = {RIGHT_TO_LEFT: b"words", UNBROKEN: b""}
    stage.enter(page, post_form(stage.owner, {**dict(list(stage.files.items())[:2]), **others}))


@scene
def job_webhook(page: Page, stage: Stage) -> None:
    """The server of the owner could not be told that the job is finished."""
    address = post_form(stage.owner, dict(list(stage.files.items())[:2]))
    job_id = address.removeprefix("/jobs/")
    stage.jobs.store.db.execute(  # The owner is a browser, to see the page.
        "UPDATE jobs SET callback_url = :url, callback_origin = :url, callback_status = 'awaiting'"
        " WHERE id = :id",
        url=f"http://127.0.0.1/{'n' * 200}",
        id=job_id,
    )
    stage.jobs.cancel(job_id)
    send = Webhooks(stage.jobs.store, stage.jobs.config).take()
    assert send
    send()
    stage.enter(page, address)
    expect(page.get_by_text("for the next try")).to_be_visible()


@scene
def job_of_another_user(page: Page, stage: Stage) -> None:
    """Another user, with the link, sees the job and can change nothing."""
    page.goto(f"{stage.url}{stage.addresses['done']}")


@scene
def job_of_a_token(page: Page, stage: Stage) -> None:
    """A guest sees a job that a program made, and can sign in with its token."""
    page.goto(f"{stage.url}{stage.addresses['of-token']}")
    expect(page.get_by_role("link", name="Sign in with it")).to_be_visible()


@scene
def job_gone(page: Page, stage: Stage) -> None:
    """A job is deleted while its page is open."""
    address = post_form(stage.owner, dict(list(stage.files.items())[:2]))
    stage.enter(page, address)
    stage.jobs.delete(address.removeprefix("/jobs/"))
    expect(page.get_by_role("heading", name="gone")).to_be_visible()


SCENES["jobs"] = _at("/jobs")


@scene
def jobs_empty(page: Page, stage: Stage) -> None:
    """Nothing was made in this browser yet."""
    page.goto(f"{stage.url}/jobs")


@scene
def jobs_signed_in(page: Page, stage: Stage) -> None:
    """A person has signed in with an API token, whose name is long."""
    token = create_token(stage.jobs.store, f"build server of the shop {token_hex(4)}") or ""
    page.goto(f"{stage.url}/sign-in?next=/jobs")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("header")).to_contain_text("Signed in as ")


SCENES["api"] = _at("/docs")


@scene
def sign_in(page: Page, stage: Stage) -> None:
    """The access token is asked for."""
    page.goto(stage.refusing_url)


@scene
def sign_in_refused(page: Page, stage: Stage) -> None:
    """The access token was wrong."""
    page.goto(stage.refusing_url)
    page.get_by_label("Access token").fill("mistyped")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This token is unknown or was revoked.")).to_be_visible()


SCENES |= {f"error-{status}": _refused(status) for status in ERRORS}


def is_of_a_refusal(complaint: str) -> bool:
    """Return whether the console reports only an error response or a cut line.

    It does so of each; htmx says the second once more.
    """
    return bool(
        re.match(
            r"Failed to load resource: the server responded with a status of"
            r"|Failed to load resource: net::ERR_INTERNET_DISCONNECTED"
            r"|htmx: htmx:error: Failed to fetch",
            complaint,
        )
    )
