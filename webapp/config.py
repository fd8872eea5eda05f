"""Every setting: its default, unit, reason and bounds.

Nothing else reads settings from the environment. The reasons are for operators:
tests/test_docs.py compares them with `docs/configuration.md`.
"""

import difflib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import ceil, inf
from pathlib import Path
from typing import Any, Literal, NewType, get_args

from dotenv import dotenv_values

VERSION = "0.1.0"  # Written here alone. A test and `make release-check` compare all that names it.
ROOT = Path(__file__).parent.parent  # The repository: templates/ and static/ are beside webapp/.
MB = 1_000_000  # Bytes, in settings and in what people read.
PREFIX = "THUMBNAIL_"
UNPREFIXED = {"host": "HOST", "port": "PORT"}  # Hosting platforms use these names.
# Characters. A shorter secret can be guessed. A client has 20 guesses an hour at a token. The key
# can be guessed offline, without a limit.
SHORTEST_SECRETS = {"access_token": 16, "metrics_token": 16, "secret_key": 32}
MAX_OUTPUTS = 200  # The longest recipes of so many fit in sandbox.client.MAX_REQUEST.
# What believes or needs a proxy in front, and what the proxy does.
DONE_BY_PROXIES = {
    "client_header": "sets it",
    "user_header": "sets it",
    "trusted_prefix": "names the path",
    "accel_prefix": "sends the files",
}
# Lower case. Used by settings, forms and links.
_ON, _OFF = {"1", "true", "yes", "y", "on"}, {"0", "false", "no", "n", "off", ""}


class ConfigError(SystemExit):
    """End the process with one sentence that names the wrong setting.

    A SystemExit, so that gunicorn, the consumer and the command line print the sentence and no
    traceback.
    """


Host = NewType("Host", str)
HostNames = NewType("HostNames", str)  # Separated by spaces.
HeaderName = NewType("HeaderName", str)
Networks = NewType("Networks", str)  # Separated by spaces.
Origins = NewType("Origins", str)  # Separated by spaces, or `*`.
PrivateHosts = NewType("PrivateHosts", str)  # As `read_private_hosts` reads them.
UrlPath = NewType("UrlPath", str)  # Of plain segments, without a slash at its end.
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


def setting(default: Any, why: str, *, minimum: float = -inf, maximum: float = 1e6) -> Any:
    """Declare a setting: a dataclass field with its reason, and bounds for a number.

    No setting needs more than a million, and larger numbers overflow in C code.
    """
    return field(default=default, metadata={"why": why, "minimum": minimum, "maximum": maximum})


