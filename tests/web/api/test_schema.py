"""The API answers as its document says, whatever is sent.

`make fuzz-api` sends more, to real servers. `schemathesis.toml` says what is checked.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import settings
from werkzeug.wsgi import ClosingIterator

from tests.support.app import running_app
from tests.support.fuzz_api import LIMITS, configure
from tests.support.images import make_jpeg
from tests.support.jobs import work
from tests.support.programs import create
from webapp.config import Config
from webapp.web import api, views  # noqa: F401 - Both enter their operations.

pytestmark = pytest.mark.slow

JOB, IMAGE = "6d0c2b1e-6a04-4f6e-9a53-0c5c8a4d7f10", "0c5c8a4d-6a04-4f6e-9a53-7f106d0c2b1e"

# Tests are made of the document before any application is there.
api.init_app(Flask(__name__))
document = schemathesis.openapi.from_dict(
    api.openapi.describe("http://localhost", False, "session"),
    config=schemathesis.Config.from_str(configure(JOB, IMAGE)),
)


@dataclass(frozen=True)
class Served:
    """An application, the ids of a job of its own by those above, and the session of its owner."""

    app: Callable[..., list[bytes]]
    ids: dict[str, str]
    session: str


def read_whole(app: Flask) -> Callable[..., list[bytes]]:
    """Return an application whose answers are read to their end, so that their files are closed."""

    def read(*request: Any) -> list[bytes]:
        with closing(ClosingIterator(app(*request))) as answer:
            return list(answer)

    return read


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the API with a job."""
    config = Config(instance=tmp_path_factory.mktemp("api") / "instance", web_threads=1, **LIMITS)
    with running_app(config) as app:
        client = app.test_client()
        job = create(client, make_jpeg()).json
        work(app.extensions["jobs"])
        cookie = client.get_cookie("session")
        assert job
        assert cookie
        yield Served(read_whole(app), {JOB: job["id"], IMAGE: job["images"][0]["id"]}, cookie.value)


@document.parametrize()
@settings(max_examples=5)
def test_answers_are_as_documented(case: schemathesis.Case[Any], served: Served) -> None:
    case.operation.app = case.operation.schema.app = served.app
    for name, value in case.path_parameters.items():
        case.path_parameters[name] = served.ids.get(value, value)
    case.call_and_validate(headers={"Cookie": f"session={served.session}"})
