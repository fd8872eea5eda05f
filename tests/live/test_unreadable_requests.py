"""Requests that the application never sees get its headers and its words."""

import json
import socket

import pytest

from tests.support.servers import Client, Servers, wait_until
from webapp.web.security import HEADERS

pytestmark = pytest.mark.live

MANY_FIELDS = b"".join(b"X-%d: x\r\n" % number for number in range(120))
BROWSER = b"Host: x\r\nAccept: text/html,*/*;q=0.8\r\n"
PROGRAM = b"Host: x\r\nAccept: */*\r\n"


def send(client: Client, request: bytes) -> tuple[int, dict[str, str], str]:
    """Send what no client sends; return the answer's status, headers and body."""
    with socket.create_connection((client.host, client.port), timeout=30) as connection:
        connection.sendall(request)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return int(line.split()[1]), dict(field.split(": ", 1) for field in fields), body.decode()


# Of these, the headers are read, or the line of the request at least.
READ = {
    "header-without-a-name": (b"%s: x\r\n", 400, "bad_request"),
    "two-lengths": (b"Content-Length: 1\r\nContent-Length: 2\r\n%s", 400, "bad_request"),
    "length-that-is-no-number": (b"Content-Length: x\r\n%s", 400, "bad_request"),
    "folded-header": (b"X-A: b\r\n c\r\n%s", 400, "bad_request"),
    "unknown-expectation": (b"Expect: x\r\n%s", 417, "expectation_failed"),
    "too-many-headers": (MANY_FIELDS + b"%s", 431, "request_header_fields_too_large"),
    "long-header": (b"X-A: " + b"a" * 9000 + b"\r\n%s", 431, "request_header_fields_too_large"),
    "unknown-transfer-coding": (b"Transfer-Encoding: x\r\n%s", 501, "not_implemented"),
}
UNREAD = {
    "not-http": (b"hello\r\n\r\n", 400, "bad_request"),
    "unknown-version": (b"GET / HTTP/3.0\r\n" + PROGRAM + b"\r\n", 400, "bad_request"),
    "strange-method": (b"g\x1bt / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "bytes-in-the-address": (b"GET /\xff HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "bare-line-feed": (b"GET / HTTP/1.1\n\n", 400, "bad_request"),
    "long-link": (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 9000), 414, "request_uri_too_long"),
}


def with_headers(template: bytes, headers: bytes, line: bytes = b"GET / HTTP/1.1\r\n") -> bytes:
    return line + headers + template.replace(b"%s", b"") + b"\r\n"


def assert_has_our_headers(headers: dict[str, str], body: str) -> None:
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert headers["Connection"] == "close"
    assert headers["Content-Length"] == str(len(body.encode()))
    assert "X-Request-ID" in headers


@pytest.mark.parametrize("name", READ)
def test_browser_gets_our_page_for_headers_that_cannot_be_read(client: Client, name: str) -> None:
    template, expected, code = READ[name]
    status, headers, body = send(client, with_headers(template, BROWSER))
    assert (status, headers["Content-Type"]) == (expected, "text/html; charset=utf-8")
    assert f"<span>{code}</span>" in body
    assert 'rel="stylesheet"' in body
    assert_has_our_headers(headers, body)


@pytest.mark.parametrize("name", READ)
def test_program_gets_json_for_headers_that_cannot_be_read(client: Client, name: str) -> None:
    template, expected, code = READ[name]
    status, headers, body = send(client, with_headers(template, PROGRAM))
    assert (status, json.loads(body)["code"]) == (expected, code)
    assert_has_our_headers(headers, body)


@pytest.mark.parametrize("name", UNREAD)
def test_page_is_for_all_where_no_header_was_read(client: Client, name: str) -> None:
    request, expected, code = UNREAD[name]
    status, headers, body = send(client, request)
    assert status == expected
    assert f"<span>{code}</span>" in body
    assert_has_our_headers(headers, body)


def assert_is_problem(answer: tuple[int, dict[str, str], str], expected: int, code: str) -> None:
    """Check for the problem of a program whose host is not known."""
    status, headers, body = answer
    assert (status, headers["Content-Type"]) == (expected, "application/problem+json")
    problem = json.loads(body)
    assert (problem["code"], problem["type"]) == (code, f"/docs#{code}")
    assert_has_our_headers(headers, body)


@pytest.mark.parametrize("headers", [BROWSER, PROGRAM], ids=["browser", "program"])
@pytest.mark.parametrize("name", READ)
def test_api_answers_headers_that_cannot_be_read_with_a_problem(
    client: Client, name: str, headers: bytes
) -> None:
    template, expected, code = READ[name]
    request = with_headers(template, headers, b"GET /api/v1/jobs HTTP/1.1\r\n")
    assert_is_problem(send(client, request), expected, code)


LINES = {
    "long-link": (b"GET /api/v1/jobs?a=%s HTTP/1.1" % (b"a" * 5000), 414, "request_uri_too_long"),
    "very-long-link": (b"GET /api/%s HTTP/1.1" % (b"a" * 90_000), 414, "request_uri_too_long"),
    "lower-case-method": (b"get /api/v1/jobs HTTP/1.1", 400, "bad_request"),
    "bytes-in-the-address": (b"GET /api/v1/jobs/\xff HTTP/1.1", 400, "bad_request"),
    "absolute-address": (b"GET https://x/api/v1/\xff HTTP/1.1", 400, "bad_request"),
    "unknown-version": (b"GET /api/v1/jobs HTTP/3.0", 400, "bad_request"),
    "no-version": (b"GET /api/v1/jobs", 400, "bad_request"),
}


@pytest.mark.parametrize("name", LINES)
def test_api_answers_a_line_that_cannot_be_read_with_a_problem(client: Client, name: str) -> None:
    line, expected, code = LINES[name]
    assert_is_problem(send(client, line + b"\r\n" + PROGRAM + b"\r\n"), expected, code)


def test_of_a_long_link_the_log_has_the_beginning(servers: Servers, client: Client) -> None:
    send(client, b"GET /long/%s HTTP/1.1\r\n\r\n" % (b"a" * 9000))
    wait_until(lambda: "path=/long/" in servers.output(), what="a line in the log")
    assert "a" * 500 not in servers.output()


def test_clients_of_thumbnail_api_get_their_detail(client: Client) -> None:
    line = b"POST /upload_image HTTP/1.1\r\n"
    _, _, body = send(client, with_headers(b"Expect: x\r\n", PROGRAM, line))
    assert list(json.loads(body)) == ["detail"]


def test_head_gets_headers_alone(client: Client) -> None:
    line = b"HEAD / HTTP/1.1\r\n"
    status, headers, body = send(client, with_headers(b"Expect: x\r\n", BROWSER, line))
    assert (status, body) == (417, "")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("header", "kind"),
    [(b"Cookie secret", "InvalidHeader"), (b"Transfer-Encoding: secret", "UnsupportedTransfer")],
)
def test_nothing_of_an_unreadable_header_is_logged(
    servers: Servers, client: Client, header: bytes, kind: str
) -> None:
    send(client, b"GET / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
    wait_until(lambda: f": {kind}" in servers.output(), what="a line in the log")
    assert "secret" not in servers.output()
    assert "Traceback" not in servers.output()


def test_rest_of_a_body_that_cannot_be_read_gets_no_second_answer(client: Client) -> None:
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + PROGRAM + b"\r\nnonsense\r\n"
    _, headers, body = send(client, chunked)
    assert len(body) == int(headers["Content-Length"])
