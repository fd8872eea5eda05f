"""Webhooks that the consumer sends, while all processes are killed."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import add_image, add_token, open_jobs
from tests.support.receiver import receiving
from tests.support.servers import running, wait_until
from webapp.config import Config, PrivateHosts
from webapp.jobs.deliveries import Callback
from webapp.recipes.presets import PRESETS

pytestmark = pytest.mark.live

OWNER = "token:7"


def test_fifth_try_arrives_after_kills_where_each_next_try_is_brought_forward(
    tmp_path: Path,
) -> None:
    with receiving() as receiver:
        hosts = PrivateHosts(f"127.0.0.1:{receiver.port}")
        with running(tmp_path / "instance", workers=1, allowed_private_hosts=hosts) as servers:
            jobs = open_jobs(Config(instance=servers.instance, allowed_private_hosts=hosts))
            add_token(jobs, OWNER)
            receiver.statuses = (500, 500, 500, 500, 500, 200)
            job_id = jobs.submit(
                PRESETS["square"].recipe, OWNER, callback_url=receiver.url, origin=servers.url
            )
            add_image(jobs, job_id, make_jpeg())
            jobs.close(job_id)

            def callback() -> Callback:
                found = jobs.job(job_id).callback
                assert found
                return found

            def tries() -> int:
                return sum(len(delivery.tries) for delivery in callback().deliveries)

            def wait_for_try(number: int) -> None:
                wait_until(lambda: tries() == number, what=f"try {number}")

            def restart() -> None:
                servers.kill()
                jobs.store.db.execute("UPDATE deliveries SET next_try = 0")  # Not in hours.
                servers.start()

            wait_for_try(1)
            receiver.seconds = 2
            restart()
            wait_until(lambda: len(receiver.received) == 2, what="the second try")
            receiver.seconds = 0
            restart()  # In the middle of a try, which is made again.
            for number in (2, 3, 4):
                wait_for_try(number)
                restart()
            wait_for_try(5)
            (delivery,) = callback().deliveries
            assert delivery.status == "delivered"
            assert [one.answer for one in delivery.tries] == [500, 500, 500, 500, 200]
            assert {one.headers["webhook-id"] for one in receiver.received} == {delivery.id}
            event = receiver.received[-1].verified_by_npm(jobs.store.webhook_secrets.current(OWNER))
            page = event["data"]["links"]["page"].removeprefix(servers.url)
            assert event["data"]["counts"]["done"] == 1
            with closing(servers.client()) as client:
                assert client.get(page).status == 200
            jobs.store.db.close()
