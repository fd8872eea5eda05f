"""Run commands with mounts and processes of their own, of which nothing stays.

For root, and for all users where the kernel lets them have namespaces.
"""

import os
import shutil
import subprocess

import pytest

_UNSHARE = [
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *(() if os.geteuid() == 0 else ("--map-root-user",)),
]


def in_namespaces(*command: str, mounts: str = "") -> list[str]:
    """Return a command that runs another one in namespaces, after a script that mounts."""
    return [*_UNSHARE, "sh", "-ec", f'{mounts}\nexec "$@"', "sh", *command]


def _are_there() -> bool:
    if not shutil.which("unshare"):
        return False
    command = in_namespaces("true", mounts="mount -t tmpfs tmpfs /mnt")
    return not subprocess.run(command, capture_output=True).returncode


needs_namespaces = pytest.mark.skipif(
    not _are_there(), reason="needs the right to mount: root, or namespaces for all users"
)
