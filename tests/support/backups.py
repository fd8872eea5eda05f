"""Backups in memory, and what an instance has."""

import io
import tarfile
from pathlib import Path

from webapp.jobs.backups import back_up
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import STORED

Members = list[tuple[tarfile.TarInfo, bytes]]


def archive_of(jobs: Jobs) -> bytes:
    """Back up an instance."""
    target = io.BytesIO()
    back_up(jobs.config.instance, jobs.store, jobs.storage, target)
    return target.getvalue()


def members_of(archive: bytes) -> Members:
    """Read the members of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as read:
        found = []
        for member in read:
            file = read.extractfile(member)
            found.append((member, file.read() if file else b""))
        return found


def names_of(archive: bytes) -> list[str]:
    """List the names of the members of an archive."""
    return [member.name for member, _ in members_of(archive)]


def make_archive(members: Members) -> bytes:
    """Write an archive of any members."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def stored_files(root: Path) -> dict[str, bytes]:
    """Read all files of jobs below a folder, by their paths."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in STORED
        for path in (root / folder).rglob("*")
        if path.is_file()
    }
