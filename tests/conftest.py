"""Fixtures of all tests: an application in its folder, users, an engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.engine import Engine
from tests.support.people import Person, Script
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort slow tests first, so that no process runs one alone at the end."""
    first = ("live", "browser", "slow")
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in first])


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return settings with the test's own data folder; tests override this.

    With one thread, no request waits for a change: no worker runs beside most tests.
    """
    return Config(instance=tmp_path / "instance", web_threads=1)


# The suite takes the same few examples each time, so that a test that fails fails again.
# `make fuzz` takes many random ones. No deadline: a machine may be slow.
settings.register_profile("suite", derandomize=True, max_examples=25, deadline=None)
settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("suite")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(config: Config, clock: Clock) -> Iterator[Flask]:
    with running_app(config, clock) as app:
        yield app


@pytest.fixture
def jobs(app: Flask) -> Jobs:
    return app.extensions["jobs"]  # type: ignore[no-any-return]


@pytest.fixture
def person(app: Flask) -> Person:
    return Person(app.test_client())


@pytest.fixture
def stranger(app: Flask) -> Person:
    """Create another person, who has the link."""
    return Person(app.test_client())


@pytest.fixture
def script(app: Flask) -> Script:
    return Script(app.test_client())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Create a client without cookies, as a program is."""
    return app.test_client()
