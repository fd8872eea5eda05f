"""Rows whose clock stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import place_databases
from tests.support.jobs import TimedStore
from tests.support.turns import NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TimedStore]:
    place_databases(tmp_path)
    store = TimedStore(tmp_path / "jobs.db", NOW)
    yield store
    store.db.close()
