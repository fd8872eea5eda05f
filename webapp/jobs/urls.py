"""Which other servers this server makes requests to, and why not to the rest.

A URL is checked for its form when a client gives it, and again, with the address that its host
resolves to, before each connection. No sentence tells which address that is.
"""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from webapp.config import Config, PrivateHost, read_private_hosts
from webapp.jobs.outbound_errors import (
    MAX_URL,
    AddressRefused,
    CredentialsRefused,
    InvalidUrl,
    PortRefused,
    SchemeRefused,
)

PORTS = {"http": 80, "https": 443}
_UNICAST = ipaddress.ip_network("2000::/3")  # All of IPv6 that is given out to the public.
# Public by its number, but in every virtual machine of Azure it answers with their secrets.
_WIRE_SERVER = ipaddress.ip_address("168.63.129.16")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Guard:
    """Check URLs and addresses by the settings."""

    def __init__(self, config: Config) -> None:
        self._private_hosts = read_private_hosts(config.allowed_private_hosts)

    def check(self, url: str) -> None:
        """Check the form of a URL, and its host if that is an address.

        Raises RequestRefused.
        """
        if len(url) > MAX_URL or re.search(r"[\s\\\x00-\x1f\x7f]", url):
            raise InvalidUrl
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise InvalidUrl from None
        if parts.scheme and parts.scheme not in PORTS:
            raise SchemeRefused
        if not parts.scheme or not parts.hostname:
            raise InvalidUrl
        if "@" in parts.netloc:
            raise CredentialsRefused
        ports = {*PORTS.values(), *(host.port for host in self._private_hosts)}
        if port is not None and port not in ports:
            raise PortRefused
        try:
            address = _unmapped(parts.hostname)
        except ValueError:  # A name: what it resolves to is checked before each connection.
            return
        port = port or PORTS[parts.scheme]
        if self.allowed_private(parts.hostname, port) is None:
            self.check_public(address, port)

    def check_public(self, address: Address, port: int) -> None:
        """Check that a server at an address is public. Raises RequestRefused.

        It adds to what requests-hardened checks: all but unicast, and a server of Azure.
        """
        if isinstance(address, ipaddress.IPv6Address):
            is_public = address in _UNICAST and address.is_global
        else:
            is_public = address.is_global and not address.is_multicast
        if not is_public or address.is_reserved or address == _WIRE_SERVER:
            raise AddressRefused
        if port not in PORTS.values():
            raise PortRefused

    def allowed_private(self, name: str, port: int) -> Address | None:
        """Resolve a host, and return its address if the settings allow it; else None."""
        hosts = [host for host in self._private_hosts if _has_port(host, port)]
        if not hosts:
            return None
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        addresses = [_unmapped(str(sockaddr[0])) for *_, sockaddr in found]
        if any(host.name == name.lower() for host in hosts):
            return addresses[0]
        networks = [host.network for host in hosts if host.network]
        return next((one for one in addresses if any(one in net for net in networks)), None)


def _has_port(host: PrivateHost, port: int) -> bool:
    return port in PORTS.values() if host.port is None else port == host.port


def _unmapped(text: str) -> Address:
    """Read an address; an IPv4 address that is written as IPv6 becomes IPv4."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
