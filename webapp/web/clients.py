"""The client of a request: the address that limits count, and the owner of jobs."""

import secrets
from ipaddress import IPv6Address, ip_address

from flask import abort, request, session

from webapp.jobs.models import Job, owns
from webapp.web.app_context import current_jobs


def client_name() -> str:
    """Return the address that limits count by; unlike a cookie, it cannot be dropped.

    Of IPv6, the first half: clients choose the rest.
    """
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:  # A UNIX socket has none.
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def current_owner() -> str | None:
    """Return the owner id in the session, or None before the first upload page."""
    return session.get("owner")


def become_owner() -> str:
    """Return the owner id in the session; create it if there is none."""
    session.permanent = True
    return session.setdefault("owner", secrets.token_urlsafe(16))  # type: ignore[no-any-return]


def require_owner(job_id: str, act: str = "change it") -> None:
    """Check that the client owns a job; its URL alone only shows it.

    Raises JobNotFound, or Forbidden.
    """
    if not current_jobs().is_owner(job_id, current_owner()):
        abort(403, f"Only the browser that made this job can {act}.")


def is_owner(job: Job) -> bool:
    """Return whether the client is the owner of a job."""
    return owns(current_owner(), job.owner)
