"""Try the quality of one file, and use it for all images of a job."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from flask import Flask
from PIL import Image

from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import (
    age,
    answer_with_worker,
    files_left,
    job_at,
    recipe_of,
    sweep,
    url_of,
    work,
)
from tests.support.pages import Page
from tests.support.people import Person
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import TRIAL_SECONDS
from webapp.jobs.store import Store
from webapp.jobs.trials import Trials

PHOTO = make_jpeg(size=(1000, 700))


@pytest.fixture
def path(person: Person, jobs: Jobs) -> str:
    """Return the path of the page of an image that is done."""
    path = person.submit(PHOTO, PHOTO, presets=["avatar", "web-set"])
    work(jobs)
    return f"{path}/images/{job_at(jobs, path).images[0].id}"


def job_of(path: str) -> str:
    return path.partition("/images/")[0]


def test_trial_has_the_size_and_picture_of_that_quality(
    app: Flask, person: Person, path: str
) -> None:
    sizes = []
    for quality in ("90", "20"):
        page = try_quality(app, person, path, "640w.jpg", quality)
        picture = person.get(page.value("#after", "src"))
        assert picture.mimetype == "image/jpeg"
        assert Image.open(BytesIO(picture.data)).size == (640, 448)
        sizes.append(len(picture.data))
        assert page.text("#trial").startswith(f"{quality} instead of 80: ")
        assert f"{len(picture.data) / 1000:.0f} kB" in page.text("#trial")
    assert sizes[0] > 2 * sizes[1]


def try_quality(app: Flask, person: Person, path: str, name: str, quality: str) -> Page:
    answer = answer_with_worker(
        app, lambda: person.post_by_htmx(f"{path}/trials", after=name, tried=quality)
    )
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


@pytest.mark.parametrize("name", ["1280w.webp", "1280w.jpg", "avatar.webp"])
def test_file_that_is_tried_is_the_file_that_is_made(
    app: Flask, person: Person, jobs: Jobs, path: str, name: str
) -> None:
    person.post(f"{path}/focus", x="0.3", y="0.4")
    work(jobs)
    for quality in ("90", "40"):  # The second is encoded from what the first composed.
        tried = person.get(try_quality(app, person, path, name, quality).value("#after", "src"))
    person.post(f"{path}/quality", after=name, quality="40")
    work(jobs)
    (made,) = (
        one for one in job_at(jobs, job_of(path)).images[0].thumbnails if one.file_name == name
    )
    assert person.get(url_of(made)).data == tried.data


def test_used_quality_makes_one_size_of_all_images_again(
    person: Person, jobs: Jobs, path: str
) -> None:
    before = {made.path for made in job_at(jobs, job_of(path)).thumbnails}
    assert person.post(f"{path}/quality", after="640w.webp", quality="30").status_code == 303
    work(jobs)
    job = job_at(jobs, job_of(path))
    new = [made for made in job.thumbnails if made.path not in before]
    assert [(made.file_name, made.quality) for made in new] == [("640w.webp", 30)] * 2
    assert {one.name: one.quality for one in recipe_of(job).outputs if one.quality} == {"640w": 30}


def test_qualities_of_two_sizes_used_at_once_are_both_kept(
    app: Flask, person: Person, jobs: Jobs, path: str
) -> None:
    names = ("320w.webp", "640w.webp", "320w.jpg", "640w.jpg")
    token = person.token()
    cookie = person.client.get_cookie("session")
    assert cookie

    def use(name: str, quality: int) -> None:
        client = app.test_client()
        client.set_cookie("session", cookie.value)
        form = {"csrf_token": token, "after": name, "quality": str(quality)}
        assert client.post(f"{path}/quality", data=form).status_code == 303

    for quality in range(30, 36):
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda name: use(name, quality), names))  # noqa: B023
        qualities = [one.quality for one in recipe_of(job_at(jobs, job_of(path))).outputs]
        assert qualities.count(quality) == len(names)


def test_slider_starts_at_the_quality_that_is_used(person: Person, jobs: Jobs, path: str) -> None:
    page = f"{path}?after=640w.webp"
    assert person.page(page).value("#quality [type=range]") == "80"
    fields = {"after": "640w.webp", "tried": "31", "quality": "80"}
    answer = person.post_by_htmx(f"{path}/quality", **fields)
    assert Page(answer.text).value("#image-panel", "data-state") == "waiting"
    assert person.page(page).value("#quality [type=range]") == "31"


def test_quality_is_not_offered_where_there_is_none_to_choose(
    person: Person, stranger: Person, jobs: Jobs, path: str
) -> None:
    assert "Quality of this size" in person.get(path).text
    assert "Quality of this size" not in stranger.get(path).text
    own = {"outputs-0-width": "300", "presets": []}
    for fields in ({"format": "png"}, {"format": "jpeg", "max_kb": "90"}):
        output = {f"outputs-0-{name}": value for name, value in fields.items()}
        page = person.submit(PHOTO, **own, **output)
        work(jobs)
        (image,) = job_at(jobs, page).images
        assert image.thumbnails
        assert "Quality of this size" not in person.get(f"{page}/images/{image.id}").text
        name = image.thumbnails[0].file_name
        answer = person.post(f"{page}/images/{image.id}/quality", after=name, quality="30")
        assert answer.status_code == 404


@pytest.mark.parametrize("quality", ["0", "101", "", "high"])
def test_quality_out_of_bounds_is_refused(person: Person, path: str, quality: str) -> None:
    for action in ("quality", "trials"):
        fields = {"after": "640w.jpg", "tried": quality}
        answer = person.post_by_htmx(f"{path}/{action}", **fields)
        assert answer.status_code == 422
        assert (answer.json or {})["detail"].startswith("The quality must be ")


def test_only_the_owner_tries_and_uses_a_quality(
    app: Flask, person: Person, stranger: Person, path: str
) -> None:
    url = try_quality(app, person, path, "640w.jpg", "30").value("#after", "src")
    fields = {"after": "640w.jpg", "tried": "30"}
    for action in ("trials", "quality"):
        assert stranger.post(f"{path}/{action}", **fields).status_code == 403
    assert stranger.get(url).status_code == 403


def test_trial_of_another_image_or_name_is_not_found(
    app: Flask, person: Person, jobs: Jobs, path: str
) -> None:
    url = try_quality(app, person, path, "640w.jpg", "30").value("#after", "src")
    other = job_at(jobs, job_of(path)).images[1].id
    assert person.get(url.replace(path.rpartition("/")[2], other, 1)).status_code == 404
    composed = url.rpartition("-")[0] + ".composed"
    assert person.get(composed).status_code == 404
    assert person.get(f"{path}/trials/..%2F{url.rpartition('/')[2]}").status_code == 404


def test_trial_is_deleted_after_some_minutes_or_with_its_job(
    app: Flask, person: Person, jobs: Jobs, path: str
) -> None:
    before = set(files_left(jobs))
    url = try_quality(app, person, path, "640w.jpg", "30").value("#after", "src")
    sweep(jobs)
    assert person.get(url).status_code == 200
    age(jobs, TRIAL_SECONDS + 1)
    sweep(jobs)
    assert set(files_left(jobs)) == before
    assert person.get(url).status_code == 404
    try_quality(app, person, path, "640w.jpg", "30")
    jobs.delete(job_of(path).removeprefix("/jobs/"))
    assert files_left(jobs) == []


def test_trial_counts_as_work_of_the_client(app: Flask, person: Person, path: str) -> None:
    before = work_of(app)
    try_quality(app, person, path, "1280w.webp", "30")
    first = work_of(app)
    assert first > before
    person.post_by_htmx(f"{path}/trials", after="1280w.webp", tried="30")
    assert work_of(app) == first  # It is there already.


def test_quality_that_is_used_costs_no_work(app: Flask, person: Person, path: str) -> None:
    before = work_of(app)
    page = try_quality(app, person, path, "640w.jpg", "80")
    assert "/trials/" not in page.value("#after", "src")
    assert " instead of " not in page.text("#trial")
    assert page.text("#trial") == person.page(f"{path}?after=640w.jpg").text("#trial")
    assert work_of(app) == before


def work_of(app: Flask) -> int:
    store: Store = app.extensions["jobs"].store
    return sum(row["amount"] for row in store.db.query("SELECT * FROM usage WHERE what = 'work'"))


def test_client_without_work_left_is_told_when_there_is_some(
    person: Person, path: str, jobs: Jobs
) -> None:
    limit = Config().max_work_seconds_per_hour
    jobs.store.usage.add("127.0.0.1", "work", limit * 1000)
    answer = person.post_by_htmx(f"{path}/trials", after="640w.jpg", tried="30")
    assert answer.status_code == 429
    assert "of work within an hour. There is room again in" in (answer.json or {})["detail"]


def test_trial_that_no_worker_makes_is_given_up(person: Person, path: str, jobs: Jobs) -> None:
    jobs.store.operations.beat("worker")
    jobs.trials = Trials(jobs.store, jobs.storage, jobs.limits, jobs.watch, 1, wait_seconds=0.1)
    answer = person.post_by_htmx(f"{path}/trials", after="640w.jpg", tried="30")
    assert answer.status_code == 503
    assert (answer.json or {})["detail"] == (
        "No worker was free to try this quality. Try again in 5 seconds."
    )


def test_trial_that_fails_says_so_and_can_be_tried_again(
    app: Flask, person: Person, path: str, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    original = jobs.storage.original(*path.removeprefix("/jobs/").split("/images/"))
    original.write_bytes(make_truncated())
    answer = answer_with_worker(
        app, lambda: person.post_by_htmx(f"{path}/trials", after="640w.jpg", tried="30")
    )
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert (answer.json or {})["code"] == "trial_failed"
    assert (answer.json or {})["detail"] == (
        "This quality could not be tried. Try again in 5 seconds."
    )
    (logged,) = (one for one in caplog.records if one.message == "trial failed")
    assert vars(logged)["code"] == "truncated"
    original.write_bytes(PHOTO)
    assert try_quality(app, person, path, "640w.jpg", "30").text("#trial").startswith("30 ")
