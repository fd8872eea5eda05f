"""Views that fail, one for each status of an error page."""

from collections.abc import Callable

from flask import abort

from webapp.engine.errors import Truncated
from webapp.jobs.errors import (
    FileTooLarge,
    JobClosed,
    JobExpired,
    NoImages,
    NoSpace,
    QueueFull,
    TooManyJobs,
)
from webapp.web.access import AccessRequired


def _raise(error: Exception) -> str:
    raise error


ERRORS: dict[int, Callable[[], str]] = {
    400: lambda: abort(400),
    401: lambda: _raise(AccessRequired()),
    403: lambda: abort(403, "Only the browser, token or user that made this job can change it."),
    404: lambda: abort(404),
    405: lambda: abort(405),
    409: lambda: _raise(JobClosed()),
    410: lambda: _raise(JobExpired()),
    411: lambda: abort(411, "Send the length of the request as Content-Length."),
    413: lambda: _raise(FileTooLarge(72_000_000, 50)),
    415: lambda: _raise(Truncated()),
    422: lambda: _raise(NoImages()),
    429: lambda: _raise(TooManyJobs("Your network has made 5000 jobs within an hour.", 720)),
    500: lambda: _raise(RuntimeError("on purpose")),
    503: lambda: _raise(QueueFull("Too many images are waiting.", 20)),
    507: lambda: _raise(NoSpace()),
}
