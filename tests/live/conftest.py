"""What the live tests share: servers for a module, a client of them, and work."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.images import make_image
from tests.support.servers import Client, Servers, running


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    """Settings of the servers; a module overrides this fixture for others."""
    return {"workers": 2}


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, object]
) -> Iterator[Servers]:
    """Run the web server and the consumer for the tests of a module."""
    with running(tmp_path_factory.mktemp("live") / "instance", **settings) as servers:
        yield servers


@pytest.fixture
def client(servers: Servers) -> Iterator[Client]:
    with closing(servers.client()) as client:
        yield client


@pytest.fixture(scope="session")
def scan() -> bytes:
    """An image that keeps a worker busy for long enough to be met at work."""
    return make_image("RGB", (6000, 4000), "PNG")
