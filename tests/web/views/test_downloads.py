"""Download thumbnails as a zip or as markup."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import job_at, work
from tests.support.people import Person
from webapp.config import Config


@pytest.fixture
def packing(tmp_path: Path) -> Iterator[Flask]:
    """Create an application that packs 20 thumbnails an hour for each client."""
    limits = Config(
        instance=tmp_path / "packing", max_images=5, max_outputs=4, max_packed_per_hour=20
    )
    with running_app(limits) as app:
        yield app


@pytest.mark.parametrize("what", ["zip", "markup"])
def test_downloads_beyond_the_hourly_limit_are_refused(packing: Flask, what: str) -> None:
    person, jobs = Person(packing.test_client()), packing.extensions["jobs"]
    answer = person.upload((make_jpeg(), "a.jpg"), presets="web-set")
    assert answer.status_code == 422  # Eight outputs.
    presets = ["square", "card", "avatar"]
    address = person.submit(make_jpeg(), make_jpeg(), presets=presets)
    assert person.get(f"{address}/zip").status_code == 404  # Which costs nothing of the hour.
    work(jobs)
    answers = [person.get(f"{address}/{what}") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 3500 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert (
        "Your network has downloaded 20 thumbnails in zips and markup this hour."
        in answers[-1].text
    )
    program = packing.test_client().get(f"{address}/{what}")
    assert (program.json or {})["code"] == "too_many_packed"
    elsewhere = {"REMOTE_ADDR": "192.0.2.9"}
    answer = packing.test_client().get(f"{address}/{what}", environ_overrides=elsewhere)
    assert answer.status_code == 200


def test_following_a_job_uses_no_download_limit(packing: Flask) -> None:
    person, jobs = Person(packing.test_client()), packing.extensions["jobs"]
    path = person.submit(make_jpeg())
    work(jobs)
    image = job_at(jobs, path).images[0]
    for _ in range(21):
        for part_ in ("", "/panel", f"/images/{image.id}", f"/markup?of={image.id}"):
            assert person.get(f"{path}{part_}").status_code == 200
        assert person.client.head(f"{path}/zip").status_code == 200
    assert person.get(f"{path}/zip").status_code == 200
