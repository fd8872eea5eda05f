"""Run a decode server whose children are killed at any call not listed.

python -m tests.support.strict_decoder <process id of its caller>
"""

import ctypes
import os
import platform
from collections.abc import Sequence
from typing import Any

from webapp.engine import decode_server
from webapp.sandbox import seccomp, server

# clone3 is left out: that the C library asks for it first and then takes clone is as it should be.
STRICT = seccomp.assemble(platform.machine(), deny=seccomp.KILL)


def make(request: Any, descriptors: Sequence[int], write: server.Write) -> Any:
    """Make thumbnails; or list a folder, to show that this is the end of a child."""
    if request == "listdir":
        return os.listdir("/")
    return decode_server.answer(request, descriptors, write)


if __name__ == "__main__":
    seccomp.PROGRAM = ctypes.create_string_buffer(STRICT)
    server.serve(make, decode_server.warm_up)
