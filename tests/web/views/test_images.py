"""Show the page of one image."""

from uuid import UUID

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import claim, claims_of, job_at, work
from tests.support.pages import Page, read_zip
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


def test_image_has_a_page_with_its_neighbours(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(size=(400, 300)), make_jpeg())
    work(jobs)
    first, image, last = job_at(jobs, path).images
    page = person.page(f"{path}/images/{image.id}")
    assert "Original 400 × 300 JPEG" in page.text(".sides")
    assert page.value("[rel=prev]", "href").endswith(first.id)
    assert page.value("[rel=next]", "href").endswith(last.id)


def test_image_page_links_back_with_the_right_number(person: Person, jobs: Jobs) -> None:
    for count, words in ((1, "All photos"), (2, "All 2 photos")):
        path = person.submit(*[make_jpeg()] * count)
        image = job_at(jobs, path).images[0]
        assert person.page(f"{path}/images/{image.id}").texts(".loupe-bar a")[0] == words


def test_image_page_lists_crops_before_whole_files_by_size(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(700, 400)), presets=["web-set", "avatar"])
    work(jobs)
    (image,) = job_at(jobs, path).images
    page = person.page(f"{path}/images/{image.id}")
    assert page.texts(".outputs .group") == ["Crops", "Whole photo"]
    sizes = page.texts(".output > span:first-of-type")
    assert sizes == ["256 × 256", *["700 × 400"] * 2, *["640 × 366"] * 2, *["320 × 183"] * 2]
    assert "0-256w" not in page.values(".fetch", "download")


def test_image_page_says_how_long_it_is_kept(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    clock.advance(1800)
    image = job_at(jobs, path).images[0]
    assert "23 hours left" in person.page(f"{path}/images/{image.id}").text(".loupe-side .facts")


def test_all_files_of_an_image_are_one_zip(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(size=(400, 300)), presets=["web-set", "avatar"])
    work(jobs)
    image = job_at(jobs, path).images[1]
    page = person.page(f"{path}/images/{image.id}")
    assert page.text(".primary") == f"Download {len(image.thumbnails)}"
    names = read_zip(person.get(page.value(".primary", "href"))).namelist()
    pictures = [name for name in names if name.endswith((".webp", ".jpg"))]
    assert len(pictures) == len(image.thumbnails)
    assert person.get(f"{path}/zip?of={UUID(int=0)}").status_code == 404


def test_failed_image_is_retried_from_its_own_page(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg(), make_truncated())
    first, second = (f"{path}/images/{image.id}" for image in job_at(jobs, path).images)
    assert f'action="{first}/again"' not in person.get(first).text
    error = TimedOut(60)
    claims_of(jobs).fail(claim(jobs), error.code, str(error))
    assert f'action="{first}/again"' in person.get(first).text
    assert f'action="{first}/again"' not in stranger.get(first).text
    assert stranger.post(f"{first}/again").status_code == 403
    assert person.post(f"{first}/again").headers["Location"] == first
    assert job_at(jobs, path).images[0].is_waiting
    work(jobs)
    assert "its end was cut off" in person.get(second).text
    assert f'action="{second}/again"' not in person.get(second).text  # It would fail again.


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
