"""The people who use an application, and what they send."""

import io
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from tests.support.forms import encode_form
from tests.support.images import make_jpeg
from tests.support.pages import Page, check_page


def part(data: bytes, name: str) -> FileStorage:
    """Make one file of a form."""
    return FileStorage(io.BytesIO(data), filename=name)


def multipart(**fields: Any) -> dict[str, Any]:
    """Encode a form in memory: Werkzeug's client leaves files of large ones open."""
    content_type, data = encode_form(fields)
    return {"data": data, "content_type": content_type}


def find_token(page: str) -> str:
    """Read the CSRF token from a page with a form."""
    return Page(page).values('input[name="csrf_token"]')[0]


class Person:
    """A person without JavaScript, who keeps cookies and sends whole forms."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self._token = ""

    def get(self, path: str) -> TestResponse:
        """Get a page or a file; every page is checked."""
        answer = self.client.get(path, headers={"Accept": "text/html"})
        if answer.mimetype == "text/html" and answer.location is None:
            check_page(answer)
        return answer

    def page(self, path: str) -> Page:
        return Page(self.get(path).text)

    def token(self) -> str:
        """Read the CSRF token from the upload page, once."""
        self._token = self._token or find_token(self.get("/").text)
        return self._token

    def post(self, path: str, **fields: object) -> TestResponse:
        form = multipart(csrf_token=self.token(), **fields)
        return self.client.post(path, headers={"Accept": "text/html"}, **form)

    def post_by_htmx(self, path: str, **fields: object) -> TestResponse:
        form = multipart(csrf_token=self.token(), **fields)
        return self.client.post(path, headers={"Accept": "text/html", "HX-Request": "true"}, **form)

    def upload(self, *files: tuple[bytes, str], **fields: object) -> TestResponse:
        """Send the form with these files; the preset is the square by default."""
        images = [part(data, name) for data, name in files]
        return self.post("/", **{"images": images, "presets": "square", **fields})

    def submit(self, *images: bytes | tuple[bytes, str], **fields: object) -> str:
        """Submit a job, and return the path of its page.

        Images without a name are called 1.jpg, 2.jpg and so on.
        """
        named = [
            (image, f"{number}.jpg") if isinstance(image, bytes) else image
            for number, image in enumerate(images, 1)
        ]
        return self.upload(*named, **fields).headers["Location"]


def addresses_of(opened: Any) -> dict[str, str]:
    """Read the addresses of a job that was just opened, and its id."""
    page = Page(opened["page"])
    return {
        "id": opened["url"].rpartition("/")[2],
        "url": opened["url"],
        "panel_url": page.value("#job-panel", "data-url"),
        "images_url": page.value("#frames", "data-images"),
        "close_url": page.value("#frames", "data-close"),
        "reopen_url": page.value("#frames", "data-reopen"),
    }


class Script(Person):
    """The page's own script: asks for JSON and sends one file a request."""

    def send(self, path: str, **fields: object) -> TestResponse:
        headers = {"Accept": "application/json", "X-CSRFToken": self.token()}
        return self.client.post(path, headers=headers, **multipart(**fields))

    def create(self, **fields: object) -> dict[str, str]:
        response = self.send("/jobs/open", **{"presets": "square", **fields})
        assert response.status_code == 201, response.text
        return addresses_of(response.json)

    def add(self, job: dict[str, str], data: bytes, name: str = "a.jpg") -> TestResponse:
        return self.send(job["images_url"], images=part(data, name))


def upload_image(client: FlaskClient, image: bytes, **request: Any) -> TestResponse:
    """Upload an image as a program does."""
    return client.post("/upload_image", **multipart(file=part(image, "a.jpg")), **request)


def upload_from(app: Flask, address: str = "192.0.2.1") -> TestResponse:
    """Upload an image from an address, without cookies."""
    environ = {"REMOTE_ADDR": address}
    return upload_image(app.test_client(), make_jpeg(), environ_overrides=environ)
