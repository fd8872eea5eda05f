"""The person whom a proxy in front has signed in, as its header says."""

import logging
from functools import cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from flask import Flask, g, request

from webapp.jobs.names import is_kept
from webapp.logs import RARELY
from webapp.web.app_context import current_config
from webapp.web.cors import is_of_no_one

logger = logging.getLogger(__name__)

NAME_LENGTH = 200  # Characters. Some proxies send email addresses.


def init_app(app: Flask) -> None:
    """Let pages name the person."""
    app.jinja_env.globals["current_user"] = current_user


def current_user() -> str | None:
    """Return the name of the person whom a trusted proxy signed in, or None."""
    if "user" not in g:
        g.user = _read_user()
    return g.user  # type: ignore[no-any-return]


def _read_user() -> str | None:
    header = current_config().user_header
    sent = request.headers.get(header) if header else None
    if not sent or is_of_no_one():
        return None
    # Of the connection itself: X-Forwarded-For is what its sender wrote.
    peer = request.environ.get("werkzeug.proxy_fix.orig", {}).get("REMOTE_ADDR", "")
    if not _is_trusted(peer, current_config().user_header_proxies):
        _warn("not from a proxy", peer)
        return None
    name = _read_name(sent)
    if name is None:
        _warn("not a name", peer)
    return name


def _warn(reason: str, peer: str) -> None:
    logger.warning("user header ignored", extra={"reason": reason, "peer": peer, **RARELY})


def _read_name(sent: str) -> str | None:
    """Return the name in a header, unchanged, so that no two people have one name.

    A comma joins two headers of the same name: one of them may be the client's own.
    """
    try:
        name = sent.encode("latin-1").decode().strip()
    except UnicodeError:
        return None
    is_name = 0 < len(name) <= NAME_LENGTH and "," not in name and all(map(is_kept, name))
    return name if is_name else None


def _is_trusted(peer: str, networks: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:  # A UNIX socket has none.
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _parse(networks))


@cache
def _parse(networks: str) -> list[IPv4Network | IPv6Network]:
    return [ip_network(network) for network in networks.split()]
