"""The page that documents the API is complete, and readable without scripts."""

import re
from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.images import make_jpeg
from tests.support.pages import Page
from tests.support.people import multipart, part
from webapp.config import ROOT
from webapp.web.errors import list_codes


@pytest.fixture
def docs(client: FlaskClient) -> Page:
    return Page(client.get("/docs").text)


@pytest.fixture
def document(client: FlaskClient) -> Any:
    return client.get("/api/v1/openapi.json").json


def test_every_operation_has_its_place_and_a_line_for_curl(docs: Page, document: Any) -> None:
    text = docs.one("main").text()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert docs.one(f"#{operation['operationId']}").text().strip() == (
                f"{method.upper()} {path}"
            )
        assert re.sub(r"\{(\w+)_id\}", lambda id: f"${id[1].upper()}", path) in text


def test_every_place_of_the_page_is_named_once(docs: Page) -> None:
    assert [name for name, count in Counter(docs.values("[id]", "id")).items() if count > 1] == []


def test_every_link_within_the_page_leads_somewhere(docs: Page) -> None:
    places = set(docs.values("[id]", "id"))
    links = [link for link in docs.values("main a", "href") if link.startswith("#")]
    assert [link for link in links if link.removeprefix("#") not in places] == []


def test_contents_list_every_section(docs: Page) -> None:
    listed = set(docs.values(".contents a", "href"))
    assert {f"#{name}" for name in docs.values("h2", "id")} <= listed


def test_every_code_of_an_error_has_its_place(docs: Page) -> None:
    assert list_codes().keys() <= set(docs.values("tr[id]", "id"))


def test_words_about_an_error_are_those_that_programs_get(client: FlaskClient, docs: Page) -> None:
    answer: Any = client.put("/api/v1/jobs").json
    assert answer["detail"] in docs.one(f"#{answer['code']}").text()


def test_every_code_of_an_error_is_in_the_document_too() -> None:
    document = (ROOT / "docs/http-api.md").read_text()
    listed = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", document, re.MULTILINE))
    assert {(str(status), code) for code, (status, _) in list_codes().items()} <= listed


def test_error_links_to_words_about_it(client: FlaskClient, docs: Page) -> None:
    problem: Any = client.get("/api/v1/jobs/00000000-0000-4000-8000-000000000000").json
    path, _, place = problem["type"].removeprefix("http://localhost").partition("#")
    assert path == "/docs"
    assert "There is no such job" in docs.one(f"#{place}").text()


def test_fields_of_a_body_are_a_table(docs: Page) -> None:
    fields = [table.text() for table in docs.all("table.fields") if "max_kb" in table.text()]
    assert fields
    assert all("a whole number from 1 to 100000" in table for table in fields)


def test_lines_for_curl_name_the_host_that_was_asked(client: FlaskClient) -> None:
    text = client.get("/docs", base_url="https://thumbs.example").text
    assert "https://thumbs.example/api/v1/jobs" in text
    assert "localhost" not in text


def test_code_that_is_answered_is_in_the_table(client: FlaskClient) -> None:
    answers = [
        client.post("/api/v1/jobs", json={"outputs": [{"width": 0}]}),
        client.post("/api/v1/jobs", data="{", content_type="application/json"),
        client.post("/api/v1/jobs", **multipart(file=part(b"no image", "a.jpg"), preset="square")),
        client.post("/api/v1/jobs", data=make_jpeg(), content_type="text/plain"),
        client.put("/api/v1/jobs"),
        client.get("/api/v1/jobs/00000000-0000-4000-8000-000000000000/markup?as=pdf"),
        client.get("/api/v1/nowhere"),
    ]
    codes = {(answer.json or {})["code"] for answer in answers}
    assert len(codes) > 4
    assert codes <= list_codes().keys()
