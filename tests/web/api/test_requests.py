"""What requests of the API say wrong, all at once."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.images import make_jpeg
from tests.support.jobs import nothing_left
from tests.support.people import multipart
from tests.support.programs import JOBS, create, open_job, wrong_fields
from webapp.jobs.lifecycle import Jobs
from webapp.web.api.forms import FORM_FIELDS

JSON = "application/json"


def test_every_wrong_field_is_told(client: FlaskClient, jobs: Jobs) -> None:
    outputs = [
        {"width": 0, "fit": "fill", "sharpen": True},
        {"format": "webp"},
        {"width": 64, "fit": "cover", "format": "gif"},
        {"width": 64},
    ]
    presets = ["square", "poster"]
    body = {"presets": presets, "outputs": outputs, "keep_hours": "long", "a/b~c": 1}
    assert wrong_fields(client.post(JOBS, json=body)) == {
        "#/a~1b~0c": "There is no such field.",
        "#/outputs/0/sharpen": "There is no such field.",
        "#/outputs/0/width": "This must be a whole number from 1 to 4096 or null.",
        "#/outputs/0/fit": "This must be one of contain, cover, pad.",
        "#/keep_hours": "This must be a number of at least 0.01 or null.",
        "#/outputs/1/width": "Give a width, a height or both.",
        "#/outputs/2/height": "Fit cover needs both a width and a height.",
        "#/outputs/2/format": "GIF is for animations; for a still picture, take png.",
        "#/presets/1": "There is no preset of that name.",
    }
    assert nothing_left(jobs)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/outputs"),
        ({"presets": ["poster"]}, "#/presets/0"),
        ({"presets": "square"}, "#/presets"),
        ({"outputs": [{"width": 64}] * 2, "name": 5}, "#/name"),
        ({"outputs": [[]]}, "#/outputs/0"),
        ({"outputs": [{"width": 4096 + n} for n in (1,)]}, "#/outputs/0/width"),
        ({"outputs": [{"width": n} for n in range(1, 40)]}, "#/outputs"),
        ({"outputs": [{"width": 64, "name": "A B"}]}, "#/outputs/0/name"),
        ({"outputs": [{"width": 64, "background": "red"}]}, "#/outputs/0/background"),
        ({"outputs": [{"width": 64, "focus": [0, 7]}]}, "#/outputs/0/focus"),
        ({"presets": ["square"], "keep_hours": None}, "#/keep_hours"),
        ({"presets": ["square"], "keep_hours": 1e-9}, "#/keep_hours"),
        ([], "#"),
        (None, "#"),
    ],
)
def test_wrong_field_is_pointed_at(client: FlaskClient, body: Any, pointer: str) -> None:
    assert list(wrong_fields(client.post(JOBS, data=json.dumps(body), content_type=JSON))) == [
        pointer
    ]


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("wdth", "64", "#/wdth"),
        ("width", "wide", "#/width"),
        ("format", "bmp", "#/format"),
        ("recipe", "{", "#/recipe"),
        ("recipe", '{"outputs": [{"width": 0}]}', "#/recipe/outputs/0/width"),
        ("preset", "poster", "#/presets/0"),
        ("enlarge", "perhaps", "#/enlarge"),
        ("keep_hours", "-1", "#/keep_hours"),
        ("keep_hours", "0.000001", "#/keep_hours"),
        ("keep_hours", "nan", "#/keep_hours"),
    ],
)
def test_wrong_field_of_a_form_is_pointed_at(
    client: FlaskClient, jobs: Jobs, field: str, value: str, pointer: str
) -> None:
    assert pointer in wrong_fields(create(client, make_jpeg(), **{field: value}))
    assert nothing_left(jobs)


def test_empty_fields_of_a_form_count_for_nothing(client: FlaskClient) -> None:
    empty = dict.fromkeys(FORM_FIELDS, "")
    assert create(client, make_jpeg(), **{**empty, "preset": "square"}).status_code == 202


def test_answer_to_many_wrong_fields_is_short(client: FlaskClient) -> None:
    body = {"outputs": [{"width": 0}] * 200}
    assert len(wrong_fields(client.post(JOBS, json=body))) == 50


@pytest.mark.parametrize("field", ["outputs", "presets"])
def test_list_beyond_every_setting_is_not_read(client: FlaskClient, field: str) -> None:
    wrong = wrong_fields(client.post(JOBS, json={field: [{}] * 201}))
    assert wrong == {f"#/{field}": "This must be a list of at most 200."}


def test_long_json_is_refused_unread(client: FlaskClient) -> None:
    answer = client.post(JOBS, data=b" " * 300_000, content_type=JSON)
    assert (answer.status_code, answer.json["code"]) == (413, "request_too_large")  # type: ignore[index]


def test_every_wrong_field_of_a_form_is_told(client: FlaskClient) -> None:
    wrong = {"width": "0", "format": "bmp", "quality": "999", "focus": "9,9", "fit": "x"}
    found = wrong_fields(create(client, make_jpeg(), **wrong, enlarge="maybe", keep_hours="999"))
    assert found.keys() == {f"#/{name}" for name in [*wrong, "enlarge", "keep_hours"]}
    assert found["#/format"] == "This must be one of avif, gif, jpeg, png, webp, source."


def test_wrong_links_are_told_with_all_else(client: FlaskClient) -> None:
    links = {"url": "ftp://a.test", "callback_url": "b"}
    for request_ in (
        {"json": {"presets": ["square"], **links}},
        multipart(preset="square", **links),
    ):
        assert wrong_fields(client.post(JOBS, **request_)).keys() == {"#/url", "#/callback_url"}


def test_field_that_is_sent_twice_is_refused(client: FlaskClient) -> None:
    assert list(wrong_fields(create(client, make_jpeg(), width=["64", "65"]))) == ["#/width"]


def test_unknown_parameter_is_refused_everywhere(client: FlaskClient) -> None:
    url = create(client, make_jpeg()).headers["Location"]
    for path in (JOBS, url, f"{url}/thumbnails.zip", "/api/v1/limits"):
        assert list(wrong_fields(client.get(f"{path}?wide=1"))) == ["#/wide"]


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": "width=64"},
        {"data": {"width": "64"}},
        multipart(width="64"),
        {"query_string": "width=64", "content_type": "image/jpeg"},
    ],
)
def test_only_json_opens_a_job_without_images(
    client: FlaskClient, jobs: Jobs, request_: dict[str, Any]
) -> None:
    answer = client.post(JOBS, **request_)
    assert answer.json is not None
    assert answer.json["code"] in ("no_images", "empty", "length_required")
    assert nothing_left(jobs)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"a": 1e999}x'])
def test_body_that_is_not_json_is_refused(client: FlaskClient, body: bytes) -> None:
    answer = client.post(JOBS, data=body, content_type=JSON)
    assert (answer.status_code, answer.json["code"]) == (400, "unreadable_body")  # type: ignore[index]


def test_change_is_sent_as_json(client: FlaskClient) -> None:
    url = create(client, make_jpeg()).headers["Location"]
    answer = client.patch(url, data="name=Spring", content_type="text/plain")
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_body")  # type: ignore[index]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("wait=soon", "#/wait"),
        ("limit=0", "#/limit"),
        ("cursor=x", "#/cursor"),
        # 2 ** 40 and a row beyond what the database counts.
        ("cursor=MHgxcDQwIDk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "#/cursor"),
    ],
)
def test_wrong_query_is_pointed_at(client: FlaskClient, query: str, pointer: str) -> None:
    url = JOBS if "wait" not in query else create(client, make_jpeg()).headers["Location"]
    assert list(wrong_fields(client.get(f"{url}?{query}"))) == [pointer]


def test_wrong_wait_makes_and_changes_nothing(client: FlaskClient, jobs: Jobs) -> None:
    assert list(wrong_fields(create(client, make_jpeg(), path=f"{JOBS}?wait=soon"))) == ["#/wait"]
    assert nothing_left(jobs)
    url = open_job(client)["links"]["job"]
    before = client.get(url).json
    wrong_fields(client.patch(f"{url}?wait=soon", json={"name": "Spring"}))
    assert client.get(url).json == before


def test_fields_in_the_query_are_refused_beside_json(client: FlaskClient, jobs: Jobs) -> None:
    answer = client.post(f"{JOBS}?width=64&wait=0", json={"presets": ["square"]})
    assert wrong_fields(answer) == {"#/width": "With JSON, send this in the body."}
    assert nothing_left(jobs)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2/jobs"])
def test_address_that_is_not_there_is_a_problem_too(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_error_has_words_for_programs_and_people(client: FlaskClient) -> None:
    answer = client.get(f"{JOBS}/00000000-0000-4000-8000-000000000000")
    assert answer.mimetype == "application/problem+json"
    assert answer.json == {
        "type": "http://localhost/docs#job_not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no job at this link. It may have expired, or was deleted.",
        "instance": answer.headers["X-Request-ID"],
        "code": "job_not_found",
    }
