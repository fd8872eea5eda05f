"""Who calls an instance: programs and browsers, over HTTP alone."""

import http.client
import re
import time
from collections.abc import Mapping
from email.message import Message
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.support.pages import Page
from tests.support.people import find_token

JOBS = "api/v1/jobs"
SECONDS = 60.0  # For any job: the instance may be busy with others.


class Caller:
    """Keep cookies, follow nothing, and delete the jobs that it made.

    Paths are relative to the base URL, and links are taken as they came. None may lead elsewhere.
    """

    def __init__(self, base_url: str, accept: str, token: str = "") -> None:
        self.base_url = base_url
        self._token = token
        self._session = requests.Session()
        self._session.headers["Accept"] = accept
        self._session.auth = self._authorize
        self._made: list[str] = []

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Send the token; without one, at least none of the file `.netrc`."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def address(self, link: str) -> str:
        """Return the whole address of a path or a link of ours."""
        address = urljoin(f"{self.base_url}/", link)
        assert address == self.base_url or address.startswith(f"{self.base_url}/"), (
            f"{link} leads out of {self.base_url}"
        )
        return address

    def request(self, method: str, link: str, **options: Any) -> requests.Response:
        """Send a request; `options` are those of requests."""
        return self._session.request(
            method, self.address(link), allow_redirects=False, timeout=SECONDS, **options
        )

    def get(self, link: str, **options: Any) -> requests.Response:
        return self.request("GET", link, **options)

    def post(self, link: str, **options: Any) -> requests.Response:
        return self.request("POST", link, **options)

    def create(self, image: bytes, recipe: str = "preset=square", **options: Any) -> Any:
        """Make a job of one image, the body of a request; return it when it is finished."""
        headers = {"Content-Type": "application/octet-stream", **options.pop("headers", {})}
        answer = self.post(f"{JOBS}?{recipe}&wait=20", data=image, headers=headers, **options)
        assert answer.status_code in {201, 202}, answer.text
        job = answer.json()
        self.keep_track(job["id"])
        return self.finish(job)

    def finish(self, job: Any) -> Any:
        """Wait until a job is finished; return it."""
        deadline = time.monotonic() + SECONDS
        while not job["is_finished"]:
            assert time.monotonic() < deadline, f"not finished within {SECONDS} s: {job}"
            answer = self.get(job["links"]["job"], headers={"Prefer": "wait=20"})
            time.sleep(int(answer.headers.get("Retry-After", 0)))  # If no thread was free to wait.
            job = answer.json()
        return job

    def keep_track(self, job_id: str) -> None:
        """Note a job, to delete it in the end."""
        self._made.append(job_id)

    def clean_up(self) -> list[str]:
        """Delete all jobs; return those that could not be."""
        left = []
        for job_id in self._made:
            answer = self.request("DELETE", f"{JOBS}/{job_id}")
            if answer.status_code not in {204, 410}:
                left.append(f"{job_id}: {answer.status_code} {answer.text}")
        self._session.close()
        return left

    def announce(
        self, link: str, length: int | None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Message, bytes]:
        """Send the head of an upload alone, of so many bytes; return the answer.

        The server refuses such a request before it reads its body. The test is skipped where a
        proxy in front waits for the body first.
        """
        place = urlsplit(self.address(link))
        secure = place.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(place.hostname or "", place.port, timeout=10)
        try:
            connection.putrequest("POST", place.path)
            accept = str(self._session.headers["Accept"])
            sent = {"Accept": accept, "Content-Type": "multipart/form-data; boundary=x"}
            if self._token:
                sent["Authorization"] = f"Bearer {self._token}"
            if length is not None:
                sent["Content-Length"] = str(length)
            for name, value in {**sent, **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        except TimeoutError:
            pytest.skip("A proxy in front waits for the body.")
        finally:
            connection.close()


class Browser(Caller):
    """A browser without JavaScript; where access is restricted, a person signs in."""

    def __init__(self, base_url: str, token: str = "") -> None:
        super().__init__(base_url, "text/html,application/xhtml+xml,*/*;q=0.8")
        if token:
            self._sign_in(token)

    def _sign_in(self, token: str) -> None:
        page = self.page("sign-in")
        form = {"csrf_token": find_token(page.html), "token": token, "next": "/"}
        answer = self.post(page.value("form.sign-in", "action"), data=form)
        assert answer.status_code == 303, f"The token is not accepted: {answer.status_code}"

    def page(self, link: str) -> "WebPage":
        answer = self.get(link)
        assert answer.status_code == 200, f"{link}: {answer.status_code} {answer.text[:500]}"
        return WebPage(answer)

    def upload(self, *images: tuple[str, bytes], **fields: str) -> requests.Response:
        """Fill in the form of the upload page with the square preset, and send it."""
        page = self.page("")
        form = {"csrf_token": find_token(page.html), "presets": "square", **fields}
        files = [("images", image) for image in images]
        answer = self.post(page.value("#upload", "action"), data=form, files=files)
        if answer.status_code == 303:
            self.keep_track(answer.headers["Location"].rpartition("/")[2])
        return answer

    def finished_page(self, link: str) -> "WebPage":
        """Load the page of a job until it no longer loads itself again, as browsers do."""
        deadline = time.monotonic() + SECONDS
        while "noscript" in (page := self.page(link)).html:
            assert time.monotonic() < deadline, f"not finished within {SECONDS} s: {link}"
            time.sleep(0.2)
        return page


class WebPage(Page):
    """A page as it came, with all that it links to."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(answer.text)
        self.html, self.headers = answer.text, answer.headers

    def links(self) -> list[str]:
        """List the addresses in all attributes that have some, but for parts of the page."""
        names = ("href", "src", "srcset", "action", "hx-get", "hx-post", "data-url", "poster")
        found = [
            part.split()[0]
            for name in names
            for value in self.values(f"[{name}]", name)
            for part in (value.split(",") if name == "srcset" else [value])
            if part.strip()
        ]
        return [link for link in found if not re.match(r"#|data:|blob:", link)]
