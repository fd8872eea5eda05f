"""Pages that each child writes are copied before it works."""

import subprocess
import sys

import pytest

from webapp.config import ROOT

pytestmark = pytest.mark.slow

SCRIPT = """
import mmap, os, resource
from webapp.sandbox.pages import copy_pages, find_written_pages

size = 100 * mmap.PAGESIZE
area = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

def write():
    for page in range(0, size // 2, mmap.PAGESIZE):
        area[page] = 1

write()
area[size - 1] = 1
ranges = find_written_pages(write)

def count_faults(prepare):
    receiving, sending = os.pipe()
    if os.fork() == 0:
        prepare()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        write()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        os.write(sending, str(after - before).encode())
        os._exit(0)
    return int(os.read(receiving, 20))

print(count_faults(lambda: None), count_faults(lambda: copy_pages(ranges)))
"""


def test_written_pages_are_found_and_copied_ahead() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    cold, warm = map(int, run.stdout.split())
    assert cold >= 50
    assert warm < 30  # Python writes some others.
