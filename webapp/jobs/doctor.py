"""Look for what is wrong with an instance: its rows, files, disk, clock and consumer.

It works beside a running server and without one, and changes nothing: an empty file is moved from
folder to folder and deleted.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from webapp.config import MB, Config
from webapp.jobs import instance
from webapp.jobs.backups import DATABASE, KEY, LAST
from webapp.jobs.check import lost_images, orphans
from webapp.jobs.database import COPIES, MIGRATIONS, has_wal_reset_bug, sqlite_version
from webapp.jobs.health import read_health
from webapp.jobs.restore import INCOMING, REPLACED
from webapp.jobs.storage import STORED, Storage
from webapp.jobs.store import Store

Status = Literal["ok", "warning", "failed"]

LONG_WAIT_SECONDS = 300.0  # Of the oldest image: the full queue takes three minutes by default.
FUTURE_SECONDS = 60.0  # Rows are not from the future; clocks of two machines may differ a little.
LEAST_INODES = 10_000  # A job of 500 images in 20 sizes takes as many.
BACKUP_DAYS = 7.0
_PRIVATE = (DATABASE, "queue.db", KEY)
_OURS = (*_PRIVATE, *STORED, "trials", "tmp", "unsettled", "in-use", COPIES, LAST)


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it."""

    check: str
    status: Status
    code: str  # "ok", or what is wrong, for programs.
    message: str
    to_do: str = ""


def ok(check: str, message: str) -> Finding:
    """Find nothing wrong."""
    return Finding(check, "ok", "ok", message)


def check_database(store: Store, is_quick: bool) -> Iterator[Finding]:
    """Check the library, the schema and the pages of the database."""
    if has_wal_reset_bug(sqlite_version()):
        yield Finding(
            "sqlite",
            "warning",
            "wal_reset_bug",
            f"SQLite {_dotted(sqlite_version())} can damage a database with two writers.",
            "Install pysqlite3 0.6.1, or Python with SQLite 3.51.3, or newer ones.",
        )
    else:
        yield ok("sqlite", f"SQLite {_dotted(sqlite_version())}")
    version, known = store.db.version(), len(MIGRATIONS)
    if not version:
        yield Finding(
            "schema",
            "failed",
            "no_database",
            "The database is empty.",
            "If there were jobs, stop the server and restore the last backup: docs/operations.md.",
        )
    elif version < known:
        yield Finding(
            "schema",
            "warning",
            "migrations_pending",
            f"The database has schema {version}, and this version has {known}.",
            "The next start of the server copies the database and migrates it.",
        )
    elif version > known:
        yield Finding(
            "schema",
            "failed",
            "newer_schema",
            f"The database has schema {version}, and this version knows {known}.",
            "Start the newer version, or restore a backup of this one: docs/upgrade.md.",
        )
    else:
        yield ok("schema", f"{version}, as this version has it")
    if missing := store.db.find_missing():
        yield damaged(f"It lacks {', '.join(missing)}.")
        return
    if is_quick:
        return
    damage = store.db.find_damage()
    yield damaged(f"SQLite says: {damage}") if damage else ok("database", "all pages are whole")


def damaged(said: str) -> Finding:
    """Find that the database is damaged."""
    return Finding(
        "database",
        "failed",
        "database_damaged",
        said,
        "Stop the server and restore the last backup: docs/troubleshooting.md.",
    )


def check_files(store: Store, storage: Storage) -> Iterator[Finding]:
    """Compare all rows with all files."""
    strays = sum(1 for _ in orphans(store, storage))
    lost = sum(1 for _ in lost_images(store, storage))
    to_do = "Look at them with flask jobs check, then run it with --fix."
    if strays:
        message = f"Files or folders that belong to no job: {strays:,}."
        yield Finding("files", "warning", "files_without_rows", message, to_do)
    else:
        yield ok("files", "each belongs to a job")
    if lost:
        message = f"Images that miss a file: {lost:,}."
        yield Finding("rows", "failed", "rows_without_files", message, to_do)
    else:
        yield ok("rows", "each has its files")


