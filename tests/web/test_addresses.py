"""A site under a path of a host: all its addresses are below that path."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import add_image, work
from tests.support.pages import Page
from tests.support.paths import HOST, PREFIX, ProxyUnderPath, addresses_in, walk
from tests.support.people import find_token, multipart, part
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tokens import create_token
from webapp.recipes.outputs import Recipe
from webapp.recipes.presets import PRESETS

RECIPE = Recipe(PRESETS["web-set"].recipe.outputs + PRESETS["avatar"].recipe.outputs)
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("path")
    return Config(instance=folder, web_threads=1, trusted_proxies=1, trusted_prefix=True)


@pytest.fixture(scope="module")
def app(config: Config) -> Iterator[Flask]:
    clock = Clock()
    clock.stop()  # Estimates and polls, whose addresses have numbers, would change.
    with running_app(replace(config, fetch_urls=True), clock) as app:
        app.wsgi_app = ProxyUnderPath(app.wsgi_app)  # type: ignore[method-assign]
        yield app


@pytest.fixture(scope="module")
def token(app: Flask) -> str:
    """Return the API token of an owner who has jobs in every state."""
    jobs: Jobs = app.extensions["jobs"]
    text = create_token(jobs.store, "walker", None, None)
    assert text
    owner = jobs.store.tokens.all()[0].owner
    done = jobs.submit(RECIPE, owner, callback_url="https://hooks.example/", origin="http://t")
    for data in (make_jpeg(size=(900, 600)), make_jpeg(size=(600, 900)), make_truncated()):
        add_image(jobs, done, data)
    jobs.close(done)
    work(jobs)
    waiting, deleted = jobs.submit(RECIPE, owner), jobs.submit(RECIPE, owner)
    for job_id in (waiting, deleted):
        add_image(jobs, job_id, make_jpeg())
        jobs.close(job_id)
    jobs.delete(deleted)
    fetching = jobs.submit(RECIPE, owner)
    jobs.add_url(fetching, "https://photos.example/a.jpg", None, None, "client")
    return text


def sign_in(app: Flask, token: str, path: str) -> FlaskClient:
    """Return a browser that acts as the token, on the site under a path."""
    client = app.test_client()
    form = {"csrf_token": find_token(client.get(f"{path}/sign-in").text), "token": token}
    answer = client.post(f"{path}/sign-in", data=form, headers=HTML)
    assert answer.headers["Location"] == f"{path}/"
    return client


def walk_all(app: Flask, token: str, path: str) -> dict[str, set[str]]:
    """Walk through the site as the owner of its jobs, as a guest, and as a program."""
    jobs = [f"/jobs/{job_id}" for job_id in app.extensions["jobs"].store.jobs.ids()]
    pages = ("/", "/jobs", "/docs", "/docs/try", "/docs/sharex.sxcu", "/nowhere", "/sign-in")
    fragments = [f"{job}{part}" for job in jobs for part in ("", "/panel", "/crops/changes")]
    api = [f"/api/v1{one}{part}" for one in jobs for part in ("", "/deliveries")]
    api += ["/api/v1/jobs", "/api/v1/openapi.json"]
    starts = [*pages, *fragments, *api]
    owned = walk(sign_in(app, token, path), path, starts)
    seen = walk(app.test_client(), path, starts)
    return {one: owned.get(one, set()) | seen.get(one, set()) for one in owned | seen}


def is_below(address: str) -> bool:
    return f"{address.removeprefix(HOST)}/".startswith(f"{PREFIX}/")


@pytest.fixture(scope="module")
def below(app: Flask, token: str) -> dict[str, set[str]]:
    return walk_all(app, token, PREFIX)


def test_every_address_is_below_the_path(below: dict[str, set[str]]) -> None:
    outside = {
        (page, address)
        for page, addresses in below.items()
        for address in addresses
        if not is_below(address)
    }
    assert outside == set()
    kinds = ("/jobs/", "/thumbnails/", "/static/", "/api/v1/jobs/", "/docs", "/sign-in")
    assert all(any(one.startswith(f"{PREFIX}{kind}") for one in below) for kind in kinds)


def test_addresses_of_a_host_of_its_own_are_the_same_without_the_path(
    app: Flask, token: str, below: dict[str, set[str]]
) -> None:
    own = walk_all(app, token, "")
    assert own == {
        page.replace(PREFIX, ""): {address.replace(PREFIX, "") for address in addresses}
        for page, addresses in below.items()
    }


def test_manifest_starts_the_site_under_its_path(app: Flask) -> None:
    client = app.test_client()
    address = Page(client.get(f"{PREFIX}/").text).value("link[rel=manifest]", "href")
    manifest: Any = client.get(address).get_json(force=True)
    assert urljoin(address, manifest["start_url"]) == f"{PREFIX}/"
    icons = [urljoin(address, icon["src"]) for icon in manifest["icons"]]
    assert {client.get(icon).status_code for icon in icons} == {200}


def test_form_and_script_are_led_to_the_job_under_the_path(app: Flask) -> None:
    client = app.test_client()
    token = find_token(client.get(f"{PREFIX}/").text)
    form = {"csrf_token": token, "presets": "square", "images": part(make_jpeg(), "a.jpg")}
    sent = client.post(f"{PREFIX}/", headers=HTML, **multipart(**form))
    assert (sent.status_code, sent.headers["Location"][: len(PREFIX)]) == (303, PREFIX)
    assert client.get(sent.headers["Location"], headers=HTML).status_code == 200
    fields = multipart(csrf_token=token, presets="square")
    opened = client.post(f"{PREFIX}/jobs/open", **fields)
    assert opened.status_code == 201
    assert all(one.startswith(PREFIX) for one in addresses_in(opened))
    added = client.post(
        Page((opened.json or {})["page"]).value("#frames", "data-images"),
        headers={"X-CSRFToken": token},
        **multipart(images=part(make_jpeg(), "a.jpg")),
    )
    assert added.status_code == 201


def test_program_is_led_below_the_path(app: Flask) -> None:
    client = app.test_client()
    sent = client.post(f"{PREFIX}/upload_image", **multipart(file=part(make_jpeg(), "a.jpg")))
    status = sent.headers["Location"]
    assert status.startswith(f"{PREFIX}/check_job_status/")
    work(app.extensions["jobs"])
    found = client.get(status)
    assert found.headers["Location"].startswith(f"{PREFIX}/download_thumbnail/")
    assert client.get(found.headers["Location"]).mimetype == "image/jpeg"
    made = client.post(f"{PREFIX}/api/v1/jobs", json={"presets": ["square"]})
    assert made.headers["Location"].startswith(f"{HOST}{PREFIX}/api/v1/jobs/")
    problem: Any = client.post(f"{PREFIX}/api/v1/jobs", json={}).json
    assert problem["type"].startswith(f"{HOST}{PREFIX}/docs#")


def test_webhooks_link_below_the_path(app: Flask, token: str) -> None:
    order = {"presets": ["square"], "callback_url": "https://hooks.example/"}
    headers = {"Authorization": f"Bearer {token}"}
    made = app.test_client().post(f"{PREFIX}/api/v1/jobs", json=order, headers=headers)
    callback = app.extensions["jobs"].job((made.json or {})["id"]).callback
    assert callback.origin == f"{HOST}{PREFIX}"


def test_sign_in_leads_back_to_a_page_below_the_path_alone(config: Config) -> None:
    closed = replace(config, instance=config.instance / "closed", access_token="guess" * 4)
    with running_app(closed) as app:
        app.wsgi_app = ProxyUnderPath(app.wsgi_app)  # type: ignore[method-assign]
        client = app.test_client()
        asked = client.get(f"{PREFIX}/?preset=card", headers=HTML)
        assert asked.headers["Location"] == f"{PREFIX}/sign-in?next={PREFIX}/?preset%3Dcard"
        page = client.get(asked.headers["Location"])
        assert Page(page.text).value("input[name=next]") == f"{PREFIX}/?preset=card"
        for path in ("/another-app", f"{PREFIX}/../another-app", f"{PREFIX}/a/.%2E/%2e%2e/%2e%2e?b",
                     f"{PREFIX}/.."):  # fmt: skip
            elsewhere = client.get(f"{PREFIX}/sign-in", query_string={"next": path})
            assert Page(elsewhere.text).value("input[name=next]") == f"{PREFIX}/"


def test_two_sites_of_one_host_have_their_own_cookies(app: Flask) -> None:
    client = app.test_client()
    client.get(f"{PREFIX}/")
    client.get("/")
    name = f"session{PREFIX.replace('/', '~')}"
    below, own = client.get_cookie(name), client.get_cookie("session")
    assert below
    assert own
    assert below.value != own.value


def test_cookie_that_no_other_host_can_set_has_a_name_for_each_path(config: Config) -> None:
    with running_app(replace(config, cookie_secure=True)) as app:
        page = app.test_client().get("/", headers={"X-Forwarded-Prefix": "/a/b"})
        name, *attributes = page.headers["Set-Cookie"].split("; ")
        assert name.startswith("__Host-session~a~b=")
        assert {"Secure", "Path=/"} <= set(attributes)


def test_last_recipe_is_kept_from_other_applications_of_the_host(app: Flask) -> None:
    client = app.test_client()
    token = find_token(client.get(f"{PREFIX}/").text)
    form = {"csrf_token": token, "presets": "card", "images": part(make_jpeg(), "a.jpg")}
    sent = client.post(f"{PREFIX}/", headers=HTML, **multipart(**form))
    (cookie,) = (one for one in sent.headers.getlist("Set-Cookie") if one.startswith("recipe="))
    assert f"Path={PREFIX}/" in cookie


def test_walk_reaches_every_address_of_the_site(app: Flask, below: dict[str, set[str]]) -> None:
    urls = app.url_map.bind("localhost")
    reached = set()
    for page in below:
        with suppress(NotFound, MethodNotAllowed, RequestRedirect):
            reached.add(urls.match(page.removeprefix(PREFIX).partition("?")[0], "GET")[0])
    every = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert every - reached == {"images.trial", "operations.metrics"}  # They have no addresses.


def test_answers_to_all_that_is_sent_stay_below_the_path(app: Flask, token: str) -> None:
    client, jobs = sign_in(app, token, PREFIX), app.extensions["jobs"]
    owner = jobs.store.tokens.all()[0].owner
    csrf_token = find_token(client.get(f"{PREFIX}/").text)
    rules = [rule for rule in app.url_map.iter_rules() if {"POST", "PUT"} & (rule.methods or set())]
    for rule in rules:
        job_id = jobs.submit(RECIPE, owner)
        add_image(jobs, job_id, make_jpeg())
        ids = {"job_id": job_id, "image_id": jobs.job(job_id).images[0].id}
        path = PREFIX + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids.get(found[1], "x"), rule.rule)  # noqa: B023
        for htmx in ({}, {"HX-Request": "true"}):
            headers = {**HTML, "X-CSRFToken": csrf_token, **htmx}
            form = multipart(presets="square", hours="24", name="A name", point="0.5,0.5")
            method = "POST" if "POST" in (rule.methods or set()) else "PUT"
            answer = client.open(path, method=method, headers=headers, **form)
            outside = {one for one in addresses_in(answer) if not is_below(one)}
            assert (path, answer.status_code < 500, outside) == (path, True, set())
