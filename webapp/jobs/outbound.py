"""Send requests to servers that strangers name, and read bounded answers.

requests-hardened resolves a host once, checks its address, and connects to that address; the
certificate is checked by name. Here are the limits that it leaves to us: which URLs, how many
redirects, how long in all, and no unpacking of bodies.
"""

import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from math import ceil
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests_hardened import Config as HardenedConfig
from requests_hardened import HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter

from webapp.config import Config
from webapp.jobs.outbound_errors import (
    AddressRefused,
    EncodingRefused,
    HostUnknown,
    InvalidUrl,
    RequestFailed,
    RequestRefused,
    RequestTimedOut,
    ResolverFailed,
    TlsFailed,
    TooManyRedirects,
    Unreachable,
)
from webapp.jobs.urls import PORTS, Guard

USER_AGENT = "thumbnail-webapp"
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0  # Without a byte from the server.
CHUNK = 64 * 1024  # Bytes of a body that are read at a time, or as many as are there.
LOOK_SECONDS = 0.25  # Between two looks at whether this process is to stop.
MAX_PAUSE = 3600  # Seconds that a server may ask us to wait.
# At the level of debugging it logs URLs, some of which are keys to what they lead to.
logging.getLogger("urllib3").setLevel(logging.INFO)
REDIRECTS = {301, 302, 303, 307, 308}


class _Clock:
    """End the connections of a request at its deadline, or when we are to stop.

    A timeout of a socket begins again with each byte: a server that drips would hold us for ever.
    """

    def __init__(
        self, seconds: float, silent_seconds: float, is_stopping: Callable[[], bool]
    ) -> None:
        self._silent_seconds = silent_seconds
        self._deadline = time.monotonic() + seconds
        self._is_stopping = is_stopping
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="clock", daemon=True)
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    @property
    def is_over(self) -> bool:
        """True after the deadline, and when this process is to stop."""
        return time.monotonic() >= self._deadline or self._is_stopping()

    def __enter__(self) -> "_Clock":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed.set()
        with self._lock:
            for watched in self._sockets:
                watched.close()
            self._sockets.clear()

    def timeouts(self) -> tuple[float, float]:
        """Return how long to wait for a connection, and for a byte."""
        left = max(self._deadline - time.monotonic(), 0.001)
        return min(CONNECT_SECONDS, left), min(self._silent_seconds, left)

    def add(self, connection: socket.socket) -> None:
        """End a connection at the deadline.

        A duplicate is kept: TLS takes the descriptor from its socket.
        """
        with self._lock:
            self._sockets.append(connection.dup())
        if self.is_over:
            self._end()

    def _watch(self) -> None:
        while not self.is_over:
            left = max(self._deadline - time.monotonic(), 0)
            if self._is_closed.wait(min(left, LOOK_SECONDS)):
                return
        self._end()

    def _end(self) -> None:
        with self._lock:
            for watched in self._sockets:
                with suppress(OSError):
                    watched.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Answer:
    """The status and headers of an answer, whose body is still to be read."""

    url: str  # The last one, after all redirects.
    status: int
    headers: Mapping[str, str]
    _response: requests.Response
    _clock: _Clock

    @property
    def length(self) -> int | None:
        """The length of the body, if the headers tell it."""
        text = self.headers.get("Content-Length", "")
        return int(text[:20]) if text.isdecimal() and text.isascii() else None

    @property
    def retry_after(self) -> int | None:
        """After how many seconds the server wants to be asked again, an hour at most."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isdecimal() and text.isascii():
            return min(int(text[:9]), MAX_PAUSE)
        with suppress(ValueError, OverflowError):
            seconds = ceil(parsedate_to_datetime(text).timestamp() - time.time())
            return min(max(seconds, 0), MAX_PAUSE)
        return None

    def read(self) -> Iterator[bytes]:
        """Read the body, in pieces, as it was sent. Raises RequestFailed."""
        if self.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise EncodingRefused
        while piece := self._read_piece():
            yield piece

    def _read_piece(self) -> bytes:
        with _translated(self._clock):
            piece: bytes = self._response.raw.read1(CHUNK, decode_content=False)
            if not piece and self._clock.is_over:
                raise RequestTimedOut  # Without a length, this looks like the end of the body.
            return piece


class _GuardedAdapter(IPFilterAdapter):  # type: ignore[misc]
    """Connect only to what the guard allows, and let the clock end connections."""

    def __init__(self, guard: Guard, clock: _Clock, scheme: str) -> None:
        self._guard = guard
        self._clock = clock
        self._scheme = scheme
        super().__init__(is_https_proto=scheme == "https")

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> tuple[Any, Any]:
        """Resolve the host and replace it by its address. Raises RequestRefused."""
        parts = urlsplit(request.url or "")
        name, port = parts.hostname or "", parts.port or PORTS[self._scheme]
        if address := self._guard.allowed_private(name, port):
            host, options = HTTPAdapter.build_connection_pool_key_attributes(
                self, request, verify, cert
            )
            # As IPFilterAdapter does, which refuses all private addresses.
            request.headers["Host"] = parts.netloc
            if self._scheme == "https":
                options.update(assert_hostname=name, server_hostname=name)
            host["host"] = f"[{address}]" if address.version == 6 else str(address)
            return host, options
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        self._guard.check_public(ipaddress.ip_address(host["host"].strip("[]")), port)
        return host, options

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return connections to a host which the clock ends."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        clock = self._clock

        class Watched(pool.ConnectionCls):  # type: ignore[misc,name-defined]
            def _new_conn(self) -> socket.socket:
                connection: socket.socket = super()._new_conn()
                clock.add(connection)
                return connection

        pool.ConnectionCls = Watched
        return pool


class _Session(HTTPSession):  # type: ignore[misc]
    """Follow no redirects."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return none: else requests reads the whole body of a redirect into memory."""


