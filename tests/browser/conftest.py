"""A real Chromium before the real servers; its complaints fail the test."""

from collections.abc import Iterator
from math import inf
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.browser.chromium import ADVICE, find_chromium
from tests.browser.lines import Line, line_to
from tests.support.jobs import open_jobs
from tests.support.servers import Servers, running
from webapp.config import Config

# Playwright's five seconds are few on a machine with other work. Only tests that fail take longer.
expect.set_options(timeout=15_000)

# Allowed to use the API. The same host: browsers send cookies to it from there too.
OTHER_SITE = "http://127.0.0.1:5173"


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("browser")
    settings = {"workers": 1, "max_file_mb": 10, "cors_origins": OTHER_SITE}
    with running(folder / "instance", **settings) as servers:
        yield servers


@pytest.fixture(scope="session")
def base_url(servers: Servers) -> str:
    return servers.url


@pytest.fixture(scope="session")
def web_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A web server without a consumer."""
    folder = tmp_path_factory.mktemp("idle")
    with running(folder / "instance", "web", workers=1, max_images=60) as servers:
        yield servers


@pytest.fixture
def idle(web_alone: Servers) -> Iterator[Servers]:
    """Servers without a consumer or a job: what is uploaded waits."""
    yield web_alone
    if consumer := web_alone.processes.pop("consumer", None):
        web_alone.kill_one(consumer)
    jobs = open_jobs(Config(instance=web_alone.instance))
    for job_id in list(jobs.store.jobs.ids()):
        jobs.delete(job_id)
    jobs.store.operations.forget_workers(inf)
    jobs.store.db.close()


@pytest.fixture
def line(page: Page, base_url: str) -> Iterator[Line]:
    """A line to the servers that can hold what is sent."""
    with line_to(base_url) as line:
        yield line
        page.close()  # It would complain of a line that goes first.


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    path = find_chromium()
    assert path, ADVICE
    # As root, in a container, Chromium cannot use its own sandbox; it sees only our pages here.
    return {**browser_type_launch_args, "executable_path": path, "chromium_sandbox": False}


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Collect the errors and warnings of the console and of scripts."""
    said: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            said.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


@pytest.fixture(autouse=True)
def no_complaints(complaints: list[str]) -> Iterator[None]:
    """Fail a test if the browser complained; a test clears what it provokes."""
    yield
    assert complaints == []
