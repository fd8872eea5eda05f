"""Compare an image with its thumbnails, or two thumbnails."""

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import job_at, url_of, work
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


def test_stranger_compares_files_of_the_largest_size(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    job = person.submit(make_jpeg(size=(1000, 700)), presets="web-set")
    work(jobs)
    (image,) = job_at(jobs, job).images
    page = stranger.page(f"{job}/images/{image.id}")
    largest = [made for made in image.thumbnails if made.width == 1000]
    heavy, light = sorted(largest, key=lambda made: -made.bytes)
    assert [page.value(".before", "src"), page.value(".after", "src")] == [
        url_of(heavy),
        url_of(light),
    ]


def test_file_to_compare_is_chosen_by_the_address(person: Person, jobs: Jobs) -> None:
    job = person.submit(make_jpeg(size=(1000, 700)), presets=["web-set", "card"])
    work(jobs)
    (image,) = job_at(jobs, job).images
    path = f"{job}/images/{image.id}"
    for name, shown in [("320w.jpg", "320w.jpg"), ("card.webp", "card.webp")]:
        page = person.page(f"{path}?after={name}")
        assert page.value(".after", "src").rpartition("/")[2] == shown
        assert page.value("[name=after][checked]") == shown
    chosen = person.page(f"{path}?after=no-such.webp").value("[name=after][checked]")
    assert chosen.endswith(".webp")
    assert chosen != "card.webp"


def test_single_thumbnail_is_not_compared_with_itself(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    job = person.submit(make_jpeg())
    work(jobs)
    (image,) = job_at(jobs, job).images
    assert 'class="compare alone"' in stranger.get(f"{job}/images/{image.id}").text