@contextmanager
def send(
    config: Config,
    method: str,
    url: str,
    *,
    seconds: float,
    silent_seconds: float = READ_SECONDS,
    max_redirects: int = 0,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Answer]:
    """Send a request and yield the answer, whatever its status.

    `seconds` are for all of it: redirects, and reading the body in the block. Of these, the server
    may be silent for `silent_seconds`. It ends earlier where `is_stopping`. Raises RequestRefused
    or RequestFailed.
    """
    guard = Guard(config)
    with ExitStack() as stack:
        clock = stack.enter_context(_Clock(seconds, silent_seconds, is_stopping))
        session = stack.enter_context(_open_session(guard, clock))
        for _ in range(max_redirects + 1):
            response = _send_once(session, guard, clock, method, url, headers, body)
            stack.callback(response.close)
            target = response.headers.get("Location")
            if not max_redirects or response.status_code not in REDIRECTS or not target:
                yield Answer(url, response.status_code, response.headers, response, clock)
                return
            url = _join(url, target)
        raise TooManyRedirects


def _open_session(guard: Guard, clock: _Clock) -> _Session:
    session = _Session(
        HardenedConfig(
            ip_filter_enable=True,
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(CONNECT_SECONDS, READ_SECONDS),
            user_agent_override=USER_AGENT,
        )
    )
    session.trust_env = False  # No proxies and no passwords of the environment.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["Accept-Encoding"] = "identity"
    for scheme in PORTS:
        session.mount(f"{scheme}://", _GuardedAdapter(guard, clock, scheme))
    return session


def _send_once(
    session: _Session,
    guard: Guard,
    clock: _Clock,
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    body: bytes | None,
) -> requests.Response:
    guard.check(url)
    with _translated(clock):
        request = session.prepare_request(requests.Request(method, url, headers, data=body))
        guard.check(request.url or "")  # As it is used: requests may read it in another way.
        response: requests.Response = session.send(request, stream=True, timeout=clock.timeouts())
        if clock.is_over:  # It may have ended the headers.
            response.close()
            raise RequestTimedOut
        return response


def _join(url: str, target: str) -> str:
    try:  # Headers are read as Latin-1, and browsers read them as UTF-8.
        return urljoin(url, target.encode("latin-1").decode())
    except ValueError:
        raise InvalidUrl from None


@contextmanager
def _translated(clock: _Clock) -> Iterator[None]:
    """Turn the errors of all libraries into ours."""
    try:
        yield
    except (RequestRefused, RequestFailed):
        raise
    except InvalidIPAddress:
        raise AddressRefused from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, UnicodeError):
        raise InvalidUrl from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _failure(error, clock) from error


def _failure(error: Exception, clock: _Clock) -> RequestFailed:
    causes = [error, error.__cause__, error.__context__]
    unresolved = next((one for one in causes if isinstance(one, socket.gaierror)), None)
    if unresolved:
        is_over = unresolved.errno == socket.EAI_AGAIN
        return ResolverFailed() if is_over else HostUnknown()
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if clock.is_over or any(isinstance(one, timeouts) for one in causes):
        return RequestTimedOut()
    tls = (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError)
    if any(isinstance(one, tls) for one in causes):
        return TlsFailed()
    return Unreachable()
