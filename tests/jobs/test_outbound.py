"""Requests to servers that strangers name: which are refused, and what bad servers can do."""

import gzip
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.origins import (
    Behaviour,
    answer,
    drip,
    flood,
    hang_up,
    origin,
    redirect,
    say_nothing,
)
from webapp.config import Config
from webapp.jobs.outbound import send
from webapp.jobs.outbound_errors import RequestFailed, RequestRefused, RequestTimedOut
from webapp.jobs.urls import Guard

SECONDS = 10.0  # For all of a request;
SHORT = 0.25  # where a server does not hurry.
HEAD = b"HTTP/1.1 200 OK\r\n"


def fetch(url: str, allowed: str = "", seconds: float = SECONDS, limit: int = 10**6) -> bytes:
    """Return the body at a URL, or as much of it as the limit."""
    body = b""
    config = Config(allowed_private_hosts=allowed)  # type: ignore[arg-type]
    with send(config, "GET", url, seconds=seconds, max_redirects=3) as got:
        for piece in got.read():
            body += piece
            if len(body) > limit:
                break
    return body


def code_of(url: str, allowed: str = "", seconds: float = SECONDS) -> str:
    """Return the code of the error that a request ends with."""
    try:
        fetch(url, allowed, seconds)
    except (RequestRefused, RequestFailed) as error:
        return error.code
    return ""


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Let each look-up of a name give the next of these answers; addresses stay as they are.

    The resolver is not ours, and no test can have a name that is public.
    """
    real = socket.getaddrinfo
    left = list(answers)

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "pictures.example":
            return real(host, port, *args, **options)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [one for each in addresses for one in real(each, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


PRIVATE = {
    "loopback": "127.0.0.1",
    "short": "127.1",
    "decimal": "2130706433",
    "octal": "0177.0.0.1",
    "hexadecimal": "0x7f.0x0.0x0.0x1",
    "hexadecimal-number": "0x7f000001",
    "loopback-v6": "[::1]",
    "mapped": "[::ffff:127.0.0.1]",
    "mapped-hexadecimal": "[::ffff:7f00:1]",
    "compatible": "[::127.0.0.1]",
    "nat64": "[64:ff9b::7f00:1]",
    "nat64-local": "[64:ff9b:1::7f00:1]",
    "6to4": "[2002:7f00:1::]",
    "teredo": "[2001:0:7f00:1::]",
    "metadata": "169.254.169.254",
    "metadata-v6": "[fd00:ec2::254]",
    "metadata-alibaba": "100.100.100.200",
    "metadata-oracle": "192.0.0.192",
    "metadata-azure": "168.63.129.16",
    "link-local-v6": "[fe80::1]",
    "translated": "[::ffff:0:127.0.0.1]",
    "site-local-v6": "[fec0::1]",
    "10": "10.0.0.1",
    "172.16": "172.16.0.1",
    "192.168": "192.168.0.1",
    "carrier": "100.64.0.1",
    "unspecified": "0.0.0.0",
    "unspecified-v6": "[::]",
    "zero": "0",
    "multicast": "224.0.0.1",
    "multicast-v6": "[ff02::1]",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "documentation": "192.0.2.1",
    "localhost": "localhost",
}


@pytest.mark.parametrize("host", PRIVATE.values(), ids=PRIVATE)
def test_no_private_address_is_reached_however_it_is_written(host: str) -> None:
    assert code_of(f"http://{host}/") == "address_refused"


@pytest.mark.parametrize("host", PRIVATE.values(), ids=PRIVATE)
def test_no_redirect_leads_to_a_private_address(host: str) -> None:
    with origin(redirect(f"http://{host}/")) as server:
        assert code_of(server.url, server.host) == "address_refused"


@pytest.mark.parametrize("host", ["[fe80::1%25lo]", "[fe80::1%lo]", "[::1%lo]", "localhost."])
def test_no_other_spelling_reaches_a_private_address(host: str) -> None:
    assert code_of(f"http://{host}/") in ("address_refused", "host_unknown", "url_invalid")


def test_digits_of_other_scripts_make_no_address() -> None:
    assert code_of("http://１２７.0.0.1/") == "url_invalid"


RESOLVED = [host.strip("[]") for name, host in PRIVATE.items() if name != "localhost"]


@pytest.mark.parametrize("address", RESOLVED)
def test_no_name_leads_to_a_private_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, [address])

    assert code_of("http://pictures.example/") == "address_refused"


def test_a_refusal_tells_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, ["10.1.2.3"])

    with pytest.raises(RequestRefused) as refused:
        fetch("http://pictures.example/")

    assert "10.1.2.3" not in str(refused.value)


@pytest.mark.parametrize(
    "answers",
    [
        [["192.0.0.8", "127.0.0.1"]],
        [["127.0.0.1", "192.0.0.8"]],
        [["203.0.114.1"], ["127.0.0.1"]],
        [["203.0.114.1", "127.0.0.1"], ["127.0.0.1"]],
    ],
    ids=["private-second", "private-first", "changes-after-the-check", "mixed-and-changes"],
)
def test_a_name_cannot_lead_to_this_machine_by_other_answers(
    answers: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, *answers)

    with origin(answer(b"secret")) as server:
        # One host is allowed at this port, so that ports alone refuse nothing.
        code = code_of(
            f"http://pictures.example:{server.port}/", f"other.example:{server.port}", SHORT
        )

        assert code in ("address_refused", "url_port_refused", "url_unreachable", "url_timed_out")
        assert not server.requests


def test_the_address_that_was_checked_is_the_one_that_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with origin(answer(b"a photo")) as server:
        resolve_to(monkeypatch, ["127.0.0.1"], ["192.0.2.1"])
        url = f"http://pictures.example:{server.port}/cat.jpg"

        assert fetch(url, server.host) == b"a photo"
        assert f"Host: pictures.example:{server.port}\r\n".encode() in server.requests[0]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "url_invalid"),
        ("cat.jpg", "url_invalid"),
        ("//pictures.example/", "url_invalid"),
        ("http://", "url_invalid"),
        ("http:///cat.jpg", "url_invalid"),
        ("http://[::1/", "url_invalid"),
        ("http://pictures.example:x/", "url_invalid"),
        ("http://pictures.example:99999/", "url_invalid"),
        ("http://pictures.example/a b", "url_invalid"),
        ("http://pictures.example\\@127.0.0.1/", "url_invalid"),
        ("http://pictures.example/\r\nHost: inner", "url_invalid"),
        ("http://pictures.example/" + 2000 * "x", "url_invalid"),
        ("ftp://pictures.example/", "url_scheme_refused"),
        ("file:///etc/passwd", "url_scheme_refused"),
        ("gopher://pictures.example/", "url_scheme_refused"),
        ("data:image/png;base64,xx", "url_scheme_refused"),
        ("unix:///run/docker.sock", "url_scheme_refused"),
        ("http://user:pass@pictures.example/", "url_credentials_refused"),
        ("http://user@pictures.example/", "url_credentials_refused"),
        ("http://pictures.example:22/", "url_port_refused"),
        ("https://pictures.example:8443/", "url_port_refused"),
        ("http://pictures.example:0/", "url_port_refused"),
    ],
)
def test_an_address_is_refused_by_its_form_at_once(url: str, code: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        Guard(Config()).check(url)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("file:///etc/passwd", "url_scheme_refused"),
        ("ftp://pictures.example/", "url_scheme_refused"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "url_scheme_refused"),
        ("http://user:pass@pictures.example/", "url_credentials_refused"),
        ("http://pictures.example:22/", "url_port_refused"),
        ("http://[", "url_invalid"),
        ("/photos/cat.jpg", "too_many_redirects"),
    ],
)
def test_a_redirect_is_checked_like_the_first_address(target: str, code: str) -> None:
    with origin(redirect(target)) as server:
        assert code_of(server.url, server.host) == code


def test_three_redirects_are_followed() -> None:
    with origin(*[redirect("/next.jpg")] * 3, answer(b"a photo")) as server:
        assert fetch(server.url, server.host) == b"a photo"
        assert len(server.requests) == 4


def test_a_webhook_follows_no_redirect() -> None:
    with origin(redirect("/next")) as server:
        config = Config(allowed_private_hosts=server.host)  # type: ignore[arg-type]
        with send(config, "POST", server.url, seconds=SECONDS, body=b"{}") as got:
            assert got.status == 302
        assert len(server.requests) == 1


def test_a_redirect_with_an_endless_body_is_followed_without_it() -> None:
    endless = flood(b"HTTP/1.1 302 Found\r\nLocation: /next.jpg\r\n\r\n")

    with origin(endless, answer(b"a photo")) as server:
        assert fetch(server.url, server.host) == b"a photo"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (say_nothing, "url_timed_out"),
        (drip(b"", b"H"), "url_timed_out"),
        (drip(HEAD, b"A: b\r\n"), "url_timed_out"),
        (drip(HEAD + b"Content-Length: 1000\r\n\r\n"), "url_timed_out"),
        (drip(HEAD + b"\r\n"), "url_timed_out"),
        (drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), "url_timed_out"),
        (drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"), "url_timed_out"),
        (drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "url_timed_out"),
        (flood(HEAD + b"A: "), "url_unreachable"),
        (flood(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536), "url_unreachable"),
        (hang_up, "url_unreachable"),
        (answer(b"half", length=8), "url_unreachable"),
        (flood(b"not HTTP at all"), "url_unreachable"),
    ],
    ids=[
        "silent",
        "slow-status",
        "slow-headers",
        "slow-body",
        "slow-body-without-length",
        "slow-chunks",
        "slow-length-of-a-chunk",
        "interim-answers",
        "endless-header",
        "endless-length-of-a-chunk",
        "hangs-up",
        "shorter-than-announced",
        "not-http",
    ],
)
def test_a_bad_server_holds_no_one_for_longer_than_the_limit(
    behaviour: Behaviour, code: str
) -> None:
    with origin(behaviour) as server:
        began = time.monotonic()

        assert code_of(server.url, server.host, SHORT) == code
        assert time.monotonic() - began < SHORT + 1


def test_a_silent_server_does_not_hold_up_a_stop() -> None:
    with origin(say_nothing) as server, pytest.raises(RequestTimedOut):
        config = Config(allowed_private_hosts=server.host)  # type: ignore[arg-type]
        began = time.monotonic()
        asked = server.requests

        with send(config, "GET", server.url, seconds=SECONDS, is_stopping=lambda: bool(asked)):
            pass

    assert time.monotonic() - began < 2


def test_an_endless_body_is_read_in_pieces() -> None:
    with origin(flood(HEAD + b"\r\n")) as server:
        assert 10**6 < len(fetch(server.url, server.host, limit=10**6)) < 1.2 * 10**6


def test_what_follows_the_announced_length_is_not_read() -> None:
    with origin(answer(b"a photo and more", length=7)) as server:
        assert fetch(server.url, server.host) == b"a photo"


def test_a_compressed_body_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(10**7))

    with origin(answer(bomb, Content_Encoding="gzip")) as server:
        assert code_of(server.url, server.host) == "url_encoding_refused"
        assert b"Accept-Encoding: identity\r\n" in server.requests[0]


def test_cookies_are_not_kept_between_redirects() -> None:
    first = answer(status="302 Found", Location="/next.jpg", Set_Cookie="a=b")

    with origin(first, answer(b"a photo")) as server:
        fetch(server.url, server.host)

        assert b"cookie" not in server.requests[1].lower()


def test_proxies_and_passwords_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    with origin(answer(b"a photo")) as server:
        assert fetch(server.url, server.host) == b"a photo"
        assert b"authorization" not in server.requests[0].lower()


def test_a_name_that_does_not_resolve_is_unknown() -> None:
    assert code_of("http://pictures.invalid/") == "host_unknown"


def test_a_closed_port_is_unreachable() -> None:
    with origin(hang_up) as server:
        pass
    assert code_of(server.url, server.host) == "url_unreachable"


@pytest.mark.parametrize(
    ("allowed", "code"),
    [
        ("127.0.0.1:{port}", ""),
        ("127.0.0.0/8:{port}", ""),
        ("localhost:{port}", "address_refused"),
        ("127.0.0.1", "url_port_refused"),
        ("127.0.0.1 10.0.0.0/8:{port}", "address_refused"),
        ("127.0.0.2:{port}", "address_refused"),
        ("[::1]:{port}", "address_refused"),
        ("", "url_port_refused"),
    ],
)
def test_an_operator_names_the_private_hosts_and_ports(allowed: str, code: str) -> None:
    with origin(answer(b"a photo")) as server:
        allowed = allowed.format(port=server.port)

        if code:
            assert code_of(server.url, allowed) == code
        else:
            assert fetch(server.url, allowed) == b"a photo"


def test_an_operator_names_a_private_host_by_its_name() -> None:
    with origin(answer(b"a photo")) as server:
        assert fetch(f"http://LocalHost:{server.port}/", f"localhost:{server.port}") == b"a photo"


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return what a server needs whose certificate is for `localhost` and trusted."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key)]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_certificate_is_checked_by_the_name_and_not_by_the_address(tls: ssl.SSLContext) -> None:
    with origin(answer(b"a photo"), context=tls) as server:
        url = f"https://localhost:{server.port}/"

        assert fetch(url, f"localhost:{server.port}") == b"a photo"


def test_a_certificate_of_another_name_is_refused(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, ["127.0.0.1"])

    with origin(answer(b"a photo"), context=tls) as server:
        url = f"https://pictures.example:{server.port}/"

        assert code_of(url, server.host) == "url_tls_failed"
        assert not server.requests


def test_a_server_that_drips_its_tls_handshake_is_left(tls: ssl.SSLContext) -> None:
    with origin(drip(b"\x16\x03\x03\x40\x00", b"\x02")) as server:
        assert code_of(f"https://{server.host}/", server.host, SHORT) in (
            "url_timed_out",
            "url_tls_failed",
        )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("999999999999", 3600), ("0", 0), ("soon", None), ("", None), ("-5", None)],
)
def test_the_pause_that_a_server_asks_for_is_read(text: str, seconds: int | None) -> None:
    with origin(answer(status="503 Busy", Retry_After=text)) as server:
        config = Config(allowed_private_hosts=server.host)  # type: ignore[arg-type]
        with send(config, "GET", server.url, seconds=SECONDS) as got:
            assert got.retry_after == seconds
