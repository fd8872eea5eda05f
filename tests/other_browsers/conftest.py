"""Firefox and WebKit before the real servers."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.other_browsers.driver import Driver
from tests.other_browsers.firefox import Firefox
from tests.other_browsers.webkit import WebKit
from tests.support.jobs import open_jobs
from tests.support.servers import Servers, running
from webapp.config import Config


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("other") / "instance", workers=1) as servers:
        yield servers


@pytest.fixture(scope="session")
def web_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("idle") / "instance", "web", workers=1) as servers:
        yield servers


@pytest.fixture
def idle(web_alone: Servers) -> Iterator[Servers]:
    """A web server without a consumer or a job: what is uploaded waits."""
    yield web_alone
    jobs = open_jobs(Config(instance=web_alone.instance))
    for job_id in list(jobs.store.jobs.ids()):
        jobs.delete(job_id)
    jobs.store.db.close()


@pytest.fixture(scope="session", params=["firefox", "webkit"])
def driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driver]:
    if request.param == "firefox":
        window: Driver = Firefox(tmp_path_factory.mktemp("firefox") / "profile")
    else:
        window = WebKit()
    with closing(window):
        yield window


# Without script, and on a system with dark colours: two browsers do for both.
@pytest.fixture(scope="session", params=["firefox", "webkit"])
def plain_driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driver]:
    if request.param == "firefox":
        dark = {"layout.css.prefers-color-scheme.content-override": 0}
        profile = tmp_path_factory.mktemp("plain") / "profile"
        window: Driver = Firefox(profile, {"javascript.enabled": False, **dark})
    else:
        window = WebKit(["--enable-javascript=false"], {"GTK_THEME": "Adwaita:dark"})
    with closing(window):
        yield window


@pytest.fixture
def window(driver: Driver, servers: Servers) -> Driver:
    """A window of a person who was never here."""
    driver.open(f"{servers.url}/docs")  # A page without script.
    driver.forget()
    return driver


@pytest.fixture
def plain_window(plain_driver: Driver, servers: Servers) -> Driver:
    """A window of a person who was never here, whose browser runs no script."""
    plain_driver.open(f"{servers.url}/docs")
    plain_driver.forget()
    return plain_driver
