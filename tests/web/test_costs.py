"""No request costs the web server much time or memory."""

import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, cycle, product
from math import gcd
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from flask import Flask
from msgspec import Struct
from msgspec.structs import fields
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.forms import field, multipart_of, urlencoded
from tests.support.images import make_jpeg
from tests.support.jobs import id_of
from tests.support.people import Person
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.recipes.outputs import Output, Recipe
from webapp.recipes.presets import PRESETS
from webapp.web.api.conversion import list_of
from webapp.web.api.operations import JSON, OPERATIONS
from webapp.web.api.reading import MAX_JSON_BYTES

pytestmark = pytest.mark.slow

MAX_SECONDS = 0.3  # Of CPU.
MAX_MB = 20
PARTS = 500

# Bytes, as much as gets through to the application: a request line of gunicorn, a hundred of its
# headers joined, and a form that brings no images.
QUERY, HEADERS, FORM = 4000, 800_000, 990_000
# Somewhat less than the application reads of headers, and of a form.
READ_HEADERS, READ_FORM = 31_000, 240_000


@dataclass(frozen=True)
class Server:
    """An application with a job, and the person whose job it is."""

    app: Flask
    jobs: Jobs
    job_id: str
    image_id: str
    token: str
    session: str

    def path(self, rule: Rule) -> str:
        """Return an address that the rule matches, of the job if it is of one."""
        job_id = self.job_id
        if rule.endpoint == "changes.delete":
            job = self.jobs.job(self.job_id)
            job_id = self.jobs.submit(PRESETS["square"].recipe, job.owner)
        ids = {"job_id": job_id, "image_id": self.image_id}
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids.get(found[1], "x.jpg"), rule.rule)

    def send(self, method: str, path: str, **request: Any) -> TestResponse:
        client = self.app.test_client(use_cookies=False)
        headers = {"Accept": "text/html", "X-CSRFToken": self.token, "Cookie": self.session}
        headers |= request.pop("headers", {})
        return client.open(path, method=method, headers=headers, **request)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("costs")
    with running_app(Config(instance=folder, max_jobs_per_hour=1_000_000)) as app:
        person, jobs = Person(app.test_client()), app.extensions["jobs"]
        job_id = id_of(person.submit(make_jpeg()))
        session = person.client.get_cookie("session")
        assert session
        yield Server(
            app,
            jobs,
            job_id,
            jobs.job(job_id).images[0].id,
            person.token(),
            f"{session.key}={session.value}",
        )


def assert_cheap(call: Callable[[], TestResponse], what: object) -> None:
    """Measure the memory and the CPU of a request.

    Its disk counts, too: a form of 500 files creates and removes as many, 0.03 to 0.3 ms each.
    """
    seconds, megabytes = measure(call)
    assert megabytes <= MAX_MB, what
    if seconds > MAX_SECONDS:
        assert_quick(call, what)  # Tracing takes most of the time.


def assert_quick(call: Callable[[], TestResponse], what: object) -> None:
    """Measure the CPU of a request, up to ten times on a busy machine."""
    measures = (measure(call, is_traced=False)[0] for _ in range(10))
    assert any(seconds <= MAX_SECONDS for seconds in measures), what


def measure(call: Callable[[], TestResponse], is_traced: bool = True) -> tuple[float, float]:
    """Return the CPU seconds and, if traced, the megabytes of a request."""
    if is_traced and not tracemalloc.is_tracing():
        tracemalloc.start()
    elif not is_traced:
        tracemalloc.stop()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    began = time.thread_time()
    call()
    seconds = time.thread_time() - began
    return seconds, (tracemalloc.get_traced_memory()[1] - before) / 1e6


@pytest.fixture(scope="module", autouse=True)
def traced() -> Iterator[None]:
    yield
    tracemalloc.stop()


# What a request may repeat

