"""An application with empty databases of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

from webapp import create_app
from webapp.config import Config
from webapp.jobs.database import Database
from webapp.jobs.tasks import NotificationStorage


class Client(FlaskClient):
    """Read every answer to its end, as HTTP clients do, so that its file is closed."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True, **kwargs})


class CompiledTemplates(BytecodeCache):
    """Keep compiled templates for other applications: a page compiles in 60 ms."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if compiled := self._compiled.get(bucket.key):
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


compiled_templates = CompiledTemplates()


@cache
def empty_databases() -> dict[str, bytes]:
    """Return the files of databases with the current schema and no rows.

    They are made once in a run: with their syncs, that takes 20 ms.
    """
    with TemporaryDirectory() as folder:
        jobs, queue = Path(folder) / "jobs.db", Path(folder) / "queue.db"
        # Both close their file in the end, so that no log is left beside it.
        Database(jobs).migrate()
        NotificationStorage("thumbnails", filename=queue)
        return {path.name: path.read_bytes() for path in (jobs, queue)}


def place_databases(folder: Path) -> None:
    """Write empty databases to a folder that has none."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    for name, content in empty_databases().items():
        if not (folder / name).exists():
            (folder / name).touch(0o600)
            (folder / name).write_bytes(content)


@contextmanager
def running_app(config: Config, now: Callable[[], float] = time) -> Iterator[Flask]:
    """Create an application, and close its databases in the end."""
    place_databases(config.instance)
    app = create_app(config, now)
    app.testing = True
    app.jinja_env.bytecode_cache = compiled_templates
    app.test_client_class = Client
    try:
        yield app
    finally:
        app.extensions["jobs"].store.db.close()
        app.extensions["huey"].storage.close()
