"""A page of another site uses the API by its token, and nothing of the visitor's."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import OTHER_SITE
from tests.support.jobs import open_jobs
from tests.support.servers import Servers
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tokens import create_token

pytestmark = pytest.mark.browser

FETCH = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    const names = ["ETag", "Location", "Link"].filter((name) => answer.headers.has(name));
    return { status: answer.status, json: await answer.json(), names };
  } catch { return { blocked: true }; }
}"""


@pytest.fixture
def jobs(servers: Servers) -> Iterator[Jobs]:
    jobs = open_jobs(Config(instance=servers.instance))
    with closing(jobs.store.db):
        yield jobs


def show(page: Page, site: str) -> None:
    """Show a page of another site, which has no server of its own."""

    def answer(route: Route) -> None:
        route.fulfill(body="<!DOCTYPE html><title>Another site</title>", content_type="text/html")

    # Chromium asks before a page from elsewhere reaches this machine, and does not know where from
    # this page is.
    page.context.grant_permissions(["local-network-access"], origin=site)
    page.route(f"{site}/**", answer)
    page.goto(f"{site}/")


def fetch(page: Page, url: str, method: str = "GET", **options: object) -> Any:
    return page.evaluate(FETCH, [url, {"method": method, **options}])


def test_page_of_another_site_uses_the_api_by_its_token_alone(
    page: Page, servers: Servers, jobs: Jobs, complaints: list[str]
) -> None:
    page.goto(servers.url)  # The visitor has a session, whose cookie the browser sends from now on.
    own = fetch(page, f"{servers.url}/api/v1/jobs", "POST", **json_body())
    assert own["status"] == 201

    show(page, OTHER_SITE)
    token = create_token(jobs.store, "page")
    api = f"{servers.url}/api/v1/jobs"
    bearer = {"Authorization": f"Bearer {token}"}
    made = fetch(page, api, "POST", **json_body(bearer))
    assert (made["status"], made["names"]) == (201, ["ETag", "Location"])
    listed = fetch(page, api, headers=bearer, credentials="include")
    assert listed == {"blocked": True}  # The answer allows no credentials.
    listed = fetch(page, api, headers=bearer)
    assert [job["id"] for job in listed["json"]["jobs"]] == [made["json"]["id"]]
    changed = fetch(
        page, f"{api}/{made['json']['id']}", "PATCH", **json_body(bearer, '{"name": "x"}')
    )
    assert changed["status"] == 200

    victim = f"{api}/{own['json']['id']}"
    assert fetch(page, victim, "DELETE")["status"] == 403
    assert fetch(page, victim, "DELETE", credentials="include") == {"blocked": True}
    fetch(page, f"{victim}/close", "POST", mode="no-cors", credentials="include")
    assert jobs.job(own["json"]["id"]).is_open
    assert fetch(page, f"{servers.url}/healthcheck") == {"blocked": True}

    show(page, OTHER_SITE.replace("5173", "5174"))
    assert fetch(page, api, headers=bearer) == {"blocked": True}
    complaints.clear()  # Of what was blocked or refused.


def json_body(
    headers: dict[str, str] | None = None, body: str = '{"presets": ["square"]}'
) -> dict[str, Any]:
    return {"headers": {"Content-Type": "application/json"} | (headers or {}), "body": body}
