"""A change makes only what it changes again; all else keeps its address."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.images import make_corners, make_jpeg
from tests.support.jobs import id_of, job_at, sweep, url_of, work, work_once
from tests.support.people import Person
from webapp.engine import decoder
from webapp.engine.decoder import Decoder
from webapp.jobs import work as jobs_work
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import REPLACED_SECONDS, UNSETTLED_SECONDS
from webapp.jobs.work import digest_of
from webapp.recipes.outputs import Fit, Output

PRESETS = ["web-set", "avatar", "card"]
CROPS = {"avatar.webp", "card.webp"}


@pytest.fixture
def path(person: Person, jobs: Jobs) -> str:
    """Make a job with crops and whole thumbnails, and return its path."""
    path = person.submit(make_jpeg(image=make_corners((1400, 700))), presets=PRESETS)
    work(jobs)
    return path


def urls(jobs: Jobs, path: str) -> dict[str, str]:
    """Return the addresses of a job's thumbnails by their file names."""
    return {made.file_name: url_of(made) for made in job_at(jobs, path).thumbnails}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return the file names whose address is not what it was."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def focus(person: Person, jobs: Jobs, path: str, x: str = "1", y: str = "0.5") -> None:
    image = job_at(jobs, path).images[0]
    assert person.post(f"{path}/images/{image.id}/focus", x=x, y=y).status_code == 303


def remake(person: Person, path: str, *presets: str, **fields: object) -> None:
    answer = person.post(f"{path}/remake", presets=list(presets), **fields)
    assert answer.status_code == 303


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: Any, **options: Any) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(decoder.server, "run", run)


def test_new_focal_point_changes_the_addresses_of_crops_alone(
    person: Person, jobs: Jobs, path: str
) -> None:
    before = urls(jobs, path)
    focus(person, jobs, path)
    work(jobs)
    assert changed(before, urls(jobs, path)) == CROPS


def test_address_never_shows_other_bytes(person: Person, jobs: Jobs, path: str) -> None:
    before = {url: person.get(url).data for url in urls(jobs, path).values()}
    focus(person, jobs, path)
    work(jobs)
    assert {url: person.get(url).data for url in before} == before
    new = urls(jobs, path)["avatar.webp"]
    assert person.get(new).data not in before.values()


def test_added_output_leaves_all_addresses(person: Person, jobs: Jobs, path: str) -> None:
    before = urls(jobs, path)
    remake(person, path, *PRESETS, "square")
    work(jobs)
    assert changed(before, urls(jobs, path)) == {"square.jpg"}


def test_enlarged_size_leaves_all_other_addresses(person: Person, jobs: Jobs) -> None:
    photos = make_jpeg(size=(640, 480)), make_jpeg(size=(1400, 1000))
    path = person.submit(*photos, presets=["avatar", "social"])
    work(jobs)
    before = [url_of(made) for made in job_at(jobs, path).thumbnails]
    page = person.page(path)
    assert "smaller than 1200 × 630" in page.text(".thumbnails .tiny")  # Of the first photo alone.
    button = page.one("[formaction$=enlarge]")
    answer = person.post(button.attributes["formaction"] or "")
    message = "Every photo that is smaller than this size is enlarged."
    assert person.page(answer.headers["Location"]).texts("li.message") == [message]
    work(jobs)
    job = job_at(jobs, path)
    assert job.images[0].thumbnails[1].size == (1200, 630)
    after = [url_of(made) for made in job.thumbnails]
    assert [url in after for url in before] == [True, False, True, True]
    assert not person.page(path).all("[formaction$=enlarge]")


def test_two_sizes_are_enlarged_one_after_the_other(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(90, 60)), presets=["avatar", "card"])
    for name in ("avatar", "card", "unknown"):
        person.post(f"{path}/outputs/{name}/enlarge")
    work(jobs)
    assert [made.size for made in job_at(jobs, path).thumbnails] == [(256, 256), (640, 360)]


def test_removed_output_leaves_all_other_addresses(
    person: Person, jobs: Jobs, path: str, clock: Clock
) -> None:
    before = urls(jobs, path)
    remake(person, path, "web-set", "card")
    work(jobs)
    clock.advance(REPLACED_SECONDS + 60)
    sweep(jobs)
    assert changed(before, urls(jobs, path)) == {"avatar.webp"}
    statuses = {name: person.get(url).status_code for name, url in before.items()}
    assert [name for name, status in statuses.items() if status != 200] == ["avatar.webp"]