def check_disk(config: Config) -> Iterator[Finding]:
    """Check the space and the inodes."""
    root = config.instance
    free, wanted = shutil.disk_usage(root).free, config.min_free_mb * MB
    message = f"{free / MB:,.0f} MB free"
    to_do = (
        "Free space, or delete old jobs with flask jobs prune, or make the disk larger."
        f" THUMBNAIL_MIN_FREE_MB is {config.min_free_mb}."
    )
    if free < wanted:
        said = f"{message}: uploads are refused."
        yield Finding("disk", "failed", "disk_full", said, to_do)
    elif free < 2 * wanted:
        said = f"{message}: soon uploads are refused."
        yield Finding("disk", "warning", "disk_nearly_full", said, to_do)
    else:
        yield ok("disk", message)
    found = os.statvfs(root)
    if found.f_files and found.f_favail < LEAST_INODES:  # Some file systems have no number.
        yield Finding(
            "inodes",
            "warning",
            "few_inodes",
            f"{found.f_favail:,} more files can be created.",
            "Delete old jobs with flask jobs prune, or use a file system with more inodes.",
        )


def check_file_system(root: Path, storage: Storage) -> Iterator[Finding]:
    """Check that all is on one file system, also by moving a file."""
    if not instance.is_writable(root):
        yield Finding(
            "file_system",
            "failed",
            "read_only",
            f"Nothing can be written to {root} here: a server would not start.",
            "Run this as the user of the server, where the folder is mounted for writing. To look"
            " at it and to back it up, reading is enough.",
        )
        return
    mount = _mount_of(root)
    others = {path.name for path in root.iterdir() if path.is_symlink() or _mount_of(path) != mount}
    others |= {folder.name for folder in storage.moved_to if not storage.can_move_to(folder)}
    if others:
        yield Finding(
            "file_system",
            "failed",
            "several_file_systems",
            f"Links, or on other file systems: {', '.join(sorted(others))}.",
            "Put all of the instance folder on one file system: files are moved by renaming.",
        )


def check_clock(store: Store) -> Iterator[Finding]:
    """Check that no row is from the future."""
    newest, now = store.operations.newest(), store.now()
    if newest is not None and newest > now + FUTURE_SECONDS:
        yield Finding(
            "clock",
            "failed",
            "clock_behind",
            f"The newest row is from {_moment(newest)}, and the clock says {_moment(now)} UTC.",
            "Set the clock and turn on NTP. Jobs that were made ahead of it expire late.",
        )
    else:
        yield ok("clock", f"{_moment(now)} UTC; no row is from the future")


def check_consumer(store: Store, storage: Storage, config: Config) -> Iterator[Finding]:
    """Check that workers are alive and the queue moves."""
    health = read_health(store, storage)
    if not health.workers:
        yield Finding(
            "consumer",
            "failed",
            "no_worker",
            "No worker is alive.",
            "Start the server, or look for the consumer's end in the log.",
        )
    elif health.workers < config.workers:
        yield Finding(
            "consumer",
            "warning",
            "few_workers",
            f"{health.workers} of {config.workers} workers are alive.",
            "If it stays so, look into the log of the consumer.",
        )
    else:
        yield ok("consumer", f"{health.workers} workers are alive")
    if health.paused:
        yield Finding(
            "queue",
            "warning",
            "paused",
            f"The work is paused. Images that wait or are made: {health.queue_depth:,}.",
            "flask jobs resume ends the pause.",
        )
    elif health.oldest_wait_seconds > LONG_WAIT_SECONDS:
        yield Finding(
            "queue",
            "warning",
            "long_wait",
            f"The oldest of {health.queue_depth:,} images waits for"
            f" {health.oldest_wait_seconds:,.0f} s.",
            "See whether workers are alive and the disk has room; then use more cores.",
        )
    else:
        yield ok("queue", f"images that wait or are made: {health.queue_depth:,}")


