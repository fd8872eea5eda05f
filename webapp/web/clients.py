"""Who asks: the address that limits count, and the owner of jobs."""

import secrets
from ipaddress import IPv6Address, ip_address

from flask import abort, request, session

from webapp.jobs.models import Job
from webapp.web.app_context import current_jobs


def client_name() -> str:
    """Name who asks by the address, which nobody can throw away as a cookie.

    Of IPv6 by the first half: the rest is everybody's to choose.
    """
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:  # A socket that is a file has none.
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def current_owner() -> str | None:
    """Give the id of the browser or program that asks, if it was ever about to submit anything."""
    return session.get("owner")


def become_owner() -> str:
    """Give the id of the browser or program that submits; its cookie will remember it."""
    session.permanent = True
    return session.setdefault("owner", secrets.token_urlsafe(16))  # type: ignore[no-any-return]


def require_owner(job_id: str, act: str = "change it") -> None:
    """Refuse whoever did not submit the job: its address is for seeing what was made.

    Raises JobNotFound, or Forbidden.
    """
    if not current_jobs().is_owner(job_id, current_owner()):
        abort(403, f"Only the browser that made this job can {act}.")


def is_owner(job: Job) -> bool:
    """Say whether who asks has submitted a job."""
    return job.owner is not None and job.owner == current_owner()
