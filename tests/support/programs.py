"""Programs that use the API."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.people import multipart, part

JOBS = "/api/v1/jobs"
SQUARE = {"presets": ["square"]}


def create(client: FlaskClient, *files: bytes, path: str = JOBS, **fields: Any) -> TestResponse:
    """Create a job of these files by a form, with the square preset.

    Fields whose names begin with a capital letter are headers.
    """
    headers = {name.replace("_", "-"): fields.pop(name) for name in list(fields) if name.istitle()}
    parts = [part(data, f"{number}.jpg") for number, data in enumerate(files, 1)]
    form = multipart(**{"files": parts, "preset": "square", **fields})
    return client.post(path, headers=headers, **form)


def open_job(client: FlaskClient, **fields: Any) -> Any:
    """Open a job for more images, and return what the answer tells."""
    response = client.post(JOBS, json={**SQUARE, **fields})
    assert response.status_code == 201, response.text
    return response.json


def put(client: FlaskClient, url: str, image: bytes, **query: Any) -> TestResponse:
    """Send an image as the body of a request."""
    return client.put(url, query_string=query, data=image, content_type="image/jpeg")


def wrong_fields(response: TestResponse) -> dict[str, str]:
    """Return the sentence of each wrong field, by its pointer."""
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert response.json is not None
    return {error["pointer"]: error["detail"] for error in response.json["errors"]}