def count_cores() -> int:
    """Count the cores that this process may use; a container may not have all."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only.
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass(frozen=True)
class Config:
    """Hold the settings of one process.

    `max_file_mb` is `THUMBNAIL_MAX_FILE_MB` in the environment; only HOST and PORT have no prefix.
    """

    host: Host = setting(
        "127.0.0.1",
        "Address that the web server listens on. The default accepts this machine only.",
    )
    port: int = setting(8000, "Port that the web server listens on.", minimum=1, maximum=65535)
    instance: Path = setting(
        Path("instance"),
        "Folder of all data: databases, originals, thumbnails. It must be one file system.",
    )
    secret_key: str = setting(
        "",
        "Key that signs the session cookie, at least 32 characters. Empty: created once and kept"
        " in `instance/secret_key`.",
    )
    access_token: str = setting(
        "",
        "Token required to upload, at least 16 characters. People enter it on a page, programs send"
        " it as `Bearer`. Empty: anyone can upload.",
    )
    workers: int = setting(
        count_cores() + 1,
        "Worker processes of the consumer. One more than cores, because one waits for the disk.",
        minimum=1,
    )
    lease_seconds: float = setting(
        6.0,
        "Seconds until the image of a dead worker goes to another worker.",
        minimum=1.5,
    )
    web_workers: int = setting(2, "Processes of the web server.", minimum=1)
    web_threads: int = setting(
        8, "Threads of each web process: requests that it can serve at a time.", minimum=1
    )
    stall_seconds: float = setting(
        20.0,
        "Seconds without a byte from or to a client, after which it is disconnected.",
        minimum=0.1,
    )
    retention_hours: float = setting(
        24.0, "Hours from the creation of a job to its deletion with all its files.", minimum=0.001
    )
    max_retention_hours: float = setting(
        168.0,
        "Longest retention that a user may choose, in hours from the creation of the job.",
        minimum=0.001,
    )
    max_kept_mb: int = setting(
        0,
        "Megabytes of originals and thumbnails, of the jobs that one owner keeps until they delete"
        " them. 0: no job can be kept for longer than the longest retention.",
        minimum=0,
    )
    max_file_mb: int = setting(
        50,
        "Megabytes (10⁶ bytes) of one uploaded file. A JPEG of 100 megapixels has about 40.",
        minimum=1,
    )
    max_request_mb: int = setting(
        500,
        "Megabytes of one request. Without JavaScript, the form sends all its files in one.",
        minimum=1,
    )
    min_free_mb: int = setting(
        500,
        "Megabytes of disk to keep free. Below this, uploads are refused and waiting images stay in"
        " the queue.",
        minimum=0,
    )
    max_images: int = setting(500, "Images in one job.", minimum=1)
    max_megapixels: float = setting(
        100.0,
        "Megapixels of a JPEG or PNG. Decoding takes about 4 bytes a pixel, of a PNG up to 14.",
        minimum=0.001,
    )
    max_megapixels_other: float = setting(
        50.0,
        "Megapixels of any other format. WebP takes up to 20 bytes a pixel, JPEG 2000 up to 25.",
        minimum=0.001,
    )
    max_jpeg_scans: int = setting(
        50,
        "Scans of a JPEG. A normal progressive JPEG has 10; thousands stall a decoder.",
        minimum=1,
    )
    max_frames: int = setting(
        200, "Frames of an animation, if an output keeps the animation. All are decoded.", minimum=1
    )
    max_outputs: int = setting(
        20,
        f"Outputs of one recipe, {MAX_OUTPUTS} at most. The largest sets in use have 10 widths in"
        " 2 formats.",
        minimum=1,
        maximum=MAX_OUTPUTS,
    )
    max_side: int = setting(4096, "Longest side of an output, in pixels.", minimum=1, maximum=4096)
    max_output_megapixels: float = setting(
        64.0,
        "Megapixels of all outputs of one image together. Eight widths up to 3840 pixels in 2"
        " formats have 54.",
        minimum=0.001,
    )
    max_jobs_per_hour: int = setting(
        5000,
        "Jobs of one client in an hour. A client is an API token or an address, so a whole office"
        " may be one, and a program may send each image as a job.",
        minimum=1,
    )
    max_mb_per_hour: int = setting(
        10_000,
        "Megabytes of uploads and thumbnails of one client in an hour.",
        minimum=1,
    )
    max_packed_per_hour: int = setting(
        1_000_000,
        "Thumbnails that one client may download in zips, or as markup of whole jobs, in an hour."
        " A small one costs the web server 0.2 ms, and each GB sent a second.",
        minimum=1,
        maximum=1e9,
    )
    max_waiting: int = setting(
        10_000,
        "Images of all clients that may wait for a worker. At 50 a second, the last one waits for"
        " three minutes.",
        minimum=1,
    )
    max_waiting_share: float = setting(
        0.25,
        "Share of `THUMBNAIL_MAX_WAITING` that one client may use, so that it cannot fill the queue"
        " for everyone.",
        minimum=0.0001,
        maximum=1,
    )
    max_work_seconds_per_hour: int = setting(
        3600,
        "Seconds of workers' time that one client may use in an hour. The default is one worker,"
        " always busy.",
        minimum=1,
    )
    decode_seconds: float = setting(
        30.0, "Seconds of real time that one image may take before it fails.", minimum=0.1
    )
    decode_memory_mb: int = setting(
        1500, "Megabytes of address space for the process that decodes one image.", minimum=256
    )
    fetch_urls: bool = setting(
        False,
        "Let programs give the addresses of images instead of files. The server then makes requests"
        " to other servers that strangers name.",
    )
    fetch_seconds: float = setting(
        30.0,
        "Seconds that the fetch of one image may take, redirects included. In 30 s, 50 MB come at"
        " 14 Mbit/s.",
        minimum=0.1,
        maximum=600,
    )
    allowed_private_hosts: PrivateHosts = setting(
        "",
        "Hosts in private networks that fetches and webhooks may reach: names, addresses or"
        " networks, each with a port where it is not 80 or 443, separated by spaces or commas, such"
        " as `hooks.internal:8080 10.1.0.0/16 [fd00::5]:9000`. Empty: none.",
    )
    list_all_jobs: bool = setting(
        False,
        "List the jobs of all clients at `GET /jobs`, as thumbnail-api did. Off: the caller's.",
    )
    allowed_hosts: HostNames = setting(
        "",
        "Host names to answer to, separated by spaces or commas. `.example.com` includes its"
        " subdomains. `localhost` and `127.0.0.1` are always allowed. Empty: any.",
    )
    cookie_secure: bool = setting(False, "Send cookies over HTTPS only. Turn it on behind TLS.")
    hsts_days: int = setting(
        0,
        "`max-age` of the header Strict-Transport-Security, in days. Set it once TLS is there to"
        " stay.",
        minimum=0,
    )
    trusted_proxies: int = setting(
        0,
        "Number of proxies in front whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Request-ID`"
        " are trusted. They must pass on `Host`; `X-Forwarded-Host` is ignored.",
        minimum=0,
    )
    trusted_prefix: bool = setting(
        False,
        "Trust `X-Forwarded-Prefix` of the nearest proxy: the path that the site is under, such as"
        " `/thumbnails-app`. The proxy must remove the path from requests, and replace or remove"
        " the header in all of them.",
    )
    accel_prefix: UrlPath = setting(
        "",
        "Path of the `internal` location by which nginx sends thumbnails and originals, such as"
        " `/accel`: the application checks a request and names the file in `X-Accel-Redirect`."
        " Without such an nginx in front, these answers are empty. Empty: the application sends the"
        " files.",
    )
    user_header: HeaderName = setting(
        "",
        "Header in which a proxy in front names the person whom it has signed in, such as"
        " `Remote-User`. A person then has access, and the same jobs in every browser. Empty:"
        " none.",
    )
    user_header_proxies: Networks = setting(
        "127.0.0.0/8 ::1",
        "Addresses or networks of the proxies that may send `THUMBNAIL_USER_HEADER`, separated by"
        " spaces. From any other address it is ignored.",
    )
    client_header: HeaderName = setting(
        "",
        "Header in which the proxy in front gives the address of the client, such as"
        " `Fly-Client-IP`, `CF-Connecting-IP` or `X-Real-IP`. It counts instead of"
        " `X-Forwarded-For`, so the proxy must replace it in every request. Empty: none.",
    )
    cors_origins: Origins = setting(
        "",
        "Origins whose pages may use `/api/` from a browser, such as `https://app.example.com`,"
        " separated by spaces; `*` is all. They act by an API token, never as the visitor. Empty:"
        " none.",
    )
    log_format: LogFormat = setting(
        "text", "Format of log lines: `text`, or `json` with one object a line."
    )
    log_level: LogLevel = setting(
        "info", "Lowest level that is logged: `debug`, `info`, `warning` or `error`."
    )
    metrics_token: str = setting(
        "",
        "Bearer token required for `GET /metrics`, at least 16 characters. Empty: no metrics.",
    )


def environment_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return UNPREFIXED.get(name, PREFIX + name.upper())


# Only the web server needs these.
SECRETS = ("secret_key", "access_token", "metrics_token")


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for processes that decode untrusted images."""
    secrets = {environment_name(name) for name in SECRETS}
    return {name: value for name, value in environ.items() if name not in secrets}


