"""A visitor's image is made while another client's slow ones fill the queue."""

from contextlib import closing

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs
from tests.support.servers import Client, Servers, wait_until
from webapp.config import Config
from webapp.recipes.outputs import Output, Recipe

pytestmark = pytest.mark.live

WORKERS = 2
SLOW = 60  # Images, each of which takes all of its time: 30 s of work for the two workers.
RECIPE = Recipe(
    tuple(
        Output(name=f"huge-{number}", width=4096, height=4096, format="webp", enlarge=True)
        for number in range(8)
    )
)


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": WORKERS, "decode_seconds": 1}


def submit_slow_images(servers: Servers) -> None:
    jobs = open_jobs(Config(instance=servers.instance))
    data = make_jpeg()
    for number in range(SLOW):
        with closing(jobs.open_upload()) as upload:
            upload.write(data)
            jobs.submit_image(RECIPE, f"owner {number}", upload, "slow.jpg", "198.51.100.1")
    jobs.store.db.close()


def test_new_client_waits_only_for_images_in_progress(servers: Servers, client: Client) -> None:
    submit_slow_images(servers)
    wait_until(lambda: len(servers.busy_workers()) == WORKERS, what="workers that are all busy")
    job_id = client.submit(make_jpeg())
    client.wait_for(job_id)
    (created, claimed) = servers.rows(
        "SELECT created, claimed FROM images WHERE job_id = ?", job_id
    )[0]
    others = servers.rows(
        "SELECT 1 FROM images WHERE claimed > ? AND claimed < ?", created, claimed
    )
    assert len(others) <= WORKERS  # Claimed while the upload was on its way into the database.
    assert client.get(f"/check_job_status/{job_id}").status == 303
