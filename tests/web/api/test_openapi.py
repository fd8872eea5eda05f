"""The OpenAPI document says what the server does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema_rs import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from tests.support.app import running_app
from webapp.config import VERSION, Config
from webapp.web.errors import list_codes

DOCUMENT = "/api/v1/openapi.json"
OTHERS = {"/upload_image", "/jobs", "/healthcheck"} | {
    f"/{name}/{{job_id}}" for name in ("check_job_status", "download_thumbnail")
}
METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture
def document(client: FlaskClient) -> Any:
    return client.get(DOCUMENT).json


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_document_is_valid_openapi(document: Any) -> None:
    Draft202012Validator(OPENAPI_31).validate(document)


def test_document_has_every_route_of_the_api_and_no_other(app: Flask, document: Any) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method.lower() in METHODS
    }
    described = {(path, method) for path, method, _ in operations(document)}
    assert {one for one in served if one[0].startswith("/api/")} <= described
    assert described <= served
    assert {path for path, _ in described if not path.startswith("/api/")} == OTHERS


def test_every_operation_has_a_name_of_its_own(document: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_reference_leads_to_something(document: Any) -> None:
    for reference in set(references(document)):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_body_of_json_has_an_example(document: Any) -> None:
    for _, _, operation in operations(document):
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            assert kind != "application/json" or body["example"]


def test_every_example_fits_its_schema(document: Any) -> None:
    checked = 0
    for part in with_example(document):
        schema = {**part["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate(part["example"])
        checked += 1
    assert checked > 5


def with_example(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        if "example" in part and "schema" in part:
            yield part
        for value in part.values():
            yield from with_example(value)
    elif isinstance(part, list):
        for value in part:
            yield from with_example(value)


def test_document_names_the_host_that_was_asked(client: FlaskClient) -> None:
    document: Any = client.get(DOCUMENT, base_url="https://thumbs.example").json
    assert document["servers"] == [{"url": "https://thumbs.example"}]
    assert document["info"]["version"] == VERSION


def test_unchanged_document_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get(DOCUMENT).headers["ETag"]
    assert client.get(DOCUMENT, headers={"If-None-Match": etag}).status_code == 304


def test_errors_of_an_operation_have_their_codes(document: Any) -> None:
    errors = document["components"]["responses"]
    assert "`job_deleted` or `job_expired`" in errors["Error410"]["description"]
    named = {code for one in errors.values() for code in re.findall(r"`(\w+)`", one["description"])}
    assert named - {"code"} <= list_codes().keys()


def test_new_job_links_to_what_can_be_done_with_it(document: Any) -> None:
    links = document["paths"]["/api/v1/jobs"]["post"]["responses"]["202"]["links"]
    assert links["get_job"]["parameters"] == {"job_id": "$response.body#/id"}
    assert {"close_job", "delete_job", "download_zip"} <= links.keys()


def test_webhook_is_described(document: Any) -> None:
    body = document["webhooks"]["job.finished"]["post"]["requestBody"]["content"]
    assert body == {"application/json": {"schema": {"$ref": "#/components/schemas/JobFinished"}}}


def test_changes_need_a_token_where_access_is_closed(tmp_path: Path) -> None:
    config = Config(instance=tmp_path / "closed", access_token="a" * 40)
    with running_app(config) as app:
        document: Any = app.test_client().get(DOCUMENT).json
    assert {} not in document["paths"]["/api/v1/jobs"]["post"]["security"]
    assert {} in document["paths"]["/api/v1/limits"]["get"]["security"]
