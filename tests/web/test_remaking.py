"""Changes of a job by its owner: remake, retry, cancel, extend."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from werkzeug.datastructures import MultiDict

from tests.conftest import (
    Person,
    Script,
    age,
    nothing_left,
    read_zip,
    running_app,
)
from tests.support.clock import Clock
from tests.support.images import make_corners, make_jpeg, make_truncated
from tests.support.jobs import (
    claim,
    claims_of,
    finish,
    id_of,
    job_at,
    open_jobs,
    recipe_of,
    sweep,
    work,
    work_once,
)
from webapp.config import Config
from webapp.jobs.health import estimate
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Job, Thumbnail
from webapp.jobs.storage import ABANDONED_SECONDS, REPLACED_SECONDS
from webapp.recipes.outputs import InvalidRecipe, Output, Recipe, RecipeLimits
from webapp.recipes.presets import PRESETS
from webapp.web.forms.upload import UploadForm


def file_names(job: Job) -> list[str]:
    return [made.file_name for image in job.images for made in image.thumbnails]


def test_job_is_made_again_from_the_same_uploads(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    answer = person.post(f"{path}/remake", presets="card")
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp"]


def remade(person: Person, jobs: Jobs, wait: float = 0) -> Thumbnail:
    """Make a job, make it again later, and return the replaced thumbnail."""
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    age(jobs, wait)
    (old,) = job_at(jobs, path).images[0].thumbnails
    jobs.remake(id_of(path), PRESETS["card"].recipe, "127.0.0.1")
    work(jobs)
    return old


def test_old_thumbnails_stay_until_the_new_ones_are_there(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    (old,) = job_at(jobs, path).images[0].thumbnails
    person.post(f"{path}/remake", presets="card")
    assert job_at(jobs, path).counts.waiting == 1
    assert person.get(old.url).status_code == 200


@pytest.mark.parametrize("wait", [0, 2 * ABANDONED_SECONDS])
def test_old_addresses_work_for_a_while_after_the_new_ones_do(
    person: Person, jobs: Jobs, wait: float
) -> None:
    old = remade(person, jobs, wait)
    age(jobs, REPLACED_SECONDS - 60)
    sweep(jobs)
    assert person.get(old.url).status_code == 200


def follow(monkeypatch: pytest.MonkeyPatch, part: Any, name: str, action: Any) -> None:
    """Run an action after the first call of a method."""
    method, actions = getattr(part, name), [action]

    def call(*args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        while actions:
            actions.pop()()
        return answer

    monkeypatch.setattr(part, name, call)


def test_sweep_while_new_addresses_are_written_keeps_the_old(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    age(jobs, 2 * REPLACED_SECONDS)
    (old,) = job_at(jobs, path).thumbnails
    jobs.remake(id_of(path), PRESETS["card"].recipe, "127.0.0.1")
    follow(monkeypatch, jobs.store.queue, "finish", partial(sweep, jobs))
    work(jobs)
    assert person.get(old.url).status_code == 200


def test_new_addresses_written_during_a_sweep_keep_the_old(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    age(jobs, 2 * REPLACED_SECONDS)
    (old,) = job_at(jobs, path).thumbnails
    jobs.remake(id_of(path), PRESETS["card"].recipe, "127.0.0.1")
    follow(monkeypatch, jobs.storage, "old_paths", partial(work, jobs))
    sweep(jobs)
    assert person.get(old.url).status_code == 200


def test_old_addresses_are_gone_after_that_while(person: Person, jobs: Jobs) -> None:
    old = remade(person, jobs)
    age(jobs, REPLACED_SECONDS + 60)
    sweep(jobs)
    assert person.get(old.url).status_code == 404


def test_nothing_but_the_new_thumbnails_is_left_after_that_while(
    person: Person, jobs: Jobs
) -> None:
    remade(person, jobs)
    age(jobs, REPLACED_SECONDS + 60)
    sweep(jobs)
    (job,) = map(jobs.job, jobs.ids())
    files = [path.name for path in jobs.storage.thumbnails.rglob("*.*")]
    assert sorted(files) == ["card.webp", "whole-image.webp"]
    assert person.get(job.thumbnails[0].url).status_code == 200


def test_making_again_and_again_does_not_keep_old_thumbnails_for_longer(
    person: Person, jobs: Jobs
) -> None:
    old = remade(person, jobs)
    for name in ("avatar", "social"):
        age(jobs, REPLACED_SECONDS / 2 + 60)
        jobs.remake(jobs.ids()[0], PRESETS[name].recipe, "127.0.0.1")
        work(jobs)
    sweep(jobs)
    assert person.get(old.url).status_code == 404


def test_old_thumbnails_make_room_where_the_disk_is_nearly_full(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = remade(person, jobs)
    age(jobs, REPLACED_SECONDS / 5)
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 1000)
    sweep(jobs)
    assert person.get(old.url).status_code == 404


def test_old_thumbnails_go_with_their_job(person: Person, jobs: Jobs) -> None:
    remade(person, jobs)
    jobs.delete(jobs.ids()[0])
    assert nothing_left(jobs)


def test_old_thumbnails_stay_where_the_new_ones_cannot_be_made(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    own: dict[str, object] = {
        "outputs-0-width": "300",
        "outputs-0-max_kb": "1",
        "outputs-0-format": "png",
    }
    person.post(f"{path}/remake", **own)
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert (image.error_code, file_names(job_at(jobs, path))) == ("byte_budget", ["square.jpg"])


def test_result_of_the_old_recipe_is_discarded(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    old = claims_of(jobs).claim("slow")
    assert old
    person.post(f"{path}/remake", presets="card")
    assert not jobs.store.queue.renew(old, 1e12)
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp"]


def test_recipe_that_is_wrong_changes_nothing(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    answer = person.post(f"{path}/remake", **{"outputs-0-width": "0"})
    assert answer.status_code == 422
    assert job_at(jobs, path).counts.done == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"presets": "card"},
        {"presets": ["square", "web-set"]},
        {"outputs-0-width": "300", "outputs-0-format": ["webp", "png"], "presets": "avatar"},
        {
            "presets": [],
            "outputs-0-width": "300",
            "outputs-0-height": "200",
            "outputs-0-fit": "pad",
            "outputs-0-format": "webp",
            "outputs-0-transparent": "y",
            "outputs-0-quality": "70",
            "outputs-0-max_kb": "90",
            "outputs-1-width": "32",
            "outputs-1-height": "32",
            "outputs-1-fit": "cover",
            "outputs-1-focus": "smart",
            "outputs-1-format": "jpeg",
            "outputs-1-enlarge": "y",
        },
    ],
)
def test_remake_form_is_filled_in_with_the_recipe(
    person: Person, app: Flask, jobs: Jobs, fields: dict[str, object]
) -> None:
    recipe = recipe_of(job_at(jobs, person.submit(make_jpeg(), **fields)))
    with app.test_request_context():
        again = UploadForm.from_recipe(recipe).recipe(jobs.recipe_limits)
    assert set(again.outputs) == set(recipe.outputs)


def filled_in(app: Flask, fields: dict[str, object]) -> UploadForm:
    """Fill in the form as a person would."""
    with app.test_request_context():
        return UploadForm(formdata=MultiDict(fields))


def own_sizes(form: UploadForm) -> list[dict[str, Any]]:
    return [entry.data for entry in form.outputs if entry.form.is_used]


@pytest.mark.parametrize(
    "fields",
    [
        {"responsive-widths": "400 800", "responsive-formats": ["webp", "jpeg"]},
        {"responsive-widths": "400 800 1200", "responsive-formats": ["avif"]},
        {
            "presets": ["web-set", "square"],
            "responsive-widths": "400 800",
            "responsive-formats": ["webp", "png"],
            "outputs-0-width": "400",
            "outputs-0-height": "400",
            "outputs-0-format": "webp",
        },
        {
            "presets": ["card"],
            "responsive-widths": "400 800",
            "responsive-formats": ["webp", "jpeg"],
            "outputs-0-width": "1000",
            "outputs-0-format": "webp",
        },
    ],
)
def test_responsive_set_comes_back_as_one(app: Flask, jobs: Jobs, fields: dict[str, Any]) -> None:
    form = filled_in(app, fields)
    with app.test_request_context():
        again = UploadForm.from_recipe(form.recipe(jobs.recipe_limits))
    assert again.responsive.data == form.responsive.data
    assert own_sizes(again) == own_sizes(form)
    assert set(again.presets.data) == set(form.presets.data)


# Few values, so that sizes, sets and presets often meet.
own_size = st.fixed_dictionaries(
    {
        "width": st.sampled_from(["320", "400"]),
        "format": st.lists(st.sampled_from(["webp", "jpeg", "source"]), min_size=1, unique=True),
    },
    optional={
        "height": st.just("320"),
        "fit": st.just("cover"),
        "quality": st.just("70"),
        "animated": st.just("y"),
    },
)


def outputs(recipe: Recipe) -> set[Output]:
    """Return the outputs without the numbers of equal names."""
    return {replace(one, name=re.sub(r"-\d+$", "", one.name)) for one in recipe.outputs}


@given(
    presets=st.lists(st.sampled_from(list(PRESETS)), unique=True, max_size=2),
    own=st.lists(own_size, max_size=4),
    widths=st.lists(st.sampled_from(["320", "400", "640"]), max_size=3),
    formats=st.lists(st.sampled_from(["webp", "jpeg"]), unique=True, min_size=1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_form_that_is_filled_in_with_a_recipe_makes_the_same(
    app: Flask,
    presets: list[str],
    own: list[dict[str, Any]],
    widths: list[str],
    formats: list[str],
) -> None:
    fields: dict[str, Any] = {"presets": presets}
    fields |= {"responsive-widths": " ".join(widths), "responsive-formats": formats}
    for number, size in enumerate(own):
        fields |= {f"outputs-{number}-{name}": value for name, value in size.items()}
    limits = RecipeLimits(max_outputs=100)
    form = filled_in(app, fields)
    try:
        recipe = form.recipe(limits)
    except InvalidRecipe:
        return
    with app.test_request_context():
        again = UploadForm.from_recipe(recipe)
        assert outputs(again.recipe(limits)) == outputs(recipe)
        assert UploadForm.from_recipe(again.recipe(limits)).data == again.data


def test_remake_form_shows_a_recipe_beyond_the_limits(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path)) as app:
        path = Person(app.test_client()).submit(make_jpeg(), presets="web-set")
        recipe = recipe_of(job_at(app.extensions["jobs"], path))
    with running_app(Config(instance=tmp_path, max_side=1000)) as app, app.test_request_context():
        form = UploadForm.from_recipe(recipe)
    assert form.presets.data == []
    assert form.responsive.data == {"widths": "320 640 1280 1920", "formats": ["webp", "jpeg"]}


def test_page_to_make_a_job_again_shows_its_recipe(person: Person) -> None:
    path = person.submit(make_jpeg(), presets="card")
    page = person.page(f"{path}/remake")
    assert page.values("input[name=presets][checked]") == ["card"]


MINUTES = f"{REPLACED_SECONDS / 60:g} minutes"
NEW_ADDRESSES = f"new addresses. The old addresses stop working {MINUTES} later"


def test_page_to_make_a_job_again_says_that_addresses_change(person: Person) -> None:
    page = person.get(f"{person.submit(make_jpeg())}/remake").text
    assert NEW_ADDRESSES in page


def test_form_of_the_focal_point_says_that_addresses_change(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    work(jobs)
    page = person.get(f"{path}/images/{job_at(jobs, path).images[0].id}").text
    assert NEW_ADDRESSES in page


def test_cancelled_images_are_left_out_when_a_job_is_made_again(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    person.post(f"{path}/images/{job_at(jobs, path).images[0].id}/cancel")
    work(jobs)
    page = person.get(f"{path}/remake").text
    assert "<h1>Make thumbnails of 2 images again</h1>" in page
    assert "1 cancelled image is not included." in page
    person.post(f"{path}/remake", presets="card")
    assert [image.status for image in job_at(jobs, path).images] == [
        "cancelled",
        "waiting",
        "waiting",
    ]


def test_focal_point_moves_the_crops(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(image=make_corners((400, 200))), presets="avatar")
    work(jobs)
    colors = []
    for x in ("0", "1"):
        (image,) = job_at(jobs, path).images
        action = f"{path}/images/{image.id}/focus"
        assert person.post(action, x=x, y="0.5").status_code == 303
        work(jobs)
        (made,) = job_at(jobs, path).images[0].thumbnails
        picture = Image.open(BytesIO(person.get(made.url).data)).convert("RGB")
        colors.append(picture.getpixel((10, 10)))
    assert [_nearest(color) for color in colors] == ["left", "right"]


def test_crops_are_as_the_recipe_says_again_without_the_focal_point(
    person: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg(image=make_corners((400, 200))), presets="avatar")
    focus = f"{path}/images/{job_at(jobs, path).images[0].id}/focus"
    made = []
    for action, fields in ((focus, {"x": "1", "y": "0.5"}), (f"{focus}/clear", {})):
        work(jobs)
        made.append(person.get(job_at(jobs, path).thumbnails[0].url).data)
        assert person.post(action, **fields).status_code == 303
    work(jobs)
    made.append(person.get(job_at(jobs, path).thumbnails[0].url).data)
    assert made[0] == made[2] != made[1]


def test_reset_to_recipe_is_offered_with_a_focal_point(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    work(jobs)
    page = f"{path}/images/{job_at(jobs, path).images[0].id}"
    offered = []
    for action, fields in (("focus", {"x": "1", "y": "0"}), ("focus/clear", {})):
        offered.append("Reset to recipe" in person.get(page).text)
        person.post(f"{page}/{action}", **fields)
    offered.append("Reset to recipe" in person.get(page).text)
    assert offered == [False, True, False]


def test_focal_point_is_chosen_by_the_owner_alone(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    focus = f"{path}/images/{job_at(jobs, path).images[0].id}/focus"
    person.post(focus, x="1", y="0")
    for action in (focus, f"{focus}/clear"):
        assert stranger.post(action, x="0", y="0").status_code == 403
    assert job_at(jobs, path).images[0].focus == (1, 0)


def _nearest(color: Any) -> str:
    """Return the half of make_corners that a colour of the upper row is in."""
    return "left" if color[0] > color[1] else "right"


@pytest.mark.parametrize(("x", "y"), [("", "0.5"), ("-1", "0"), ("0.5", "1.01"), ("nan", "0")])
def test_focal_point_outside_the_image_is_refused(person: Person, x: str, y: str) -> None:
    path = person.submit(make_jpeg())
    image_id = person.page(path).value(".frame", "id").removeprefix("image-")
    answer = person.post(f"{path}/images/{image_id}/focus", x=x, y=y)
    assert answer.status_code == 422
    assert "<p>The focal point must be two numbers from 0 to 1.</p>" in answer.text


def test_failed_image_is_tried_again(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_jpeg())
    work(jobs)
    failed = next(image for image in job_at(jobs, path).images if image.is_failed)
    person.post(f"{path}/images/{failed.id}/retry")
    job = job_at(jobs, path)
    assert (job.counts.waiting, job.counts.failed, job.counts.done) == (1, 0, 1)


def test_all_failed_images_are_tried_again_as_often_as_new_ones(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_truncated())
    for _ in range(7):
        work(jobs)
        assert job_at(jobs, path).counts.failed == 2
        person.post(f"{path}/retry")
    assert job_at(jobs, path).counts.waiting == 2


def test_what_was_cancelled_stays_so_when_all_failed_are_tried_again(
    person: Person, jobs: Jobs
) -> None:
    path = person.submit(make_truncated(), make_jpeg())
    person.post(f"{path}/images/{job_at(jobs, path).images[1].id}/cancel")
    work(jobs)
    assert "Retry all failed" in person.get(path).text
    person.post(f"{path}/retry")
    assert [image.status for image in job_at(jobs, path).images] == ["waiting", "cancelled"]


def test_all_cancelled_images_are_tried_again_where_none_failed(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    person.post(f"{path}/cancel")
    assert "Retry all cancelled" in person.get(path).text
    person.post(f"{path}/retry")
    assert job_at(jobs, path).counts.waiting == 2


def test_cancelled_images_are_not_worked_on(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    person.post(f"{path}/cancel")
    work(jobs)
    job = job_at(jobs, path)
    assert (job.counts.cancelled, job.is_finished) == (2, True)


def stopped(person: Person, jobs: Jobs) -> str:
    """Make a job again, cancel it after one of two images, and return its path."""
    path = person.submit(make_jpeg(), make_jpeg())
    work(jobs)
    person.post(f"{path}/remake", presets="card")
    work_once(jobs)
    person.post(f"{path}/cancel")
    return path


def test_image_cancelled_while_remade_keeps_its_thumbnails(person: Person, jobs: Jobs) -> None:
    path = stopped(person, jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp", "square.jpg"]


def test_page_tells_what_is_not_made_again_because_it_was_cancelled(
    person: Person, jobs: Jobs
) -> None:
    page = person.get(stopped(person, jobs)).text
    assert "1 of 2 images done, 1 cancelled" in page
    assert page.count("previous result") == 1


def test_zip_tells_what_is_not_made_again_because_it_was_cancelled(
    person: Person, jobs: Jobs
) -> None:
    with read_zip(person.get(f"{stopped(person, jobs)}/zip")) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        page = archive.read("index.html").decode()
    assert [image["state"] for image in manifest["images"]] == ["done", "cancelled"]
    assert (manifest["job"]["done"], manifest["job"]["cancelled"]) == (1, 1)
    assert page.count("cancelled, previous result") == 1


def test_old_results_are_made_again_by_a_retry(person: Person, jobs: Jobs) -> None:
    path = stopped(person, jobs)
    person.post(f"{path}/retry")
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp", "card.webp"]


def test_old_results_are_made_again_with_another_recipe(person: Person, jobs: Jobs) -> None:
    path = stopped(person, jobs)
    person.post(f"{path}/remake", presets="avatar")
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["avatar.webp", "avatar.webp"]


def test_old_results_are_made_again_with_another_focal_point(person: Person, jobs: Jobs) -> None:
    path = stopped(person, jobs)
    old = job_at(jobs, path).images[1]
    person.post(f"{path}/images/{old.id}/focus", x="1", y="0.5")
    work(jobs)
    assert job_at(jobs, path).counts.done == 2


@pytest.mark.parametrize(("hours", "kept"), [("100", 100), ("100000", 168)])
def test_job_is_kept_for_longer_but_not_for_ever(
    person: Person, jobs: Jobs, hours: str, kept: int
) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/extend", hours=hours)
    left = job_at(jobs, path).expires - datetime.now(UTC)
    assert round(left.total_seconds() / 3600) == kept


@pytest.mark.parametrize("hours", ["1", "23"])
def test_keeping_a_job_never_shortens_its_time(person: Person, jobs: Jobs, hours: str) -> None:
    path = person.submit(make_jpeg())
    before = job_at(jobs, path).expires
    assert person.post(f"{path}/extend", hours=hours).status_code == 303
    assert job_at(jobs, path).expires == before


@pytest.mark.parametrize(
    ("kept", "offered"),
    [
        ("1", ["24", "72", "168"]),
        ("24", ["72", "168"]),
        ("72", ["168"]),
        ("168", []),
    ],
)
def test_page_offers_no_time_that_keeps_the_job_no_longer(
    person: Person, kept: str, offered: list[str]
) -> None:
    path = person.submit(make_jpeg(), keep_hours=kept)
    assert offered_hours(person, path) == offered


def test_page_offers_no_retention_shorter_than_the_current_one(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    generous = replace(jobs.config, max_retention_hours=10_000)  # The settings were others.
    open_jobs(generous, jobs.now).extend(id_of(path), 9000)
    assert offered_hours(person, path) == []
    assert "Keep for" not in person.get(path).text


def let_age(clock: Clock, jobs: Jobs, path: str, hours: float) -> None:
    """Advance the clock, extending a job to 24 hours from then."""
    for _ in range(100):
        clock.advance(hours=hours / 100)
        jobs.extend(id_of(path), 24)


def test_job_is_kept_no_longer_than_the_maximum(clock: Clock, person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    for _ in range(5):
        clock.advance(hours=20)
        person.post(f"{path}/extend", hours="168")
    job = job_at(jobs, path)
    assert round((job.expires - job.created).total_seconds()) == 168 * 3600


@pytest.mark.parametrize(
    ("hours", "offered"), [(90, ["72", "168"]), (100, ["72"]), (143, ["72"]), (144.5, [])]
)
def test_page_offers_of_the_times_that_end_together_the_shortest(
    clock: Clock, person: Person, jobs: Jobs, hours: float, offered: list[str]
) -> None:
    path = person.submit(make_jpeg())  # It is kept for 24 hours from now.
    let_age(clock, jobs, path, hours)
    assert offered_hours(person, path) == offered


def offered_hours(person: Person, path: str) -> list[str]:
    """List for how many hours the page offers to keep a job."""
    return person.page(path).values("select[name=hours] option")


@pytest.mark.parametrize("hours", ["", "0", "-1", "nan", "inf", "long"])
def test_time_that_is_none_is_refused(person: Person, hours: str) -> None:
    path = person.submit(make_jpeg())
    assert person.post(f"{path}/extend", hours=hours).status_code == 422


@pytest.mark.parametrize("action", ["retry", "cancel", "extend", "remake"])
def test_only_the_owner_changes_a_job(person: Person, stranger: Person, action: str) -> None:
    path = person.submit(make_jpeg())
    answer = stranger.post(f"{path}/{action}", hours="1", presets="card")
    assert answer.status_code == 403


def test_page_knows_how_many_come_before(person: Person, stranger: Person, jobs: Jobs) -> None:
    stranger.submit(make_jpeg(), make_jpeg(), make_jpeg())
    path = person.submit(make_jpeg())
    assert estimate(jobs.store, job_at(jobs, path), jobs.now()).ahead == 1  # Owners take turns.
    assert "1 image ahead of you in the queue" in person.get(path).text


def test_time_left_is_told_from_what_the_last_images_took(
    clock: Clock, person: Person, jobs: Jobs
) -> None:
    person.submit(make_jpeg())
    claimed = claim(jobs)
    clock.advance(10)
    finish(jobs, claimed)
    claims_of(jobs).beat("a")
    claims_of(jobs).beat("b")
    path = person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    assert estimate(jobs.store, job_at(jobs, path), jobs.now()).seconds in (15, 16)
    assert "about 20 seconds left" in person.get(path).text


def test_job_with_nothing_to_do_yet_promises_no_time(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    work(jobs)
    claims_of(jobs).beat("a")
    assert estimate(jobs.store, jobs.job(job["id"]), jobs.now()).seconds is None


def test_panel_comes_again_when_others_are_done_with(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    other = stranger.submit(make_jpeg())
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    assert person.get(address).status_code == 204
    jobs.delete(id_of(other))
    assert person.get(address).status_code == 200
