"""Compare an image with its thumbnails, or two thumbnails."""

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import job_at, work
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs


@pytest.mark.parametrize(
    ("preset", "view"), [("web-set", "over"), ("card", "beside"), ("square", "beside")]
)
def test_pictures_of_the_same_view_are_compared_overlaid(
    person: Person, jobs: Jobs, preset: str, view: str
) -> None:
    job = person.submit(make_jpeg(size=(1000, 700)), presets=preset)
    work(jobs)
    (image,) = job_at(jobs, job).images
    assert f'class="compare {view}"' in person.get(f"{job}/images/{image.id}").text


def test_stranger_sees_the_smallest_file_beside_the_largest(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    job = person.submit(make_jpeg(size=(1000, 700)), presets="web-set")
    work(jobs)
    (image,) = job_at(jobs, job).images
    page = stranger.get(f"{job}/images/{image.id}").text
    lightest = min(image.thumbnails, key=lambda made: made.bytes)
    assert 'alt="Before: 1000 × 700' in page
    assert f'alt="After: {lightest.width} × {lightest.height}' in page


def test_single_thumbnail_is_not_compared_with_itself(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    job = person.submit(make_jpeg())
    work(jobs)
    (image,) = job_at(jobs, job).images
    assert 'class="compare alone"' in stranger.get(f"{job}/images/{image.id}").text
