"""Proxies in front name the client, which limits and the log use, and the path of the site."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.config import Config as GunicornConfig
from gunicorn.http.parser import RequestParser

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.pages import Page
from tests.support.paths import addresses_in
from tests.support.people import Person, upload_image
from webapp.config import ROOT, Config, HeaderName

HTML = {"Accept": "text/html"}
FORWARDED = "claimed, 198.51.100.1, 203.0.113.9"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        instance=tmp_path / "instance",
        max_jobs_per_hour=1,
        trusted_proxies=2,
        client_header=HeaderName("Fly-Client-IP"),
    )


def upload(app: Flask, **headers: str) -> int:
    """Upload with headers, whose names have underscores here for dashes."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return upload_image(app.test_client(), make_jpeg(), headers=sent).status_code


def logged_clients(app: Flask, caplog: pytest.LogCaptureFixture, **headers: str) -> list[str]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with caplog.at_level(logging.INFO):
        app.test_client().get("/healthcheck", headers=sent)
    return [vars(record)["client"] for record in caplog.records if record.message == "request"]


def test_address_in_the_header_is_the_client(app: Flask) -> None:
    sent = [upload(app, Fly_Client_IP=f"192.0.2.{number}") for number in (1, 1, 2)]
    assert sent == [202, 429, 202]


def test_header_counts_instead_of_the_forwarded_address(app: Flask) -> None:
    sent = [
        upload(app, Fly_Client_IP="192.0.2.1", X_Forwarded_For=f"198.51.100.{number}, 203.0.113.9")
        for number in (1, 2)
    ]
    assert sent == [202, 429]


def test_addresses_of_one_ipv6_network_are_one_client(app: Flask) -> None:
    sent = [upload(app, Fly_Client_IP=f"2001:db8:1:2::{number}") for number in (1, 2)]
    assert sent == [202, 429]


def test_log_has_the_address_of_the_header(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Fly_Client_IP": "192.0.2.1", "X_Forwarded_For": FORWARDED}
    assert logged_clients(app, caplog, **headers) == ["192.0.2.1"]


def test_without_the_header_the_forwarded_address_is_the_client(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    assert logged_clients(app, caplog, X_Forwarded_For=FORWARDED) == ["198.51.100.1"]
    assert "client header ignored" not in caplog.messages


def test_without_any_header_the_peer_is_the_client(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    assert logged_clients(app, caplog) == ["127.0.0.1"]
    assert "client header ignored" not in caplog.messages


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        # Two headers of one name, the client's and the proxy's, arrive joined by a comma.
        ("192.0.2.1,192.0.2.2", "sent twice"),
        ("192.0.2.1, 192.0.2.1", "sent twice"),
        ("unknown", "not an address"),
        ("192.0.2.1:4711", "not an address"),
        ("192.0.2.300", "not an address"),
        ("192.0.2.0/24", "not an address"),
        ("\xff", "not an address"),
    ],
)
def test_header_that_is_no_address_is_not_believed(
    app: Flask, caplog: pytest.LogCaptureFixture, value: str, reason: str
) -> None:
    headers = {"Fly_Client_IP": value, "X_Forwarded_For": FORWARDED}
    assert logged_clients(app, caplog, **headers) == ["198.51.100.1"]
    ignored = [record for record in caplog.records if record.message == "client header ignored"]
    assert [vars(record)["reason"] for record in ignored] == [reason]


def test_empty_header_is_none(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Fly_Client_IP": " ", "X_Forwarded_For": FORWARDED}
    assert logged_clients(app, caplog, **headers) == ["198.51.100.1"]
    assert "client header ignored" not in caplog.messages


def test_header_is_ignored_without_the_setting(config: Config) -> None:
    with running_app(replace(config, client_header=HeaderName(""))) as app:
        sent = [upload(app, Fly_Client_IP=f"192.0.2.{number}") for number in (1, 2)]
    assert sent == [202, 429]


def test_header_makes_no_one_a_proxy_that_signs_people_in(config: Config) -> None:
    settings = replace(config, user_header=HeaderName("Remote-User"))
    with running_app(settings) as app:
        client: FlaskClient = app.test_client()
        client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
        client.environ_base["HTTP_FLY_CLIENT_IP"] = "127.0.0.1"
        client.environ_base["HTTP_REMOTE_USER"] = "alice"
        assert "Signed in as" not in Person(client).get("/").text


@pytest.mark.parametrize("peer", ["127.0.0.1", "172.16.0.1"])
def test_name_with_underscores_is_another_header(peer: str) -> None:
    # As our configuration leaves it. From this machine, gunicorn trusts more than from others.
    assert "header_map" not in (ROOT / "gunicorn.conf.py").read_text()
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nFly-Client-IP: 192.0.2.1\r\nFly_Client_IP: evil\r\n\r\n"
    )
    parsed = next(RequestParser(GunicornConfig(), [request], (peer, 1)))
    assert parsed.headers == [("HOST", "x"), ("FLY-CLIENT-IP", "192.0.2.1")]


# The path of the site


@pytest.fixture
def under_path(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", trusted_proxies=1, trusted_prefix=True)


@pytest.mark.parametrize(
    "sent",
    ["//evil.example", "/a//evil.example", "https://evil.example", "evil", '/a"onload="x', "/<b>",
     "/a b", "/a\x01", "/a\tb", "/../a", "/a/..", "/./a", "/a?b", "/a#b", "/%2fevil", "/\\evil",
     "/é", "/a;b", "/a'b", f"/{'a' * 200}", "/thumbnails-app, //evil.example", "/a,b"],
)  # fmt: skip
def test_prefix_that_is_no_path_reaches_no_page(
    under_path: Config, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    with running_app(under_path) as app:
        client = app.test_client(use_cookies=False)
        headers = {**HTML, "X-Forwarded-Prefix": sent.encode().decode("latin-1")}
        page = client.get("/", headers=headers)
        assert page.status_code == 200
        assert all(one.startswith(("/static/", "/")) for one in addresses_in(page))
        assert "evil" not in page.text
        assert Page(page.text).value("a.brand", "href") == "/"
        assert client.get("/jobs/", headers=headers).headers.get("Location", "/").startswith("/")
        assert page.headers["Set-Cookie"].startswith("session=")
    assert "prefix ignored" in [one.message for one in caplog.records]


@pytest.mark.parametrize(
    ("sent", "path"),
    [("/app", "/app"), ("/app/", "/app"), ("/a.b_c-9/d", "/a.b_c-9/d"), ("/", ""), ("", ""),
     ("/client, /app", "/app")],
)  # fmt: skip
def test_prefix_of_the_nearest_proxy_counts(under_path: Config, sent: str, path: str) -> None:
    with running_app(under_path) as app:
        page = app.test_client().get("/", headers={"X-Forwarded-Prefix": sent})
        assert Page(page.text).value("a.brand", "href") == f"{path}/"


@pytest.mark.parametrize("proxies", [0, 1])
def test_prefix_is_ignored_unless_a_setting_trusts_it(under_path: Config, proxies: int) -> None:
    untrusting = replace(under_path, trusted_proxies=proxies, trusted_prefix=False)
    with running_app(untrusting) as app:
        page = app.test_client().get("/", headers={"X-Forwarded-Prefix": "/app"})
        assert Page(page.text).value("a.brand", "href") == "/"
