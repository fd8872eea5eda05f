"""Recipes and points change while workers die: what is right stays."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.support.images import make_corners, make_jpeg
from tests.support.jobs import add_image, age, open_jobs, sweep, url_of
from tests.support.servers import Servers, wait_for_end
from webapp.config import Config
from webapp.jobs.housekeeping import delete_replaced
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import ABANDONED_SECONDS
from webapp.recipes.outputs import Recipe
from webapp.recipes.presets import PRESETS

pytestmark = pytest.mark.live

KILLS = 8
CLIENT = "127.0.0.1"


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": 2, "lease_seconds": 1.5}


@pytest.fixture
def jobs(servers: Servers) -> Iterator[Jobs]:
    jobs = open_jobs(Config(instance=servers.instance))
    with closing(jobs.store.db):
        yield jobs


def recipe(*names: str) -> Recipe:
    return Recipe(tuple(output for name in names for output in PRESETS[name].recipe.outputs))


WHOLE = {output.file_name for output in recipe("web-set").outputs}
RECIPES = [recipe("web-set", "avatar"), recipe("card", "web-set", "avatar"), recipe("web-set")]


def whole_urls(jobs: Jobs, job_id: str) -> dict[tuple[int, str], str]:
    """Return the addresses of uncropped thumbnails by their image and file name."""
    return {
        (image.number, made.file_name): url_of(made)
        for image in jobs.job(job_id).images
        for made in image.thumbnails
        if made.file_name in WHOLE
    }


def change(jobs: Jobs, job_id: str, chance: random.Random) -> None:
    """Change the recipe, or the focal point of an image."""
    image = chance.choice(jobs.job(job_id).images)
    point = chance.choice([None, (0.0, 0.5), (1.0, 0.5)])
    if chance.random() < 0.2:
        jobs.remake(job_id, chance.choice(RECIPES), CLIENT)
    else:
        jobs.set_focal_point(job_id, image.id, point, CLIENT)


def delete_replaced_until(over: Event, instance: Path) -> None:
    """Delete replaced thumbnails at once, where a sweep waits for 15 minutes."""
    jobs = open_jobs(Config(instance=instance))
    with closing(jobs.store.db):
        while not over.wait(0.1):
            for _ in delete_replaced(jobs.store, jobs.storage, time.time()):
                pass


def test_unchanged_thumbnails_keep_their_addresses_through_kills_and_sweeps(
    servers: Servers, jobs: Jobs
) -> None:
    chance, over = random.Random(1), Event()
    job_id = jobs.submit(RECIPES[0], "owner")
    for _ in range(4):
        add_image(jobs, job_id, make_jpeg(image=make_corners((700, 350))))
    jobs.close(job_id)
    wait_for_end(servers, job_id, 60)
    before = whole_urls(jobs, job_id)
    assert len(before) == 4 * 6  # Of four widths in two formats, one is beyond the image.
    sweeper = Thread(target=delete_replaced_until, args=(over, servers.instance))
    sweeper.start()
    try:
        for _ in range(KILLS):
            end = time.monotonic() + 2
            while time.monotonic() < end:
                change(jobs, job_id, chance)
                time.sleep(chance.random() / 2)
            victims = servers.busy_workers() or servers.children("consumer")
            os.kill(chance.choice(victims), signal.SIGKILL)
    finally:
        over.set()
        sweeper.join()
    wait_for_end(servers, job_id, 60)
    job = jobs.job(job_id)
    assert {image.status for image in job.images} == {"done"}
    assert whole_urls(jobs, job_id) == before
    rows = servers.rows("SELECT folder, file_name, bytes FROM thumbnails")
    files = {f"{folder}/{file_name}": size for folder, file_name, size in rows}
    with closing(servers.client()) as client:
        answers = {path: client.get(f"/thumbnails/{path}") for path in files}
    assert {path: len(answer.body) for path, answer in answers.items()} == files
    assert {answer.status for answer in answers.values()} == {200}
    age(jobs, ABANDONED_SECONDS + 1)
    for _ in delete_replaced(jobs.store, jobs.storage, time.time()):
        pass
    sweep(jobs)
    root = jobs.storage.thumbnails
    left = {str(file.relative_to(root)) for file in root.rglob("*.*") if file.is_file()}
    assert left == set(files)
