"""Jobs that are kept until their owners delete them, and the bound on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import (
    add_image,
    nothing_left,
    open_jobs,
    received,
    submit,
    sweep,
    work,
)
from tests.support.schema import old_database
from webapp.config import MB, Config
from webapp.jobs.errors import TooMuchKept
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.store import Store
from webapp.recipes.presets import PRESETS

A_YEAR = 366 * 24  # Hours.
SQUARE, CARD = PRESETS["square"].recipe, PRESETS["card"].recipe


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_kept_mb=1)


@pytest.fixture
def photo() -> bytes:
    """Make a photo of 400 kB, by what follows its end."""
    return make_jpeg() + bytes(400_000)


def keep(jobs: Jobs, *photos: bytes, owner: str | None = "owner") -> str:
    """Create a closed job that is kept until its owner deletes it."""
    job_id = jobs.submit(SQUARE, owner, keep_hours=inf)
    for photo in photos:
        add_image(jobs, job_id, photo)
    jobs.close(job_id)
    return job_id


@contextmanager
def other_limit(jobs: Jobs, clock: Clock, max_kept_mb: int) -> Iterator[Jobs]:
    """Open the same jobs with another setting, as after a restart."""
    other = open_jobs(replace(jobs.config, max_kept_mb=max_kept_mb), clock)
    try:
        yield other
    finally:
        other.store.db.close()


def fill(jobs: Jobs, job_id: str) -> None:
    """Add a photo to a kept job of the only owner so that nothing more can be kept."""
    photo = make_jpeg() + bytes(MB - kept_bytes(jobs) - len(make_jpeg()))
    jobs.reopen(job_id)
    add_image(jobs, job_id, photo)
    jobs.close(job_id)
    jobs.store.queue.cancel(job_id)  # Its thumbnails would be too much.


def replace_photo(jobs: Jobs, job_id: str, photo: bytes) -> None:
    """Replace the only photo of a job, which failed."""
    (image,) = jobs.job(job_id).images
    with received(jobs, photo) as upload:
        jobs.replace_image(job_id, image.id, upload, "b.jpg", "127.0.0.1")


def delete(jobs: Jobs, clock: Clock, job_id: str) -> None:
    """Delete a job, and wait until nothing is left of it."""
    jobs.delete_with_undo(job_id)
    clock.advance(seconds=61)
    sweep(jobs)


def kept_bytes(jobs: Jobs) -> int:
    return jobs.store.jobs.kept().bytes


def test_kept_job_lives_for_years(jobs: Jobs, clock: Clock, photo: bytes) -> None:
    job_id = keep(jobs, photo)
    work(jobs)
    for _ in range(10):
        clock.advance(hours=A_YEAR)
        sweep(jobs)
    (image,) = jobs.job(job_id).images
    assert jobs.storage.thumbnail(image.thumbnails[0].path)
    jobs.remake(job_id, CARD, "127.0.0.1")
    work(jobs)
    assert [made.output for made in jobs.job(job_id).thumbnails] == ["card"]


def test_kept_job_is_gone_once_its_owner_deletes_it(jobs: Jobs, clock: Clock, photo: bytes) -> None:
    delete(jobs, clock, keep(jobs, photo))
    assert nothing_left(jobs)
    assert kept_bytes(jobs) == 0


def test_sums_of_what_is_kept_are_those_of_the_jobs(jobs: Jobs, clock: Clock, photo: bytes) -> None:
    first, second = keep(jobs, make_jpeg()), keep(jobs, make_jpeg(), owner="another")
    submit(jobs, photo)
    work(jobs)
    jobs.extend(submit(jobs, make_jpeg()), inf)
    fill(jobs, first)
    keep(jobs, photo)  # Too large: it expires after all.
    jobs.delete(second)
    keep(jobs, photo, photo, photo, owner="a third")  # So large that nothing of theirs is kept.
    rows = jobs.store.db.query(
        "SELECT '*' AS owner, count(*) AS jobs, sum(bytes) AS bytes FROM jobs WHERE expires = 9e999"
        " UNION ALL SELECT owner, count(*), sum(bytes) FROM jobs WHERE expires = 9e999 GROUP BY 1"
    )
    assert jobs.store.db.query("SELECT * FROM kept ORDER BY owner") == rows


def test_job_can_be_kept_later(jobs: Jobs, clock: Clock, photo: bytes) -> None:
    job_id = submit(jobs, photo)
    assert jobs.extend(job_id, inf) is None
    clock.advance(hours=A_YEAR)
    sweep(jobs)
    assert jobs.job(job_id).expires is None


def test_kept_job_is_not_shortened(jobs: Jobs, photo: bytes) -> None:
    job_id = keep(jobs, photo)
    assert jobs.extend(job_id, 1) is None


def test_job_without_owner_is_never_kept(jobs: Jobs, photo: bytes) -> None:
    job_id = keep(jobs, photo, owner=None)
    assert jobs.job(job_id).expires
    assert jobs.extend(job_id, inf)


def test_no_job_is_kept_unless_the_settings_allow_it(jobs: Jobs, clock: Clock) -> None:
    with other_limit(jobs, clock, 0) as strict:
        job = strict.job(strict.submit(SQUARE, "owner", keep_hours=inf))
    assert job.expires
    assert (job.expires - job.created).days == 7


class TestLimit:
    def test_originals_and_thumbnails_count(self, jobs: Jobs, photo: bytes) -> None:
        job_id = keep(jobs, photo, photo)
        work(jobs)
        made = sum(one.bytes for one in jobs.job(job_id).thumbnails)
        assert kept_bytes(jobs) == 2 * len(photo) + made

    def test_replaced_thumbnails_do_not_count(self, jobs: Jobs, photo: bytes) -> None:
        job_id = keep(jobs, photo)
        work(jobs)
        jobs.remake(job_id, CARD, "127.0.0.1")
        work(jobs)
        (image,) = jobs.job(job_id).images
        assert image.overview
        assert kept_bytes(jobs) == len(photo) + image.bytes_made + image.overview.bytes

    def test_replaced_photo_counts_as_much_as_it_has(self, jobs: Jobs, photo: bytes) -> None:
        job_id = keep(jobs, make_truncated())
        work(jobs)
        replace_photo(jobs, job_id, photo)
        assert kept_bytes(jobs) == len(photo)

    def test_photo_of_an_older_job_is_not_replaced_by_one_over_the_limit(
        self, jobs: Jobs, clock: Clock
    ) -> None:
        job_id = keep(jobs, make_truncated())
        work(jobs)
        clock.advance(hours=2)
        before = jobs.storage.original(job_id, jobs.job(job_id).images[0].id).read_bytes()
        with pytest.raises(TooMuchKept):
            replace_photo(jobs, job_id, make_jpeg() + bytes(MB))
        image = jobs.job(job_id).images[0]
        assert image.is_failed
        assert jobs.storage.original(job_id, image.id).read_bytes() == before

    def test_new_job_that_is_too_large_is_made_and_expires(self, jobs: Jobs, photo: bytes) -> None:
        job = jobs.job(keep(jobs, photo, photo, photo))
        assert job.expires
        assert (job.counts.total, job.is_too_large) == (3, True)
        assert job.expires - job.created == timedelta(days=7)
        assert kept_bytes(jobs) == 0

    def test_new_job_whose_thumbnails_are_too_large_expires(self, jobs: Jobs) -> None:
        job_id = keep(jobs, make_jpeg() + bytes(MB - len(make_jpeg())))
        assert jobs.job(job_id).expires is None
        work(jobs)
        job = jobs.job(job_id)
        assert (job.counts.done, job.is_too_large) == (1, True)

    def test_job_that_was_too_large_is_kept_once_there_is_room(
        self, jobs: Jobs, clock: Clock, photo: bytes
    ) -> None:
        first, second = keep(jobs, photo, photo), keep(jobs, photo)
        assert jobs.job(second).is_too_large
        delete(jobs, clock, first)
        assert jobs.extend(second, inf) is None
        assert not jobs.job(second).is_too_large

    def test_photo_over_the_limit_of_an_older_job_is_refused(
        self, jobs: Jobs, clock: Clock, photo: bytes
    ) -> None:
        job_id = keep(jobs, photo, photo)
        clock.advance(hours=2)
        jobs.reopen(job_id)
        with pytest.raises(TooMuchKept):
            add_image(jobs, job_id, photo)
        job = jobs.job(job_id)
        assert (job.expires, job.counts.total) == (None, 2)
        assert len(list((jobs.storage.originals / job_id).iterdir())) == 2

    def test_jobs_with_an_expiry_and_other_owners_do_not_count(
        self, jobs: Jobs, photo: bytes
    ) -> None:
        submit(jobs, photo, photo)
        keep(jobs, photo, photo, owner="another")
        assert jobs.job(keep(jobs, photo, photo)).counts.total == 2

    def test_full_owner_cannot_begin_another_kept_job(self, jobs: Jobs) -> None:
        keep(jobs, make_jpeg() + bytes(MB - len(make_jpeg())))
        with pytest.raises(TooMuchKept, match="may keep 1 MB"):
            jobs.submit(SQUARE, "owner", keep_hours=inf)
        assert list(jobs.store.jobs.ids("owner")) == list(jobs.store.jobs.ids())
        assert len(list(jobs.store.jobs.ids())) == 1

    def test_job_too_large_to_be_kept_stays_with_its_expiry(self, jobs: Jobs, photo: bytes) -> None:
        job_id = submit(jobs, photo, photo, photo)
        before = jobs.job(job_id).expires
        with pytest.raises(TooMuchKept):
            jobs.extend(job_id, inf)
        assert jobs.job(job_id).expires == before

    def test_new_thumbnails_of_an_older_job_over_the_limit_fail(
        self, jobs: Jobs, clock: Clock
    ) -> None:
        other, job_id = keep(jobs, make_jpeg()), keep(jobs, make_jpeg())
        work(jobs)
        fill(jobs, other)
        clock.advance(hours=2)
        before = jobs.job(job_id).images[0].thumbnails
        jobs.remake(job_id, PRESETS["web-set"].recipe, "127.0.0.1")
        work(jobs)
        image = jobs.job(job_id).images[0]
        assert (image.error_code, image.thumbnails) == ("too_much_kept", before)
        assert (jobs.job(job_id).expires, kept_bytes(jobs)) == (None, MB)
        delete(jobs, clock, other)
        jobs.retry(job_id, image.id, "127.0.0.1")
        work(jobs)
        assert jobs.job(job_id).counts.done == 1

    def test_deleted_job_counts_until_it_cannot_be_restored(self, jobs: Jobs, clock: Clock) -> None:
        job_id = keep(jobs, make_jpeg())
        work(jobs)
        fill(jobs, job_id)
        jobs.delete_with_undo(job_id)
        with pytest.raises(TooMuchKept):
            keep(jobs)
        clock.advance(seconds=61)
        sweep(jobs)
        assert jobs.job(keep(jobs, make_jpeg())).expires is None


class TestLowerLimit:
    @pytest.mark.parametrize("limit", [0, 1])
    def test_what_is_kept_stays_kept(
        self, jobs: Jobs, clock: Clock, photo: bytes, limit: int
    ) -> None:
        with other_limit(jobs, clock, 2) as generous:
            job_id = keep(generous, photo, photo, photo)
            work(generous)
        with other_limit(jobs, clock, limit) as strict:
            clock.advance(hours=A_YEAR)
            sweep(strict)
            assert strict.job(job_id).expires is None

    def test_kept_job_can_be_extended(self, jobs: Jobs, clock: Clock, photo: bytes) -> None:
        job_id = keep(jobs, photo)
        with other_limit(jobs, clock, 0) as strict:
            assert strict.extend(job_id, 1) is None

    def test_job_with_an_expiry_can_be_extended(self, jobs: Jobs, clock: Clock) -> None:
        with other_limit(jobs, clock, 2) as generous:
            keep(generous, make_jpeg() + bytes(MB))
        job_id = submit(jobs, make_jpeg())
        assert jobs.extend(job_id, 72)
        with pytest.raises(TooMuchKept):
            jobs.extend(job_id, inf)

    def test_nothing_is_added_to_what_is_kept(self, jobs: Jobs, clock: Clock, photo: bytes) -> None:
        job_id = keep(jobs, photo)
        clock.advance(hours=2)
        with other_limit(jobs, clock, 0) as strict:
            strict.reopen(job_id)
            with pytest.raises(TooMuchKept):
                add_image(strict, job_id, make_jpeg())

    def test_kept_job_can_still_change_to_less(self, jobs: Jobs, clock: Clock) -> None:
        large = replace(SQUARE.outputs[0], width=2000, height=2000)
        job_id = jobs.submit(replace(SQUARE, outputs=(large,)), "owner", keep_hours=inf)
        add_image(jobs, job_id, make_jpeg())
        jobs.close(job_id)
        work(jobs)
        with other_limit(jobs, clock, 0) as strict:
            strict.remake(job_id, SQUARE, "127.0.0.1")
            work(strict)
            assert strict.job(job_id).counts.done == 1


def test_bytes_of_the_jobs_of_an_older_version_are_counted(tmp_path: Path) -> None:
    with old_database(tmp_path / "jobs.db", 15) as old:
        old.table("jobs").insert(
            {"id": "j", "owner": "o", "recipe": SQUARE.to_json(), "created": 1}
            | {"expires": inf, "open_until": 0}
        )
        facts = {"format": "jpeg", "width": 1, "height": 1, "had_gps": 0, "created": 1}
        old.table("images").insert_all(
            {"id": one, "job_id": "j", "position": 1, "name": "a", "bytes": 100, **facts}
            for one in ("a", "b")
        )
        made = {"folder": "f", "file_name": "f.jpg", "format": "jpeg", "width": 1, "height": 1}
        old.table("thumbnails").insert_all(
            {"image_id": "a", "number": number, "bytes": 10, **made} for number in range(3)
        )
    store = Store(tmp_path / "jobs.db")
    assert store.jobs.kept().bytes == 230
    store.db.close()
