"""What a worker does with one image, and with what can go wrong."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import claims_of, files_left, submit, work_once
from tests.support.people import Person
from webapp.config import Config
from webapp.engine import decoder, errors
from webapp.engine.decoder import Decoder
from webapp.engine.limits import ImageLimits
from webapp.jobs import housekeeping, worker
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Claim, Image
from webapp.jobs.tasks import ThumbnailWorker, notify_workers
from webapp.jobs.wake_up import WakeUp, WakeUps
from webapp.jobs.watch import WATCHERS
from webapp.jobs.work import MAX_ATTEMPTS, Claims
from webapp.liveness import Pulse
from webapp.recipes.presets import PRESETS
from webapp.sandbox import client


@pytest.fixture
def image(person: Person, jobs: Jobs) -> Callable[[], Image]:
    """Submit an image; give a way to read how it fares."""
    job_id = person.upload((make_jpeg(), "a.jpg")).headers["Location"][6:]
    return lambda: jobs.job(job_id).images[0]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make the sandbox raise an error."""

    def run(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(decoder.server, "run", run)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (client.ChildTimedOut(30), "timed_out", "took longer than 30 s to decode"),
        (client.ChildOutOfMemory(1), "out_of_memory", "needs more memory than the server gives"),
        (client.ChildCrashed(-11), "crashed", "stopped the decoder"),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_death_of_the_child_fails_the_image(
    jobs: Jobs,
    image: Callable[[], Image],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
    sentence: str,
) -> None:
    fail_with(monkeypatch, error)
    work_once(jobs)
    assert (image().status, image().error_code) == ("failed", code)
    assert sentence in str(image().error_message)


def test_limits_of_the_settings_reach_the_child() -> None:
    config = Config(
        max_megapixels=7.5,
        max_megapixels_other=3.5,
        max_jpeg_scans=9,
        max_frames=11,
        max_output_megapixels=5.5,
        decode_seconds=13,
        decode_memory_mb=300,
    )
    limits = Decoder.from_config(config)
    assert limits.image == ImageLimits(
        max_megapixels=7.5,
        max_megapixels_other=3.5,
        max_jpeg_scans=9,
        max_frames=11,
        max_output_megapixels=5.5,
    )
    assert (limits.process.wall_seconds, limits.process.memory_bytes) == (13, 300_000_000)


def test_image_that_takes_too_long_fails(tmp_path: Path) -> None:
    brief = Decoder.from_config(Config(decode_seconds=0.0001))
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    with pytest.raises(errors.TimedOut):
        brief.make_thumbnails(tmp_path / "a.jpg", PRESETS["square"].recipe, tmp_path)


def test_interrupted_image_waits_unharmed(
    jobs: Jobs, image: Callable[[], Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(KeyboardInterrupt):
            work_once(jobs)
    assert image().status == "waiting"


def test_interrupt_after_the_end_keeps_the_thumbnails(
    jobs: Jobs, image: Callable[[], Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Claims.finish

    def finish_and_be_interrupted(*args: Any) -> None:
        finish(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Claims, "finish", finish_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        work_once(jobs)
    (thumbnail,) = image().thumbnails
    assert (jobs.storage.thumbnails / thumbnail.path).is_file()


def test_released_image_is_logged(
    jobs: Jobs,
    image: Callable[[], Image],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        work_once(jobs)
    (record,) = caplog.records
    assert record.message == "image released"
    assert vars(record)["image_id"] == image().id


def test_image_waits_for_a_full_disk_as_long_as_it_takes(
    jobs: Jobs, image: Callable[[], Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        fail_with(full, OSError(errno.ENOSPC, "No space left on device"))
        for _ in range(MAX_ATTEMPTS + 1):
            with pytest.raises(OSError, match="No space"):
                work_once(jobs)
            assert claims_of(jobs).has_work()
    work_once(jobs)
    assert image().status == "done"


def test_attempt_is_given_back_when_the_disk_has_room(
    jobs: Jobs, image: Callable[[], Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    release, refusals = jobs.store.queue.release, [full, full]

    def release_later(claim: Claim) -> bool:
        if refusals:
            raise refusals.pop()
        return release(claim)

    monkeypatch.setattr(worker, "ROOM_SECONDS", 0.01)
    monkeypatch.setattr(jobs.store.queue, "release", release_later)
    fail_with(monkeypatch, full)
    with pytest.raises(OSError, match="No space"):
        work_once(jobs)
    assert (image().status, refusals) == ("waiting", [])


def test_worker_that_waits_for_room_does_not_look_hung(
    jobs: Jobs, image: Callable[[], Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    looks: list[bool] = []
    pulse = Pulse()
    pulse.silence(0)

    def look_for_room(claim: Claim) -> bool:
        looks.append(pulse.silence(len(looks)) == 0)
        if len(looks) < 4:
            raise full
        return True

    monkeypatch.setattr(worker, "ROOM_SECONDS", 0.01)
    monkeypatch.setattr(jobs.store.operations, "on_beat", pulse.beat)
    monkeypatch.setattr(jobs.store.queue, "release", look_for_room)
    fail_with(monkeypatch, full)
    with pytest.raises(OSError, match="No space"):
        work_once(jobs)
    assert looks == [True] * 4


def test_nothing_is_claimed_where_there_is_no_room_for_it(
    jobs: Jobs, image: Callable[[], Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(jobs.storage, "free_bytes", lambda: 1_000_000)
        work_once(jobs)
        assert (image().status, claims_of(jobs).has_work()) == ("waiting", False)
    work_once(jobs)
    assert image().status == "done"


def test_unexpected_error_is_retried_and_then_reported(
    jobs: Jobs,
    image: Callable[[], Image],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_with(monkeypatch, client.Failed("Traceback …"))
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(client.Failed):
            work_once(jobs)
    claims_of(jobs).fail_exhausted()
    assert not claims_of(jobs).has_work()
    assert (image().status, image().error_code) == ("failed", "worker_lost")
    assert (caplog.messages[-1], vars(caplog.records[-1])["code"]) == (
        "image failed",
        "worker_lost",
    )


def test_image_of_a_deleted_job_is_dropped_without_an_error(
    jobs: Jobs,
    image: Callable[[], Image],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = Claims.claim

    def claim_and_delete(queue: Claims, worker: str) -> Any:
        claimed = claim(queue, worker)
        jobs.delete(image().job_id)
        return claimed

    monkeypatch.setattr(Claims, "claim", claim_and_delete)
    work_once(jobs)
    assert caplog.messages == ["image lost to another worker, or deleted"]
    assert files_left(jobs) == []


def test_failed_notification_is_logged(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enqueue(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(app.extensions["huey"].storage, "enqueue", enqueue)
    notify_workers(app.extensions["huey"])
    assert "cannot notify the workers" in caplog.text


def test_upload_notifies_workers(app: Flask, image: Callable[[], Image]) -> None:
    assert app.extensions["huey"].pending_count() == 1


@pytest.fixture
def watcher(jobs: Jobs) -> Iterator[WakeUp]:
    """Wait as a web process does."""
    watcher = WakeUps(jobs.config.instance / WATCHERS).join()
    assert not watcher.wait(0)
    yield watcher
    watcher.close()


def test_finished_image_wakes_those_who_wait(
    jobs: Jobs, image: Callable[[], Image], watcher: WakeUp
) -> None:
    work_once(jobs)
    assert image().status == "done"
    assert watcher.wait(0)


def test_failed_image_wakes_those_who_wait(
    jobs: Jobs, image: Callable[[], Image], watcher: WakeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, client.ChildTimedOut(30))
    work_once(jobs)
    assert image().status == "failed"
    assert watcher.wait(0)


def test_image_that_used_up_its_attempts_wakes_those_who_wait(
    jobs: Jobs, image: Callable[[], Image], watcher: WakeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, client.Failed("Traceback …"))
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(client.Failed):
            work_once(jobs)
    assert not watcher.wait(0)
    claims_of(jobs).fail_exhausted()
    assert image().status == "failed"
    assert watcher.wait(0)


def test_message_without_an_image_wakes_no_one(app: Flask, watcher: WakeUp) -> None:
    app.extensions["huey"].work.call_local()
    app.extensions["huey"].claims.fail_exhausted()
    assert not watcher.wait(0)


def test_worker_takes_an_image_between_two_slices_of_a_sweep(
    app: Flask, jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = submit(jobs, make_jpeg(), make_jpeg())
    clock.advance(hours=25)
    huey = app.extensions["huey"]
    huey.housekeeping.begin()
    monkeypatch.setattr(housekeeping, "SLICE_SECONDS", 0)
    job_id = submit(jobs, make_jpeg())
    notify_workers(huey)
    taker = ThumbnailWorker(huey, Event(), 0.001, 0.001, 1)
    taker.loop()
    assert jobs.job(job_id).is_finished
    assert not huey.housekeeping.is_over
    while not huey.housekeeping.is_over:
        taker.loop()
    assert not [file for file in files_left(jobs) if expired in file or "deleted-" in file]


def test_message_of_an_older_version_is_understood(app: Flask) -> None:
    task = app.extensions["huey"].work.task_class
    assert (task.__module__, task.__name__) == ("webapp.tasks", "work")