def read_environment() -> dict[str, str]:
    """Return the environment, on top of the file `.env`."""
    return {k: v or "" for k, v in dotenv_values(".env").items()} | dict(os.environ)


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings from `environ`, by default from `read_environment()`.

    Raises ConfigError, which ends the process.
    """
    if environ is None:
        environ = read_environment()
    known = {environment_name(item.name): item for item in fields(Config)}
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in known:
            raise ConfigError(_unknown(variable, list(known)))
    config = Config(
        **{
            item.name: _read(variable, environ[variable], item)
            for variable, item in known.items()
            if variable in environ
        }
    )
    _check(config)
    # Flask would resolve a relative path below its code.
    return replace(config, instance=config.instance.absolute())


def _check(config: Config) -> None:
    """Check the settings against each other, and the instance folder."""
    if config.max_request_mb < config.max_file_mb:
        raise ConfigError("THUMBNAIL_MAX_REQUEST_MB must not be less than THUMBNAIL_MAX_FILE_MB.")
    for name, shortest in SHORTEST_SECRETS.items():
        if 0 < len(getattr(config, name)) < shortest:
            raise ConfigError(
                f"{environment_name(name)} must have at least {shortest} characters:"
                " `openssl rand -hex 16` creates one."
            )
    for name, what in DONE_BY_PROXIES.items():
        if getattr(config, name) and not config.trusted_proxies:
            raise ConfigError(
                f"{environment_name(name)} needs a proxy that {what}: count it in"
                " THUMBNAIL_TRUSTED_PROXIES."
            )
    if config.max_retention_hours < config.retention_hours:
        raise ConfigError(
            "THUMBNAIL_MAX_RETENTION_HOURS must not be less than THUMBNAIL_RETENTION_HOURS."
        )
    if config.max_mb_per_hour < config.max_request_mb:
        raise ConfigError(
            "THUMBNAIL_MAX_MB_PER_HOUR must not be less than THUMBNAIL_MAX_REQUEST_MB."
        )
    if config.max_packed_per_hour < config.max_images * config.max_outputs:
        raise ConfigError(
            "THUMBNAIL_MAX_PACKED_PER_HOUR must not be less than THUMBNAIL_MAX_IMAGES times"
            " THUMBNAIL_MAX_OUTPUTS, or the largest job could not be downloaded."
        )
    if ceil(config.max_waiting * config.max_waiting_share) < config.max_images:
        raise ConfigError(
            "THUMBNAIL_MAX_WAITING times THUMBNAIL_MAX_WAITING_SHARE must not be less than"
            " THUMBNAIL_MAX_IMAGES, or the largest job could not be uploaded."
        )
    try:
        config.instance.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"THUMBNAIL_INSTANCE cannot be created: {error}.") from None
    if not os.access(config.instance, os.R_OK | os.X_OK):
        raise ConfigError(f"THUMBNAIL_INSTANCE is not readable: {config.instance}.")


def _unknown(variable: str, known: list[str]) -> str:
    unprefixed = variable.removeprefix(PREFIX)
    close = [unprefixed] if unprefixed in known else difflib.get_close_matches(variable, known, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{variable} is not a setting.{hint}"


def _read(variable: str, text: str, item: "Field[Any]") -> Any:
    expected, parse = _PARSERS[item.type]
    try:
        value = parse(text.strip())
    except ValueError:
        raise ConfigError(f'{variable} must be {expected}, not "{text}".') from None
    if isinstance(value, float | int):
        minimum, maximum = item.metadata["minimum"], item.metadata["maximum"]
        if not minimum <= value <= maximum:  # Refuses NaN too.
            bounds = f"from {minimum:g} to {maximum:,.9g}"
            raise ConfigError(f"{variable} must be {bounds}, not {text}.")
    return value


def read_switch(text: str) -> bool | None:
    """Read a word for on or off.

    Returns None for any other text. The empty text is off.
    """
    word = text.strip().lower()
    return word in _ON if word in _ON | _OFF else None


def _parse_host(text: str) -> str:
    """Parse an address, or a name that this machine can resolve."""
    try:
        socket.getaddrinfo(text, None)
    except (OSError, UnicodeError):
        raise ValueError(text) from None
    return text


def _parse_host_names(text: str) -> str:
    """Parse host names, as in the Host header but without a port."""
    names = re.split(r"[\s,]+", text.lower().strip(", ")) if text else []
    if not all(re.fullmatch(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)*", name) for name in names):
        raise ValueError(text)
    return " ".join(names)


def _parse_header_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]*", text):
        raise ValueError(text)
    return text


def _parse_url_path(text: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9_-]+)*", text):
        raise ValueError(text)
    return text


def _parse_networks(text: str) -> str:
    return " ".join(str(ip_network(network)) for network in text.split())


def _parse_origins(text: str) -> str:
    """Parse origins as browsers write them: lower case, no default port, no path."""
    if text == "*":
        return text
    origins = text.lower().split()
    pattern = r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?"
    if not all(re.fullmatch(pattern, origin) for origin in origins):
        raise ValueError(text)
    ports = {"http://": ":80", "https://": ":443"}
    for scheme, port in ports.items():
        origins = [o.removesuffix(port) if o.startswith(scheme) else o for o in origins]
    return " ".join(origins)


@dataclass(frozen=True)
class PrivateHost:
    """A host, or a network of hosts, that the server may reach though it is private."""

    name: str | None  # None for a network.
    network: IPv4Network | IPv6Network | None
    port: int | None  # None: one that any public host may have.


def read_private_hosts(text: str) -> tuple[PrivateHost, ...]:
    """Read hosts and networks, each perhaps with a port. Raises ValueError."""
    return tuple(map(_read_private_host, re.split(r"[\s,]+", text.strip(", ")) if text else []))


def _read_private_host(text: str) -> PrivateHost:
    found = re.fullmatch(r"(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:]+))(?::(?P<port>[0-9]{1,5}))?", text)
    if found:
        host, port = found["v6"] or found["host"], found["port"]
    else:  # An IPv6 address has brackets only where a port follows.
        host, port = text, None
    if port and not 0 < int(port) < 65536:
        raise ValueError(text)
    number = int(port) if port else None
    if ":" in host or re.fullmatch(r"[0-9./]+", host):
        return PrivateHost(None, ip_network(host), number)
    return PrivateHost(_parse_host_names(host), None, number)


def _parse_private_hosts(text: str) -> str:
    read_private_hosts(text)
    return text


def _parse_path(text: str) -> Path:
    if not text:
        raise ValueError(text)
    return Path(text)


def _parse_bool(text: str) -> bool:
    is_on = read_switch(text)
    if is_on is None:
        raise ValueError(text)
    return is_on


def _parse_choice(kind: Any) -> tuple[str, Callable[[str], str]]:
    """Return a description and a parser of the words of a Literal."""

    def parse(text: str) -> str:
        if text.lower() not in get_args(kind):
            raise ValueError(text)
        return text.lower()

    return "one of " + ", ".join(get_args(kind)), parse


_PARSERS: dict[Any, tuple[str, Callable[[str], Any]]] = {
    bool: ("1 or 0", _parse_bool),
    int: ("a whole number", int),
    float: ("a number", float),
    str: ("text", str),
    Host: ("an address of this machine", _parse_host),
    HostNames: ("host names like pictures.example.com", _parse_host_names),
    HeaderName: ("the name of a header like Remote-User", _parse_header_name),
    UrlPath: ("a path like /accel", _parse_url_path),
    Networks: ("addresses or networks like 10.0.0.0/8", _parse_networks),
    Origins: ("origins like https://app.example.com, or *", _parse_origins),
    PrivateHosts: (
        "hosts like hooks.internal:8080 or networks like 10.1.0.0/16",
        _parse_private_hosts,
    ),
    Path: ("a path", _parse_path),
    LogFormat: _parse_choice(LogFormat),
    LogLevel: _parse_choice(LogLevel),
}
