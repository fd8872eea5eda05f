"""Files: whole or not at all, and gone when they should be."""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from webapp.jobs.storage import ABANDONED_SECONDS, REMOVING_SECONDS, Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


def publish(storage: Storage, job: str = "job", attempt: int = 1) -> Path:
    place = f"{job}/image-{attempt}"
    with storage.open_folder() as folder:
        (folder / "a.jpg").write_bytes(b"thumbnail")
        storage.publish(folder, place)
    return storage.thumbnails / place


def delete_job(storage: Storage) -> None:
    for _ in storage.empty_trash(storage.move_to_trash("job")):
        pass


def test_kept_upload_is_the_original(storage: Storage) -> None:
    upload = storage.open_upload(100)
    upload.write(b"picture")
    storage.keep_original(upload, "job", "image")
    upload.close()
    assert storage.original("job", "image").read_bytes() == b"picture"


def test_upload_that_is_not_kept_leaves_nothing(storage: Storage) -> None:
    upload = storage.open_upload(100)
    upload.write(b"picture")
    upload.close()
    assert list(storage.tmp.iterdir()) == []


def test_folder_on_another_file_system_is_found_by_moving_a_file(storage: Storage) -> None:
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        storage.trials.rmdir()
        storage.trials.symlink_to(elsewhere)
        assert [storage.can_move_to(folder) for folder in storage.moved_to] == [True] * 3 + [False]
        assert [[*folder.iterdir()] for folder in (*storage.moved_to, storage.tmp)] == [[]] * 5


def test_upload_over_its_limit_costs_no_more_disk(storage: Storage) -> None:
    upload = storage.open_upload(10)
    for _ in range(5):
        upload.write(b"12345678")
    upload.flush()
    assert (upload.is_too_large, upload.path.stat().st_size) == (True, 8)
    upload.close()


def test_published_folder_appears_at_once_and_leaves_tmp(storage: Storage) -> None:
    published = publish(storage)
    assert (published / "a.jpg").read_bytes() == b"thumbnail"
    assert list(storage.tmp.iterdir()) == []


def test_late_attempt_is_removed_without_touching_the_other(storage: Storage) -> None:
    first, second = publish(storage, attempt=1), publish(storage, attempt=2)
    storage.unpublish("job/image-1")
    assert (first.exists(), second.exists()) == (False, True)


def test_attempt_that_outlived_its_job_leaves_no_folder(storage: Storage) -> None:
    publish(storage)
    storage.unpublish("job/image-1")
    assert list(storage.thumbnails.iterdir()) == []


def test_deleted_job_leaves_nothing(storage: Storage) -> None:
    upload = storage.open_upload(100)
    storage.keep_original(upload, "job", "image")
    upload.close()
    publish(storage)
    delete_job(storage)
    for path in ("job/image", "job/image-1"):
        storage.settle(path)
    left = [path for path in storage.tmp.parent.rglob("*") if path.parent != storage.tmp.parent]
    assert left == []


def test_deleting_twice_is_no_error(storage: Storage) -> None:
    delete_job(storage)
    delete_job(storage)


def test_two_sweeps_delete_the_same_job_to_its_end(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    for attempt in range(1, 4):
        publish(storage, attempt=attempt)
    trash = storage.move_to_trash("job")
    long_ago = time.time() - REMOVING_SECONDS - 1
    os.utime(trash, (long_ago, long_ago))
    first, second = storage.empty_trash(trash), storage.delete_old()
    next(first)
    next(second)
    assert sum(1 for _ in first) >= 3
    for _ in second:
        pass
    assert list(storage.tmp.iterdir()) == []
    assert not caplog.messages


def test_sweep_removes_what_crashes_left_and_spares_work_in_progress(storage: Storage) -> None:
    old_file, old_folder, young = storage.tmp / "a", storage.tmp / "b", storage.tmp / "c"
    old_file.write_bytes(b"x")
    old_folder.mkdir()
    (old_folder / "x").write_bytes(b"x")
    young.write_bytes(b"x")
    long_ago = time.time() - ABANDONED_SECONDS - 1
    for path in (old_file, old_folder):
        os.utime(path, (long_ago, long_ago))
    for _ in storage.delete_old():
        pass
    assert list(storage.tmp.iterdir()) == [young]


def test_group_of_the_web_server_reads_only_thumbnails(storage: Storage) -> None:
    publish(storage)
    modes = [p.stat().st_mode & 0o777 for p in (storage.originals, storage.tmp)]
    assert modes == [0o700, 0o700]
    assert not storage.thumbnails.stat().st_mode & 0o007


def test_upload_that_fills_the_disk_leaves_nothing(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True, False])
    monkeypatch.setattr(storage, "has_space", lambda: next(answers, False))
    upload = storage.open_upload(100_000_000)
    for _ in range(3):
        upload.write(bytes(3_000_000))
    upload.flush()
    left = upload.path.stat().st_size
    upload.close()
    assert (upload.is_without_space, left) == (True, 0)


def test_original_is_kept_though_its_folder_was_just_removed(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, to_remove = os.rename, [storage.originals / "job"]

    def rename_after_removal(source: Path, target: Path) -> None:
        while to_remove:
            to_remove.pop().rmdir()
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_after_removal)
    upload = storage.open_upload(100)
    upload.write(b"bytes")
    storage.keep_original(upload, "job", "image")
    assert storage.original("job", "image").read_bytes() == b"bytes"
    upload.close()
