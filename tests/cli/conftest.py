"""What the tests of commands share: a way to run one."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    """Run `flask jobs` with arguments and perhaps an answer to its question."""

    def run(*arguments: str, answer: str | None = None) -> Result:
        return app.test_cli_runner().invoke(args=["jobs", *arguments], input=answer)

    return run
