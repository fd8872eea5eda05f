"""Who may send what: decided before a byte of it is read."""

from ipaddress import IPv6Address, ip_address

from flask import Flask, abort, current_app, request

from webapp.jobs import Jobs

MAKE_JOBS = {"jobs.open_job", "jobs.create", "compat.upload_image"}
TAKE_IMAGES = {*MAKE_JOBS, "jobs.add_images"}


def init_app(app: Flask) -> None:
    """Ask before anything reads a form, as the protection from CSRF does."""
    app.before_request(admit)


def admit() -> None:
    """Refuse what is too much, of this client or of all.

    A body is counted as it is announced, whatever becomes of it: receiving it is what it costs.
    Raises Busy; LengthRequired where nothing is announced.
    """
    if request.method != "POST":
        return
    if "Transfer-Encoding" in request.headers:
        abort(411, "Send the length of the request as Content-Length.")
    jobs: Jobs = current_app.extensions["jobs"]
    if request.endpoint in TAKE_IMAGES:
        jobs.admit_images()
    jobs.admit_bytes(client_name(), request.content_length or 0)
    if request.endpoint in MAKE_JOBS:
        jobs.admit_job(client_name())


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
