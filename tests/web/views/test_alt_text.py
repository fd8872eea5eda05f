"""Write the alternative text of an image."""

import json

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import job_at, work
from tests.support.pages import Page, read_zip
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.names import ALT_LENGTH

WORDS = 'A "red" <b>cup</b> & saucer'


@pytest.fixture
def path(person: Person, jobs: Jobs) -> str:
    """Make thumbnails of two images, and return the path of their job."""
    path = person.submit((make_jpeg(), "IMG_1.jpg"), (make_jpeg(), "IMG_2.jpg"))
    work(jobs)
    return path


def address(jobs: Jobs, path: str) -> str:
    """Return the address of a job's first image."""
    return f"{path}/images/{job_at(jobs, path).images[0].id}"


def alts(markup: str) -> list[str]:
    return Page(markup).values("img", "alt")


def test_alt_text_is_in_all_markup(person: Person, jobs: Jobs, path: str) -> None:
    page = address(jobs, path)
    answer = person.post(f"{page}/alt", alt=WORDS)
    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    assert alts(person.get(f"{path}/markup").text) == [WORDS, "IMG 2"]
    assert alts(person.get(f"{path}/markup?as=relative").text) == [WORDS, "IMG 2"]
    one = job_at(jobs, path).images[0].id
    assert alts(person.get(f"{path}/markup?of={one}/square.jpg").text) == [WORDS]
    markdown = person.get(f"{path}/markup?as=markdown&of={one}").text
    assert markdown.startswith(r'![A "red" \<b\>cup\</b\> \& saucer](http')


def test_alt_text_is_in_the_zip(person: Person, jobs: Jobs, path: str) -> None:
    person.post(f"{address(jobs, path)}/alt", alt=WORDS)
    with read_zip(person.get(f"{path}/zip")) as archive:
        index = archive.read("index.html").decode()
        first, second = json.loads(archive.read("manifest.json"))["images"]
    assert (first["alt"], second["alt"]) == (WORDS, "IMG 2")
    assert alts(first["html"]) == [WORDS]
    assert alts(index) == [f"{WORDS}, 100 × 100 pixels", "IMG 2, 100 × 100 pixels"]


@pytest.mark.parametrize("empty", ["", "  \n ", "\u200b\u200d"])
def test_empty_alt_text_restores_that_of_the_name(
    person: Person, jobs: Jobs, path: str, empty: str
) -> None:
    page = address(jobs, path)
    person.post(f"{page}/alt", alt=WORDS)
    person.post(f"{page}/alt", alt=empty)
    assert alts(person.get(f"{path}/markup").text) == ["IMG 1", "IMG 2"]


def test_alt_text_is_one_line_without_invisible_characters(
    person: Person, jobs: Jobs, path: str
) -> None:
    person.post(f"{address(jobs, path)}/alt", alt=" A\r\n red \u202e\x00cup 👩\u200d🌾\u200b \t")
    assert alts(person.get(f"{path}/markup").text)[0] == "A red cup 👩\u200d🌾"


def test_longest_alt_text_is_kept_and_a_longer_one_refused(
    person: Person, jobs: Jobs, path: str
) -> None:
    page = address(jobs, path)
    assert person.post(f"{page}/alt", alt="é" * ALT_LENGTH).status_code == 303
    answer = person.post(f"{page}/alt", alt="x" * (ALT_LENGTH + 1))
    assert answer.status_code == 422
    assert "An alt text has at most 500 characters." in answer.text
    assert job_at(jobs, path).images[0].alt == "é" * ALT_LENGTH


def test_only_the_owner_writes_the_alt_text(
    person: Person, stranger: Person, jobs: Jobs, path: str
) -> None:
    assert stranger.post(f"{address(jobs, path)}/alt", alt=WORDS).status_code == 403
    assert job_at(jobs, path).images[0].alt is None


def test_alt_text_of_another_jobs_image_is_not_written(
    person: Person, jobs: Jobs, path: str
) -> None:
    other = person.submit(make_jpeg())
    image = job_at(jobs, path).images[0]
    assert person.post(f"{other}/images/{image.id}/alt", alt=WORDS).status_code == 404
    assert job_at(jobs, path).images[0].alt is None


def test_open_pages_learn_of_a_new_alt_text(person: Person, jobs: Jobs, path: str) -> None:
    before = job_at(jobs, path)
    person.post(f"{address(jobs, path)}/alt", alt=WORDS)
    after = job_at(jobs, path)
    assert after.version == before.version + 1
    assert [image.version for image in after.images] == [after.version, before.images[1].version]


def test_alt_text_stays_when_thumbnails_are_made_again(
    person: Person, jobs: Jobs, path: str
) -> None:
    person.post(f"{address(jobs, path)}/alt", alt=WORDS)
    person.post(f"{path}/remake", presets="card")
    work(jobs)
    assert alts(person.get(f"{path}/markup").text) == [WORDS, "IMG 2"]
