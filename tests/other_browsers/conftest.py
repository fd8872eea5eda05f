"""Firefox and WebKit before the real servers."""

from collections.abc import Iterator

import pytest

from tests.other_browsers.driver import Driver
from tests.other_browsers.firefox import Firefox
from tests.other_browsers.webkit import WebKit
from tests.support.servers import Servers, running


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("other") / "instance", workers=1) as servers:
        yield servers


@pytest.fixture(scope="session", params=["firefox", "webkit"])
def window(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driver]:
    if request.param == "firefox":
        driver: Driver = Firefox(tmp_path_factory.mktemp("firefox") / "profile")
    else:
        driver = WebKit()
    try:
        yield driver
    finally:
        driver.close()
