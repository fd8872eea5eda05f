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
    caller = Caller(client_name(), partial(_hung_up, _connection()))
    return current_jobs().watch.read_until(job_id, read, is_news, seconds, caller)


def can_wait() -> bool:
    """Return whether the client of the request has a place to wait."""
    return current_jobs().watch.has_place(client_name())


def has_left() -> bool:
    """Return whether the client of the request hung up, or closed its side of the connection."""
    return _hung_up(_connection())


def _connection() -> socket.socket | None:
    return request.environ.get("gunicorn.socket")


def _hung_up(connection: socket.socket | None) -> bool:
    if connection is None:
        return False
    try:
        poll = select.poll()
        poll.register(connection, _HANG_UP)
        return bool(poll.poll(0))
    except ValueError:  # It is closed.
        return True
