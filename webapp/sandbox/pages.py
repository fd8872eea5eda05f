"""Copy ahead the pages of memory that a forked child is going to write.

After a fork, both processes share all pages, and the kernel copies each that one of them writes.
Python writes a counter into each object that it looks at: 900 pages a run, 3 to 5 ms. They are
nearly the same each time, so a probe finds them once, and each child has them copied while it
waits. To decode a small image while it waits would do the same, for 5 ms more.
"""

import contextlib
import ctypes
import os
import signal
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from webapp.sandbox.libc import LIBC, die_with_parent

Ranges = list[tuple[int, int]]  # Addresses and lengths in bytes.

_POPULATE_WRITE = 23  # From <linux/mman.h>, since Linux 5.14.
_PAGE = os.sysconf("SC_PAGESIZE")
# Of an entry in /proc/<pid>/pagemap: the page is in memory, and no other process has it.
_ENTRY = struct.Struct("Q")
_PRESENT, _EXCLUSIVE = 1 << 63, 1 << 56

_madvise = LIBC.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def find_written_pages(action: Callable[[], None]) -> Ranges:
    """Return the pages of this process that an action writes, found in a fork of it."""
    areas, parent = _list_areas(), os.getpid()
    channel, probes = os.pipe()
    probe = os.fork()
    if probe == 0:
        die_with_parent(parent)
        with contextlib.suppress(BaseException):
            action()
        os.write(probes, b"x")
        signal.pause()
    os.close(probes)
    try:
        os.read(channel, 1)
        # First: each page that this process writes is the probe's alone too.
        probed = _read_pagemap(probe, areas)
        ours = _read_pagemap(parent, areas)
    except OSError:  # The kernel does not tell. It copies the pages when they are written.
        return []
    finally:
        os.kill(probe, signal.SIGKILL)
        os.waitpid(probe, 0)
        os.close(channel)
    return _join(
        start + number * _PAGE
        for (start, _), our, its in zip(areas, ours, probed, strict=True)
        for number, ((one,), (other,)) in enumerate(
            zip(_ENTRY.iter_unpack(our), _ENTRY.iter_unpack(its), strict=True)
        )
        if one & other & _PRESENT and other & _EXCLUSIVE
    )


def _list_areas() -> list[tuple[int, int]]:
    """List the private, writable areas of this process: where each starts and ends."""
    areas = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        edges, rights = line.split()[:2]
        if rights.startswith("rw") and rights.endswith("p"):
            start, end = edges.split("-")
            areas.append((int(start, 16), int(end, 16)))
    return areas


def _read_pagemap(process: int, areas: Iterable[tuple[int, int]]) -> list[bytes]:
    """Read what the kernel says of each page of some areas of a process."""
    pagemap = os.open(f"/proc/{process}/pagemap", os.O_RDONLY)
    try:
        size = _ENTRY.size
        return [
            os.pread(pagemap, (end - start) // _PAGE * size, start // _PAGE * size)
            for start, end in areas
        ]
    finally:
        os.close(pagemap)


def _join(pages: Iterable[int]) -> Ranges:
    """Join pages that follow each other."""
    ranges: Ranges = []
    for page in pages:
        if ranges and sum(ranges[-1]) == page:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + _PAGE)
        else:
            ranges.append((page, _PAGE))
    return ranges


def copy_pages(ranges: Ranges) -> None:
    """Copy pages that this process shares with its parent.

    A kernel that cannot copies them when they are written.
    """
    for address, length in ranges:
        _madvise(address, length, _POPULATE_WRITE)
