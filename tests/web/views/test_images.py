"""Show the page of one image."""

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import claim, claims_of, job_at, work
from tests.support.pages import Page
from tests.support.people import Person
from webapp.engine.errors import TimedOut
from webapp.jobs.lifecycle import Jobs


def test_image_panel_is_sent_when_its_poll_slows_down(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    image = job_at(jobs, path).images[0].id
    address = person.page(f"{path}/images/{image}").polled()
    assert address
    assert person.get(address).status_code == 204
    clock.advance(60)
    assert 'hx-trigger="every 1000ms"' in person.get(address).text


def test_image_has_a_page_with_its_markup_and_neighbours(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(size=(400, 300)), make_jpeg())
    work(jobs)
    first, image, last = job_at(jobs, path).images
    page = person.get(f"{path}/images/{image.id}").text
    assert "from 400 × 300 JPEG" in page
    assert "&lt;img src=" in page
    assert first.id in page
    assert last.id in page


def test_image_page_links_back_with_the_right_number(person: Person, jobs: Jobs) -> None:
    for count, words in ((1, "All images"), (2, "All 2 images")):
        path = person.submit(*[make_jpeg()] * count)
        image = job_at(jobs, path).images[0]
        assert f">{words}</a>" in person.get(f"{path}/images/{image.id}").text


def test_failed_image_is_retried_from_its_own_page(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg(), make_truncated())
    first, second = (f"{path}/images/{image.id}" for image in job_at(jobs, path).images)
    assert f'action="{first}/retry"' not in person.get(first).text
    error = TimedOut(60)
    claims_of(jobs).fail(claim(jobs), error.code, str(error))
    assert f'action="{first}/retry"' in person.get(first).text
    assert f'action="{first}/retry"' not in stranger.get(first).text
    work(jobs)
    assert "its end is missing" in person.get(second).text
    assert f'action="{second}/retry"' not in person.get(second).text  # It would fail again.


def test_image_of_another_job_is_not_found(person: Person, jobs: Jobs) -> None:
    path, other = person.submit(make_jpeg()), person.submit(make_jpeg())
    image = job_at(jobs, other).images[0]
    assert person.get(f"{path}/images/{image.id}").status_code == 404
    assert "This job is gone" in person.get(f"{path}/images/{image.id}/panel").text


def test_unchanged_image_is_not_sent_again(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    image = job_at(jobs, path).images[0]
    address = person.page(f"{path}/images/{image.id}").polled()
    assert address
    assert person.get(address).status_code == 204
    work(jobs)
    panel = person.get(address).text
    assert "100 × 100 JPEG" in panel
    assert Page(panel).polled() is None
