"""Who uses the instance folder: a lock that the kernel releases with its last process.

Each process that opens the database of jobs shares the lock on `instance/in-use` for its life, and
so do its forks: web processes, the consumer and its workers, commands. A decode child never has it,
as decode servers inherit no descriptors. It works between containers that share a volume on one
machine, and only there can several processes use one SQLite file.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = "in-use"
# For so long a lock is tried: `is_in_use` has it for a moment.
_TRY_SECONDS = 0.3
READY = "restore-ready"  # The folder of a restore that is complete but for its last step.


class CannotStart(SystemExit):
    """End the process with one sentence that says why it cannot use the instance.

    A SystemExit, as ConfigError is one.
    """


class InUse(Exception):
    """Another process uses the instance."""

    code = "in_use"

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"A process uses {root}. Stop the server, and commands such as `flask jobs backup`."
        )


def is_writable(root: Path) -> bool:
    """Return whether this process can write the instance; else it can only look at it."""
    return os.access(root, os.W_OK | os.X_OK)


def refuse_read_only(root: Path) -> None:
    """Raise CannotStart if this process cannot write the instance."""
    if not is_writable(root):
        raise CannotStart(f"THUMBNAIL_INSTANCE is not writable: {root}.")


@contextmanager
def mutex(root: Path) -> Iterator[None]:
    """Let one process after the other run the block, which is short: they wait."""
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def share(root: Path) -> int:
    """Begin to use the instance, beside others; return a descriptor, whose closing ends that.

    Raises CannotStart while the instance is restored; FileNotFoundError for a copy that cannot be
    written and that no process ever used.
    """
    lock = _open_lock(root)
    if not _try_lock(lock, fcntl.LOCK_SH):
        os.close(lock)
        raise CannotStart(f"{root} is being restored. Start again when `flask jobs restore` ended.")
    if (root / READY).exists():  # It was killed after this process began.
        os.close(lock)
        raise CannotStart(f"A restore of {root} was interrupted. Start again: that completes it.")
    return lock


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Run the block while no other process uses the instance, or raise InUse."""
    lock = _open_lock(root)
    try:
        if not _try_lock(lock, fcntl.LOCK_EX):
            raise InUse(root)
        yield
    finally:
        os.close(lock)


def is_in_use(root: Path) -> bool:
    """Return whether a process uses the instance; it changes nothing."""
    try:
        lock = os.open(root / _LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


def give_to_owner(file: int, root: Path) -> None:
    """Let the server open a file that may be of a command of root."""
    if os.geteuid() == 0:
        owner = root.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def _open_lock(root: Path) -> int:
    if not is_writable(root):  # A server may run beside a mount that is read-only.
        return os.open(root / _LOCK, os.O_RDONLY)
    lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    give_to_owner(lock, root)
    return lock


def _try_lock(lock: int, kind: int) -> bool:
    until = time.monotonic() + _TRY_SECONDS
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        else:
            return True
