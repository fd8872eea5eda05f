"""A person signs in with the API token of a program, to look after its jobs."""

import re
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.images import make_jpeg
from tests.support.jobs import add_image, open_jobs
from tests.support.receiver import receiving
from tests.support.servers import running, wait_until
from webapp.config import Config, PrivateHosts
from webapp.jobs.tokens import create_token
from webapp.recipes.presets import PRESETS

pytestmark = pytest.mark.browser


def test_person_sends_a_webhook_again_after_signing_in(page: Page, tmp_path: Path) -> None:
    with receiving() as receiver:
        hosts = PrivateHosts(f"127.0.0.1:{receiver.port}")
        with running(tmp_path / "instance", workers=1, allowed_private_hosts=hosts) as servers:
            jobs = open_jobs(Config(instance=servers.instance, allowed_private_hosts=hosts))
            with closing(jobs.store.db):
                token = create_token(jobs.store, "shop") or ""
                job_id = jobs.submit(
                    PRESETS["square"].recipe,
                    jobs.store.tokens.all()[0].owner,
                    callback_url=receiver.url,
                    origin=servers.url,
                )
                add_image(jobs, job_id, make_jpeg())
                jobs.close(job_id)
            wait_until(lambda: len(receiver.received) == 1, what="the webhook")

            page.goto(f"{servers.url}/jobs/{job_id}")
            expect(page.get_by_role("heading", name="Webhook")).to_have_count(0)
            page.get_by_role("link", name="Sign in with it").click()
            page.get_by_label("API token").fill(token)
            page.get_by_role("button", name="Sign in").click()

            expect(page).to_have_url(f"{servers.url}/jobs/{job_id}")
            expect(page.locator("header")).to_contain_text("Signed in as shop")
            expect(page.get_by_role("heading", name="Webhook")).to_be_visible()
            page.get_by_role("button", name=re.compile("^Send again")).click()
            wait_until(lambda: len(receiver.received) == 2, what="the webhook that is sent again")
            expect(page.locator("#webhook .tries li")).to_have_count(2)

            page.get_by_role("button", name="Sign out").click()
            page.goto(f"{servers.url}/jobs/{job_id}")
            expect(page.get_by_role("link", name="Sign in with it")).to_be_visible()
            page.goto("about:blank")  # It would complain of servers that end.