NAMES = [
    *("preset", "widths", "formats", "keep_hours", "w", "w2", "h", "fit", "format", "background"),
    *("presets", "responsive-widths", "responsive-formats", "outputs-0-width", "outputs-0-format"),
    *("outputs-{n}-width", "outputs-{n}-format", "outputs-{n}-x", "w{n}", "{n}", "", "session"),
    *("csrf_token", "token", "next", "hours", "x", "y", "position", "missing_files", "images"),
    *("file", "v", "estimate", "before", "as", "of", "names"),
]
VALUES = ["", "1", "320", "webp", "square", "smart", "0.5", "n", "x"]
PIECES = [
    *("1 ", "1,", "9", "a", "{", "(", "[", "/", "..", "0.5,", "\u0100/", "🎈", "&", "%", '"'),
    *("[1,2,3],", '["a","b"],', '{"a":1},', "a/b,", "a/b;q=0.1,", "bytes=0-0,", 'W/"a",', "a=b;"),
]
LISTED_HEADERS = [
    *("Accept", "Accept-Encoding", "Range", "If-None-Match", "If-Modified-Since", "If-Range"),
    *("X-CSRFToken", "Referer", "Authorization", "Origin", "X-Forwarded-For", "X-Whatever"),
]


def repeat(piece: str, size: int) -> str:
    """Fill so many bytes."""
    return piece * (size // len(piece.encode()))


def pairs(name: str, value: str, size: int) -> str:
    """Fill so many bytes with one parameter, which may be numbered."""
    pair = f"{quote(name, safe='{}')}={quote(value)}"
    return "&".join(pair.replace("{n}", str(n)) for n in range(size // (len(pair) + 1)))[:size]


FORM_SIZES = [9000, READ_FORM, FORM]
FILE_SIZES = [8000, FORM]  # Werkzeug reads the header of a part by characters.
BOTH = ("GET", "HEAD", "POST", "PATCH", "PUT")


@dataclass(frozen=True)
class Kind:
    """A way to repeat something in a request; `build` takes one of each choice."""

    methods: tuple[str, ...]
    build: Callable[..., dict[str, Any]]
    choices: tuple[Sequence[Any], ...]
    examples: int = 1  # By each method at each address.

    def draw(self, least: int) -> list[tuple[Any, ...]]:
        """Choose so many combinations, and more until each choice is used.

        They are spread over all: a step of the golden ratio.
        """
        every = list(product(*self.choices))
        step = next(n for n in count(round(len(every) * 0.618)) if gcd(n, len(every)) == 1)
        drawn: list[tuple[Any, ...]] = []
        while len(drawn) < least or any(
            set(used) != set(choices)
            for used, choices in zip(zip(*drawn, strict=True), self.choices, strict=True)
        ):
            drawn.append(every[len(drawn) * step % len(every)])
        return drawn

    def requests(self, app: Flask) -> list[tuple[str, Rule, tuple[Any, ...]]]:
        """Return requests by each method to each address, until each choice is used.

        With 25 of each, which take minutes, nothing more is found.
        """
        places = [
            (method, rule)
            for rule in app.url_map.iter_rules()
            for method in self.methods
            if method in (rule.methods or ())
        ]
        drawn = self.draw(self.examples * len(places))
        return [(*place, one) for place, one in zip(cycle(places), drawn, strict=False)]


# The last of the choices changes with every request.
KINDS = {
    "many in the query": Kind(
        BOTH,
        lambda value, name: {"query_string": pairs(name, value, QUERY)},
        (VALUES, NAMES),
    ),
    "a long one in the query": Kind(
        BOTH,
        lambda piece, name: {"query_string": f"{name}={repeat(quote(piece), QUERY)}"},
        (PIECES, NAMES),
    ),
    "many in the cookie": Kind(
        ("GET", "POST"),
        lambda value, name: {"headers": {"Cookie": f"recipe={pairs(name, value, READ_HEADERS)}"}},
        (VALUES, NAMES),
    ),
    "a long one in the cookie": Kind(
        ("GET", "POST"),
        lambda piece, name: {
            "headers": {"Cookie": f"recipe={name}={repeat(quote(piece), READ_HEADERS)}"}
        },
        (PIECES, NAMES),
    ),
    "a header": Kind(
        BOTH,
        lambda piece, size, name: {"headers": {name: repeat(piece, size)}},
        (
            [piece for piece in PIECES if piece.isascii()],
            [READ_HEADERS, HEADERS],
            [*LISTED_HEADERS, "Cookie"],
        ),
    ),
    "many in a form": Kind(
        ("POST",),
        lambda value, size, name: urlencoded(pairs(name, value, size)),
        (VALUES, FORM_SIZES, NAMES),
    ),
    "many parts of a form": Kind(
        ("POST",),
        lambda value, name: multipart_of(
            "".join(field(name.replace("{n}", str(n)), value) for n in range(PARTS))
        ),
        (VALUES, NAMES),
    ),
    "many files in a form": Kind(
        ("POST",),
        lambda name: multipart_of(
            f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n\r\nx\r\n'
            * PARTS
        ),
        (["images", "file", "x"],),
        examples=3,
    ),
    "a long part of a form": Kind(
        ("POST",),
        lambda piece, size, name: multipart_of(
            field(name, f"[{repeat(piece, size)}]".replace(",]", "]"))
        ),
        (PIECES, FORM_SIZES, NAMES),
    ),
    "the header of a part": Kind(
        ("POST",),
        lambda size, piece: multipart_of(
            f'--b\r\nContent-Disposition: form-data; name="x"{repeat(piece, size)}\r\n\r\nx\r\n'
        ),
        (FILE_SIZES, ["; a=b", ";a*0=b", "\\", "; ", '; a="', "\r\nA: b", "\r\n b"]),
    ),
    "the name of a file": Kind(
        ("POST",),
        lambda size, name, piece: multipart_of(
            f'--b\r\nContent-Disposition: form-data; name="{name}";'
            f' filename="{repeat(piece, size)}"\r\n\r\nx\r\n'
        ),
        (FILE_SIZES, ["images", "file"], [piece for piece in PIECES if '"' not in piece]),
    ),
}


@pytest.mark.no_cover  # Its tracing would take most of the time.
@pytest.mark.parametrize("kind", KINDS)
def test_repeated_parts_cost_little_at_every_address(server: Server, kind: str) -> None:
    for method, rule, drawn in KINDS[kind].requests(server.app):
        path, request = server.path(rule), KINDS[kind].build(*drawn)
        assert_cheap(
            lambda: server.send(method, path, **request),  # noqa: B023
            (method, path, drawn),
        )


# JSON

ITEMS = [
    *("{}", "[]", "null", "0", '""', '"square"', '"web-set"', '{"a": 0}', '{"width": 0}', "[[0]]"),
    *('{"width": 1}', '{"width": {n}}', '{"presets": ["square"]}', '{"focus": [0, 1]}'),
]


def fill(item: str, joiner: str = ",") -> str:
    """Fill nearly the largest body with an item, which may be numbered."""
    size = MAX_JSON_BYTES - 100
    items = (item.replace("{n}", str(n)) for n in range(size // len(item + joiner)))
    return joiner.join(items)[:size]


VALUES_OF_JSON = {
    **{f"a list of {item}": f"[{fill(item)}]" for item in ITEMS},
    "an object": "{" + fill('"{n}": 0') + "}",
    "a list of lists": fill("[", ""),
    "an object of objects": fill('{"a":', ""),
    "a text": '"' + fill("a", "") + '"',
    "a text of escapes": '"' + fill(r"\u0100", "") + '"',
    "an address": '"https://' + fill("a.", "") + '"',
    "a number": fill("1", ""),
    "a fraction": "0." + fill("1", ""),
}


def json_bodies(kind: type[Struct], value: str) -> Iterator[str]:
    """Put a value into a body, into each of its fields, and into those of what it lists."""
    yield value
    yield f'{{"x": {value}}}'
    for one in fields(kind):
        yield f'{{"{one.encode_name}": {value}}}'
        if listed := list_of(one.type):
            inner = json_bodies(listed[0], value)
            yield from (f'{{"{one.encode_name}": [{body}]}}' for body in inner)


@pytest.mark.no_cover
@pytest.mark.parametrize("shape", VALUES_OF_JSON)
def test_json_costs_little_in_every_operation(server: Server, shape: str) -> None:
    value = VALUES_OF_JSON[shape]
    rules = {rule.endpoint: rule for rule in server.app.url_map.iter_rules()}
    for one in [one for one in OPERATIONS if JSON in one.bodies]:
        path = server.path(rules[f"api.{one.name}"])
        for body in json_bodies(one.bodies[JSON], value):
            assert_quick(
                lambda: server.send(one.method, path, data=body, content_type=JSON),  # noqa: B023
                (one.method, path, body[:40]),
            )
    recipe = multipart_of(field("recipe", value))
    assert_quick(lambda: server.send("POST", "/api/v1/jobs", **recipe), "recipe")


# Costly reads


@pytest.fixture(scope="module")
def large_job(server: Server) -> tuple[str, str]:
    """Create the largest job, as rows without files; return ids of job and image."""
    square = Output("square", 20, 20, "cover")
    recipe = Recipe(tuple(replace(square, name=f"square-{n}") for n in range(20)))
    job_id = server.jobs.submit(recipe, server.jobs.job(server.job_id).owner)
    images = [str(UUID(int=n)) for n in range(500)]
    size = {"format": "jpeg", "width": 20, "height": 20}
    place = {"name": "a.jpg", "bytes": 1000, "had_gps": 0, "created": 0, "queued": 0}
    with server.jobs.store.db.transaction() as db:
        db.table("images").insert_all(
            {"id": image, "job_id": job_id, "position": n, "status": "done", **place, **size}
            for n, image in enumerate(images)
        )
        db.table("thumbnails").insert_all(
            {
                **{"image_id": image, "folder": f"{job_id}/{image}-1", "number": n, "bytes": 1000},
                **{"file_name": output.file_name, "quality": 80, **size},
            }
            for image in images
            for n, output in enumerate(recipe.outputs)
        )
    return job_id, images[0]


@pytest.mark.no_cover
def test_head_costs_little_at_every_address(server: Server, large_job: tuple[str, str]) -> None:
    # The page of this job takes 0.5 s, and its zip 2 s.
    for rule in server.app.url_map.iter_rules():
        if "HEAD" in (rule.methods or ()):
            path = replace(server, job_id=large_job[0], image_id=large_job[1]).path(rule)
            assert_cheap(lambda: server.send("HEAD", path), path)  # noqa: B023


@pytest.mark.no_cover
def test_one_point_for_all_images_costs_no_more_than_a_name(
    server: Server, large_job: tuple[str, str]
) -> None:
    def seconds(changes: dict[str, Any]) -> float:
        return measure(
            lambda: server.send("PATCH", f"/api/v1/jobs/{large_job[0]}", json=changes), False
        )[0]

    pairs = [(seconds({"focal_point": [0.1, 0.1]}), seconds({"name": "a"})) for _ in range(5)]
    assert any(point < 2 * name for point, name in pairs), pairs


WIDTHS = "responsive-widths=" + "1+" * 1000 + "&responsive-formats=webp" * 250


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("POST", "/jobs/open", urlencoded(WIDTHS)),
        ("GET", "/?widths=" + "1+" * 800 + "&formats=webp" * 150, {}),
        (
            "GET",
            "/",
            {"headers": {"Cookie": "recipe=widths=" + "1+" * 2000 + "&formats=webp" * 300}},
        ),
        ("GET", "/?" + "w=1&" * 1000, {}),
        ("GET", "/?" + "".join(f"w{n}=1&" for n in range(1, 99)), {}),
    ],
)
def test_product_of_two_lists_costs_little(
    server: Server, method: str, path: str, request_: dict[str, Any]
) -> None:
    assert_cheap(lambda: server.send(method, path, **request_), path[:80])