def check_owner(root: Path) -> Iterator[Finding]:
    """Check who owns the instance, and who can read what of it."""
    # A volume may have files of others, such as lost+found.
    owners = {(root / name).lstat().st_uid for name in _OURS if (root / name).exists()}
    if len(owners) > 1:
        yield Finding(
            "owner",
            "failed",
            "several_owners",
            f"Files in {root} belong to several users: {', '.join(map(str, sorted(owners)))}.",
            f"Run commands as the user of the server, and once chown -R of that user {root}.",
        )
    elif owners == {0}:
        yield Finding(
            "owner",
            "warning",
            "root",
            "The server runs as root and does not need to.",
            f"Run it as another user, to whom {root} belongs.",
        )
    else:
        yield ok("owner", "one user, not root")
    modes = {name: (root / name).stat().st_mode for name in _PRIVATE if (root / name).exists()}
    to_others = [name for name, mode in modes.items() if mode & 0o007]
    to_group = [name for name, mode in modes.items() if mode & 0o070]
    if to_others:
        yield Finding(
            "secrets",
            "failed",
            "secrets_readable",
            f"All users can read or write {', '.join(to_others)}.",
            f"chmod 600 {' '.join(str(root / name) for name in to_others)}",
        )
    elif to_group:  # Kubernetes gives all of a volume to the group that it names.
        yield Finding(
            "secrets",
            "warning",
            "secrets_of_group",
            f"The group can read or write {', '.join(to_group)}.",
            f"chmod 600 {' '.join(str(root / name) for name in to_group)}, or let no web server or"
            " person be in that group.",
        )
    else:
        yield ok("secrets", "only their owner can read them")
    mode, shown = root.stat().st_mode, (root / "thumbnails").stat().st_mode
    if mode & 0o007:
        yield Finding(
            "modes",
            "warning",
            "instance_open",
            f"All users can enter {root}.",
            f"chmod 750 {root}; nginx reads thumbnails by its group.",
        )
    elif not mode & 0o010 or shown & 0o050 != 0o050:
        yield Finding(
            "modes",
            "warning",
            "closed_to_group",
            "A web server in the group of the instance cannot read thumbnails.",
            f"chmod 750 {root} {root / 'thumbnails'}, if nginx is to send them.",
        )


def check_backups(root: Path, now: float) -> Iterator[Finding]:
    """Check how old the last backup is, and what restores left."""
    to_do = "Run flask jobs backup FILE each day, and keep FILE on another machine."
    if not (root / LAST).exists():
        message = "flask jobs backup never wrote one of this instance."
        yield Finding("backup", "warning", "no_backup", message, to_do)
    else:
        days = (now - (root / LAST).stat().st_mtime) / 86400
        message = f"The last one is {max(days, 0):.1f} days old."
        if days > BACKUP_DAYS:
            yield Finding("backup", "warning", "old_backup", message, to_do)
        else:
            yield ok("backup", message)
    for left in (*root.glob(INCOMING), *root.glob(f"{REPLACED}*")):
        what = "A restore was killed" if left.name == INCOMING else "A restore kept what was there"
        yield Finding(
            "restore",
            "warning",
            "restore_left",
            f"{what}, in {left.name}.",
            f"rm -r {left}, once you need it no more and no restore is running.",
        )


def _mount_of(path: Path) -> str:
    """Return which mount a path is on: nothing can be renamed from one to another.

    `st_dev` does not say it. Two mounts may share it. In an overlay, files of a lower layer have
    another than the rest: https://docs.kernel.org/filesystems/overlayfs.html#inode-properties
    """
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        facts = Path(f"/proc/self/fdinfo/{file}").read_text()
    finally:
        os.close(file)
    return facts.partition("mnt_id:")[2].split()[0]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
