"""A visitor's image is made while another client's slow ones fill the queue."""

from contextlib import closing
from itertools import pairwise

import pytest

from tests.support.images import encode, make_jpeg, make_picture
from tests.support.jobs import open_jobs
from tests.support.servers import Client, Servers, wait_for_end, wait_until
from webapp.config import Config
from webapp.recipes.outputs import Output, Recipe

pytestmark = pytest.mark.live

WORKERS = 2
SLOW = 60  # Images, each of which takes all of its time: 30 s of work for the two workers.
RECIPE = Recipe(
    tuple(
        Output(name=f"huge-{number}", width=4096, height=4096, format="webp", enlarge=True)
        for number in range(5)
    )
)


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": WORKERS, "decode_seconds": 1}


def submit_of_another_client(servers: Servers, image: bytes, jobs_: int) -> list[str]:
    """Submit jobs of one image each, which take all of their time."""
    jobs = open_jobs(Config(instance=servers.instance))
    ids = []
    for number in range(jobs_):
        with closing(jobs.open_upload()) as upload:
            upload.write(image)
            client = "198.51.100.1"
            ids.append(jobs.submit_image(RECIPE, f"owner {number}", upload, "slow.jpg", client))
    jobs.store.db.close()
    return ids


def test_small_image_is_made_while_slow_ones_wait(servers: Servers, client: Client) -> None:
    slow = submit_of_another_client(servers, encode(make_picture("L", (4000, 4000)), "jp2"), 3)
    wait_until(lambda: servers.busy_workers(), what="a worker that decodes a slow image")
    job_id = client.submit(make_jpeg())
    client.wait_for(job_id)
    for one in slow:
        wait_for_end(servers, one)
    times = servers.rows("SELECT claimed, finished FROM images WHERE slow ORDER BY claimed")
    assert len(times) == len(slow)
    assert all(finished <= claimed for (_, finished), (claimed, _) in pairwise(times))
    (claimed,) = servers.rows("SELECT claimed FROM images WHERE job_id = ?", job_id)[0]
    assert claimed < times[-1][0]


def test_new_client_waits_only_for_images_in_progress(servers: Servers, client: Client) -> None:
    submit_of_another_client(servers, make_jpeg(), SLOW)
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