def test_thumbnails_are_in_the_order_of_the_new_recipe(
    person: Person, jobs: Jobs, path: str
) -> None:
    remake(person, path, "card", "square", "avatar")
    work(jobs)
    assert list(urls(jobs, path)) == ["card.webp", "square.jpg", "avatar.webp"]


def test_remake_with_the_same_recipe_decodes_nothing(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg(size=(3000, 2000)), presets=PRESETS)
    work(jobs)
    before = urls(jobs, path)
    image = job_at(jobs, path).images[0]
    forbid_decoding(monkeypatch)
    remake(person, path, *PRESETS)
    work(jobs)
    (after,) = job_at(jobs, path).images
    assert (after.status, after.thumbhash, urls(jobs, path)) == ("done", image.thumbhash, before)


def test_focal_point_taken_back_restores_the_addresses_at_once(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg(size=(400, 300)), presets=["avatar", "card"])
    work(jobs)
    before = urls(jobs, path)
    focus(person, jobs, path)
    work(jobs)
    assert changed(before, urls(jobs, path)) == CROPS
    forbid_decoding(monkeypatch)
    person.post(f"{path}/images/{job_at(jobs, path).images[0].id}/focus", automatic="")
    work(jobs)
    assert urls(jobs, path) == before


def test_restored_thumbnails_stay_and_those_they_replaced_end(
    person: Person, jobs: Jobs, path: str, clock: Clock
) -> None:
    focus(person, jobs, path)
    work(jobs)
    replaced = urls(jobs, path)
    person.post(f"{path}/images/{job_at(jobs, path).images[0].id}/focus", automatic="")
    work(jobs)
    clock.advance(REPLACED_SECONDS + 60)
    sweep(jobs)
    assert {person.get(url).status_code for url in urls(jobs, path).values()} == {200}
    assert {person.get(replaced[name]).status_code for name in CROPS} == {404}


def test_new_thumbnail_is_the_same_whatever_else_is_kept(person: Person, jobs: Jobs) -> None:
    picture = make_jpeg(image=make_corners((1400, 700)))
    pages = [person.submit(picture, presets=presets) for presets in (PRESETS, ["web-set"])]
    work(jobs)
    remake(person, pages[1], *PRESETS)
    work(jobs)
    contents = [
        {name: person.get(url).data for name, url in urls(jobs, page).items()} for page in pages
    ]
    assert contents[0] == contents[1]
    images = [job_at(jobs, page).images[0] for page in pages]
    assert (images[0].thumbhash, images[0].color) == (images[1].thumbhash, images[1].color)


def test_widths_beyond_a_small_image_are_not_made_later(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(500, 250)), presets=PRESETS)
    work(jobs)
    before = urls(jobs, path)
    focus(person, jobs, path)
    work(jobs)
    assert {name for name in before if name.endswith("w.webp")} == {"320w.webp", "640w.webp"}
    assert changed(before, urls(jobs, path)) == CROPS


@pytest.mark.parametrize(("fit", "is_changed"), [("contain", False), ("cover", True)])
def test_focal_point_of_a_recipe_decides_of_crops_alone(fit: Fit, is_changed: bool) -> None:
    output = Output("one", 200, 100, fit)
    is_other = digest_of(replace(output, focus="smart")) != digest_of(output)
    assert is_other == is_changed


def test_lost_file_is_made_again(person: Person, jobs: Jobs, path: str) -> None:
    before = urls(jobs, path)
    lost = job_at(jobs, path).thumbnails[0]
    (jobs.storage.thumbnails / lost.path).unlink()
    remake(person, path, *PRESETS)
    work(jobs)
    assert changed(before, urls(jobs, path)) == {lost.file_name}


def test_thumbnails_of_an_older_version_keep_their_addresses(
    person: Person, jobs: Jobs, path: str
) -> None:
    jobs.store.db.execute("UPDATE thumbnails SET digest = NULL")
    before = urls(jobs, path)
    focus(person, jobs, path)
    work(jobs)
    assert changed(before, urls(jobs, path)) == CROPS


