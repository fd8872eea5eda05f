"""What the live tests share: a client of the servers that a file runs, and work for them."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.images import make_image
from tests.support.servers import Client, Servers


@pytest.fixture
def client(servers: Servers) -> Iterator[Client]:
    """A client of the servers that the test file runs."""
    with closing(servers.client()) as client:
        yield client


@pytest.fixture(scope="session")
def scan() -> bytes:
    """An image that keeps a worker busy for long enough to be met at work."""
    return make_image("RGB", (6000, 4000), "PNG")
