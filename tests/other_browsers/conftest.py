"""Firefox and WebKit before the real servers."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.other_browsers.driver import Driver
from tests.other_browsers.firefox import Firefox
from tests.other_browsers.webkit import WebKit
from tests.support.servers import Servers, running


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("other") / "instance", workers=1) as servers:
        yield servers


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A web server without a consumer: what is uploaded waits."""
    with running(tmp_path_factory.mktemp("idle") / "instance", "web", workers=1) as servers:
        yield servers


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


@pytest.fixture
def window(driver: Driver, servers: Servers) -> Driver:
    """A window of a person who was never here."""
    driver.open(f"{servers.url}/healthcheck")  # A page that asks for nothing.
    driver.forget()
    return driver