def test_better_engine_changes_only_what_it_makes_better(
    person: Person, jobs: Jobs, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = urls(jobs, path)
    (worse,) = (made for made in job_at(jobs, path).thumbnails if made.file_name == "640w.webp")
    file = jobs.storage.thumbnails / worse.path
    file.write_bytes(file.read_bytes() + b"worse")
    monkeypatch.setattr(jobs_work, "ENGINE_VERSION", "a later one")
    remake(person, path, *PRESETS)
    work(jobs)
    assert changed(before, urls(jobs, path)) == {"640w.webp"}


def test_crop_that_comes_out_the_same_keeps_its_address(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 400)), presets=["avatar", "card"])
    work(jobs)
    before = urls(jobs, path)
    focus(person, jobs, path, y="0")
    work(jobs)
    assert changed(before, urls(jobs, path)) == {"card.webp"}


def test_only_new_thumbnails_count_against_the_limit(person: Person, jobs: Jobs, path: str) -> None:
    def used() -> int:
        sql = "SELECT coalesce(sum(amount), 0) AS used FROM usage WHERE what = 'bytes'"
        return int(jobs.store.db.query(sql)[0]["used"])

    remake(person, path, *PRESETS, "square")
    before = used()  # The form counts too.
    work(jobs)
    (square,) = (made for made in job_at(jobs, path).thumbnails if made.output == "square")
    assert used() - before == square.bytes


# Deaths


def test_thumbnail_swept_while_a_worker_keeps_it_is_made_again(
    person: Person, jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg(size=(400, 300)), presets=["avatar"])
    work(jobs)
    focus(person, jobs, path)
    work(jobs)
    person.post(f"{path}/images/{job_at(jobs, path).images[0].id}/focus", automatic="")
    clock.advance(REPLACED_SECONDS + 60)
    plan = jobs_work.Claims.plan

    def plan_and_sweep(*args: Any) -> Any:
        planned = plan(*args)
        sweep(jobs)
        return planned

    with monkeypatch.context() as sweeping, pytest.raises(LookupError, match="deleted meanwhile"):
        sweeping.setattr(jobs_work.Claims, "plan", plan_and_sweep)
        work_once(jobs)
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert (image.status, image.attempts) == ("done", 4)
    assert person.get(url_of(image.thumbnails[0])).status_code == 200


def test_sweep_that_dies_between_files_and_rows_is_completed_by_the_next(
    person: Person, jobs: Jobs, path: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    remake(person, path, "square")
    work(jobs)
    clock.advance(REPLACED_SECONDS + 60)
    delete = jobs.storage.delete_thumbnail

    def delete_and_die(path: str) -> None:
        delete(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(jobs.storage, "delete_thumbnail", delete_and_die)
        sweep(jobs)
    sweep(jobs)
    files = [file.name for file in (jobs.storage.thumbnails / id_of(path)).rglob("*.*")]
    assert files == ["square.jpg"]
    assert jobs.store.db.query("SELECT * FROM replaced_thumbnails") == []


def test_worker_that_dies_before_its_rows_changes_nothing(
    person: Person, jobs: Jobs, path: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = urls(jobs, path)
    focus(person, jobs, path)

    def die(*args: Any, **options: Any) -> Any:
        raise SystemExit

    with monkeypatch.context() as dying, pytest.raises(SystemExit):
        dying.setattr(jobs.store.queue, "finish", die)
        work_once(jobs)
    assert urls(jobs, path) == before
    clock.advance(UNSETTLED_SECONDS + 60)
    work(jobs)
    sweep(jobs)
    assert changed(before, urls(jobs, path)) == CROPS
    files = {file.name for file in (jobs.storage.thumbnails / id_of(path)).rglob("*.*")}
    folders = {made.folder for made in job_at(jobs, path).thumbnails}
    left = {
        f"{id_of(path)}/{folder.name}"
        for folder in (jobs.storage.thumbnails / id_of(path)).iterdir()
    }
    assert files == set(before)
    assert left == folders


def test_overtaken_worker_replaces_nothing(
    person: Person, jobs: Jobs, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    focus(person, jobs, path)
    make = Decoder.make_thumbnails
    overtaken: list[str] = []

    def be_overtaken(*args: Any, **options: Any) -> Any:
        result = make(*args, **options)
        if not overtaken:
            overtaken.append("once")
            focus(person, jobs, path, x="0")
            work(jobs)
        return result

    monkeypatch.setattr(Decoder, "make_thumbnails", be_overtaken)
    work_once(jobs)
    (image,) = job_at(jobs, path).images
    assert (image.status, image.focal_point, image.attempts) == ("done", (0, 0.5), 3)
    assert {person.get(url_of(made)).status_code for made in image.thumbnails} == {200}
    assert len(list((jobs.storage.thumbnails / id_of(path)).iterdir())) == 2
