"""An instance that runs somewhere, and those who use it.

    TOKEN=... make test-acceptance BASE_URL=https://thumbnails.example.com

Without BASE_URL, servers are started here; with TOKEN, they need it. Each run makes some thirty
small images, and deletes them.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.acceptance.callers import Browser, Caller
from tests.support.images import make_jpeg
from tests.support.servers import running

JOBS_OF_A_RUN = 60  # At most, with those that are refused.


@pytest.fixture(scope="session")
def token() -> str:
    """Return the access token or API token, if any; it is in no file and no command."""
    return os.environ.get("TOKEN", "")


@pytest.fixture(scope="session")
def base_url(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, token: str
) -> Iterator[str]:
    """Return the address of the instance, without a slash at its end."""
    if given := pytestconfig.getoption("base_url"):
        yield given.rstrip("/")
        return
    folder = tmp_path_factory.mktemp("acceptance") / "instance"
    with running(folder, workers=1, access_token=token) as servers:
        yield servers.url


@pytest.fixture(scope="session")
def limits(base_url: str, token: str) -> dict[str, Any]:
    """Read the limits of the instance; end the run where no test could pass."""
    try:
        answer = Caller(base_url, "*/*", token).get("api/v1/limits")
        limits = dict(answer.json())
    except requests.RequestException as error:
        pytest.exit(f"{base_url} does not answer, or is another application: {error}", 2)
    if answer.status_code != 200:
        pytest.exit(f"{base_url}: {limits.get('detail', answer.status_code)}", 2)
    allowed = limits["max_jobs_per_hour"]
    if allowed < JOBS_OF_A_RUN:
        pytest.exit(f"This needs {JOBS_OF_A_RUN} jobs an hour, and {allowed} are allowed.", 2)
    return limits


@pytest.fixture(scope="session")
def is_restricted(base_url: str, token: str, limits: dict[str, Any]) -> bool:
    """Return whether uploads need a token. If so and there is none, end the run."""
    answer = Browser(base_url).get("")
    restricted = answer.status_code == 303 and "/sign-in" in answer.headers["Location"]
    if restricted and not token:
        pytest.exit(f"{base_url} needs a token: TOKEN=... make test-acceptance BASE_URL=...", 2)
    return restricted


@pytest.fixture(scope="session")
def call(
    base_url: str, is_restricted: bool, token: str
) -> Iterator[Callable[..., Caller | Browser]]:
    """Make callers, and delete in the end what they made."""
    made: list[Caller] = []

    def make(kind: str, with_token: bool = True) -> Caller | Browser:
        sent = token if with_token else ""
        if kind == "browser":
            made.append(Browser(base_url, sent))
        else:
            made.append(Caller(base_url, "*/*", sent))
        return made[-1]

    yield make
    left = [line for caller in made for line in caller.clean_up()]
    assert left == []


@pytest.fixture(scope="session")
def program(call: Callable[..., Caller]) -> Caller:
    """A program that keeps its cookies, with the token."""
    return call("program")


@pytest.fixture(scope="session")
def browser_of_a_person(call: Callable[..., Browser]) -> Browser:
    return call("browser")


@pytest.fixture
def stranger(call: Callable[..., Caller]) -> Caller:
    """A program that knows links and nothing else."""
    return call("program", with_token=False)


@pytest.fixture
def visitor(call: Callable[..., Browser]) -> Browser:
    """A browser of someone who knows links and nothing else."""
    return call("browser", with_token=False)


@pytest.fixture(scope="session")
def job(program: Caller) -> Any:
    """A finished job of one image with two thumbnails, which no test changes."""
    return program.create(make_jpeg(), "preset=square&width=60&format=webp&filename=sea.jpg")
