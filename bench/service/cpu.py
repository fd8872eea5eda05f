"""Read the CPU time of processes and of what they started."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.servers import descendants_of

_TICKS = os.sysconf("SC_CLK_TCK")  # A second.
CpuSeconds = dict[str, float]  # By the part of an application.


def by_part(root: int, part: Callable[[bytes], str]) -> CpuSeconds:
    """Return the seconds of a process and its descendants, those that ended too.

    `part` names the part that a process belongs to, by its command line.
    """
    seconds: CpuSeconds = {}
    for pid in (root, *descendants_of(root)):
        with suppress(OSError):  # It just ended; its parent has its time.
            name = part(Path(f"/proc/{pid}/cmdline").read_bytes())
            seconds[name] = seconds.get(name, 0) + _seconds(pid)
    return seconds


def _seconds(pid: int) -> float:
    """Return the time of a process and of its children that it has reaped."""
    facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, facts[11:15])) / _TICKS


def spent(before: CpuSeconds, after: CpuSeconds) -> CpuSeconds:
    """Return the seconds between two readings."""
    return {part: after[part] - before.get(part, 0) for part in after}
