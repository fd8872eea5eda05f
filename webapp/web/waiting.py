"""Waits of a request for a change of a job."""

import select
import socket
from collections.abc import Callable
from functools import partial

from flask import request

from webapp.jobs.watch import Caller, V
from webapp.web.app_context import current_jobs
from webapp.web.clients import client_name

# Its end alone tells nothing of requests that a client sent ahead. Linux has it.
_HANG_UP = getattr(select, "POLLRDHUP", 0)


def read_until(
    job_id: str, read: Callable[[], V], is_news: Callable[[V], bool], seconds: float
) -> V:
    """Read something of a job until it is news, for the client of the request.

    Returns what was read last, when the time is over, the client left or has no place to wait.
    """
    connection = request.environ.get("gunicorn.socket")
    caller = Caller(client_name(), partial(_has_left, connection))
    return current_jobs().watch.read_until(job_id, read, is_news, seconds, caller)


def can_wait() -> bool:
    """Return whether the client of the request has a place to wait."""
    return current_jobs().watch.has_place(client_name())


def _has_left(connection: socket.socket | None) -> bool:
    """Return whether the client of a connection hung up; False where there is none."""
    if connection is None:
        return False
    try:
        poll = select.poll()
        poll.register(connection, _HANG_UP)
        return bool(poll.poll(0))
    except ValueError:  # It is closed.
        return True
