"""Run commands with mounts and processes of their own, of which nothing stays.

For root, and for all users where the kernel lets them have namespaces.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_UNSHARE = [
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *(() if os.geteuid() == 0 else ("--map-root-user",)),
]


def in_namespaces(*command: str, mounts: str = "") -> list[str]:
    """Return a command that runs another one in namespaces, after a script that mounts."""
    return [*_UNSHARE, "sh", "-ec", f'{mounts}\nexec "$@"', "sh", *command]


def overlay(lower: Path, work: Path) -> str:
    """Return a script that mounts an overlay of a folder and another file system at `work`.

    Files of the folder then have another st_dev than what is written to the overlay.
    """
    upper = work / "upper"
    return f"""
        mount -t tmpfs tmpfs {work}
        mkdir {upper} {work}/work {work}/overlay
        mount -t overlay -o xino=off,lowerdir={lower},upperdir={upper},workdir={work}/work \\
            overlay {work}/overlay
    """


def read_only(folder: Path) -> str:
    """Return a script that lets no one write to a folder, while others may write to it."""
    return f"mount --bind {folder} {folder}\nmount -o remount,bind,ro {folder}"


def without_rights(*command: str) -> list[str]:
    """Return a command that runs another one as a user who may not write what is read-only."""
    if os.geteuid() != 0:
        return [*command]
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]


def _works(mounts: str) -> bool:
    if not shutil.which("unshare"):
        return False
    return not subprocess.run(in_namespaces("true", mounts=mounts), capture_output=True).returncode


needs_namespaces = pytest.mark.skipif(
    not _works("mount -t tmpfs tmpfs /mnt"),
    reason="needs the right to mount: root, or namespaces for all users",
)
needs_overlay = pytest.mark.skipif(
    not _works(overlay(Path("/usr"), Path("/mnt"))),
    reason="needs overlays, and the right to mount: root, or namespaces for all users",
)
needs_users = pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"),
    reason="root loses no rights without setpriv",
)
