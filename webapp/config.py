"""Every setting: its default, unit and reason. Nothing else reads the environment."""

import difflib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from math import ceil, inf
from pathlib import Path
from typing import Any, Literal, NewType, get_args

from dotenv import dotenv_values

PREFIX = "THUMBNAIL_"
BARE_NAMES = {"host": "HOST", "port": "PORT"}  # What every platform calls them.
# Characters. A shorter secret can be guessed. Tokens: 20 tries an hour. The key: offline, with no
# limit.
SHORTEST_SECRETS = {"access_token": 16, "metrics_token": 16, "secret_key": 32}
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class ConfigError(SystemExit):
    """A setting is wrong: end the process with one sentence that names it.

    A SystemExit, so that whatever loads the settings (gunicorn, the consumer, the command line)
    prints the sentence and no traceback.
    """


Host = NewType("Host", str)
HostNames = NewType("HostNames", str)  # Separated by spaces.
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


def setting(default: Any, why: str, *, minimum: float = -inf, maximum: float = 1e6) -> Any:
    """Declare a setting: a dataclass field with its reason and its bounds, if it is a number.

    No number needs to be larger than a million; what is, overflows somewhere behind.
    """
    return field(default=default, metadata={"why": why, "minimum": minimum, "maximum": maximum})


def count_cores() -> int:
    """Count the cores that this process may use, which in a container may not be all."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it.
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass(frozen=True)
class Config:
    """Hold the settings of one process. The environment name of `max_file_mb` is
    `THUMBNAIL_MAX_FILE_MB`; only HOST and PORT go without the prefix.
    """

    host: Host = setting(
        "127.0.0.1", "Address that gunicorn listens on; loopback until you decide."
    )
    port: int = setting(8000, "Port that gunicorn listens on.", minimum=1, maximum=65535)
    instance: Path = setting(
        Path("instance"), "Folder of all data: databases, originals, thumbnails. One file system."
    )
    secret_key: str = setting(
        "",
        "Signs the session cookie. At least 32 characters. Empty: made once and kept in"
        " `instance/secret_key`.",
    )
    access_token: str = setting(
        "",
        "Needed to upload: by people on a page, by programs as `Bearer`. At least 16 characters."
        " Empty: anyone may.",
    )
    workers: int = setting(
        count_cores() + 1,
        "Consumer's worker processes. Default: one more than cores, as one waits for the disk.",
        minimum=1,
    )
    lease_seconds: float = setting(
        6.0,
        "Seconds until the image of a dead worker goes to another. Workers renew each second.",
        minimum=1.5,
    )
    web_workers: int = setting(2, "Gunicorn's processes.", minimum=1)
    web_threads: int = setting(
        8, "Threads of each gunicorn process: requests that one can hold at a time.", minimum=1
    )
    stall_seconds: float = setting(
        20.0, "Seconds without a byte from or to a client after which it is given up.", minimum=0.1
    )
    retention_hours: float = setting(
        24.0, "Hours from a job's creation to its deletion with all its files.", minimum=0.001
    )
    max_retention_hours: float = setting(
        168.0,
        "Hours that a job may be kept in all, for whom the default is not enough.",
        minimum=0.001,
    )
    max_file_mb: int = setting(
        50, "Megabytes (10⁶ bytes) of one uploaded file. A 100 MP JPEG has about 40.", minimum=1
    )
    max_request_mb: int = setting(
        500,
        "Megabytes of one request: a form without script sends all its files in one.",
        minimum=1,
    )
    min_free_mb: int = setting(
        500,
        "Megabytes of disk that stay free: below it uploads are refused, and the images that wait"
        " go on waiting.",
        minimum=0,
    )
    max_images: int = setting(500, "Images of one job.", minimum=1)
    max_megapixels: float = setting(
        100.0, "Megapixels of a JPEG or PNG: both decode in about 4 bytes a pixel.", minimum=0.001
    )
    max_megapixels_other: float = setting(
        50.0, "Megapixels of any other format: WebP and AVIF need up to 17 bytes.", minimum=0.001
    )
    max_jpeg_scans: int = setting(
        50,
        "Scans of a JPEG. A normal progressive one has 10; thousands stall a decoder.",
        minimum=1,
    )
    max_frames: int = setting(
        200, "Frames of an animation, where its movement is asked for; all are decoded.", minimum=1
    )
    max_outputs: int = setting(
        20,
        "Outputs of one recipe, up to 200. The largest sets in use have 10 widths in 2 formats.",
        minimum=1,
        maximum=200,  # A decode child gets a descriptor of each, and the kernel passes on 253.
    )
    max_side: int = setting(
        4096, "Pixels of a side that an output may ask for.", minimum=1, maximum=4096
    )
    max_output_megapixels: float = setting(
        64.0,
        "Megapixels of all outputs of one image together. Eight widths up to 3840 in 2 formats have"
        " 54.",
        minimum=0.001,
    )
    max_jobs_per_hour: int = setting(
        5000,
        "Jobs of one client, known by its address, within an hour. A program may send each"
        " image as a job, and an office behind one address is one client.",
        minimum=1,
    )
    max_mb_per_hour: int = setting(
        10_000,
        "Megabytes of one client's uploads and thumbnails within an hour.",
        minimum=1,
    )
    max_packed_per_hour: int = setting(
        1_000_000,
        "Thumbnails that one client may fetch in zips, or the markup of whole jobs, within an hour."
        " Each small one takes 0.2 ms of the web server, and each GB sent a second.",
        minimum=1,
        maximum=1e9,
    )
    max_waiting: int = setting(
        10_000,
        "Images that may wait for a worker, of all clients. At 50 a second the last of them waits"
        " for three minutes.",
        minimum=1,
    )
    max_waiting_share: float = setting(
        0.25,
        "Part of `THUMBNAIL_MAX_WAITING` that the images of one client may be, so that one cannot"
        " fill the queue for all.",
        minimum=0.0001,
        maximum=1,
    )
    max_work_seconds_per_hour: int = setting(
        3600,
        "Seconds of workers' time that one client may use within an hour. Default: what one worker"
        " has.",
        minimum=1,
    )
    decode_seconds: float = setting(
        30.0, "Seconds, by the clock, that one image may take before it is given up.", minimum=0.1
    )
    decode_memory_mb: int = setting(
        1500, "Megabytes of address space of the process that decodes one image.", minimum=256
    )
    list_all_jobs: bool = setting(
        False, "List everybody's jobs at `GET /jobs`, as thumbnail-api did; otherwise one's own."
    )
    allowed_hosts: HostNames = setting(
        "",
        "Host names that requests may come for, separated by spaces or commas; `.example.com`"
        " stands for all below it. `localhost` and `127.0.0.1` always may. Empty: any.",
    )
    cookie_secure: bool = setting(False, "Send cookies over HTTPS only. Turn on behind TLS.")
    hsts_days: int = setting(
        0,
        "Days for which browsers that came by HTTPS once are to come by nothing else. Turn on"
        " behind TLS that is there to stay.",
        minimum=0,
    )
    trusted_proxies: int = setting(
        0,
        "Proxies in front whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Request-ID` are"
        " believed. They must pass on `Host`; `X-Forwarded-Host` is not read.",
        minimum=0,
    )
    log_format: LogFormat = setting("text", "Of log lines: `text`, or `json`, an object a line.")
    log_level: LogLevel = setting(
        "info", "Log nothing below this: `debug`, `info`, `warning` or `error`."
    )
    metrics_token: str = setting(
        "",
        "Opens `GET /metrics` to whoever sends it as Bearer token. At least 16 characters."
        " Empty: off.",
    )


def environment_name(name: str) -> str:
    """Give the environment variable of a setting."""
    return BARE_NAMES.get(name, PREFIX + name.upper())


# Settings that only the web server may know.
SECRETS = ("secret_key", "access_token", "metrics_token")


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for processes that work on untrusted images."""
    secrets = {environment_name(name) for name in SECRETS}
    return {name: value for name, value in environ.items() if name not in secrets}


def read_environment() -> dict[str, str]:
    """Read the environment, over the file `.env`."""
    return {k: v or "" for k, v in dotenv_values(".env").items()} | dict(os.environ)


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings from `environ`, or else from the environment over the file `.env`.

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
    # Flask would take a relative path as one below its code.
    return replace(config, instance=config.instance.absolute())


def _check(config: Config) -> None:
    """Check what no setting can tell by itself."""
    if config.max_request_mb < config.max_file_mb:
        raise ConfigError("THUMBNAIL_MAX_REQUEST_MB must not be less than THUMBNAIL_MAX_FILE_MB.")
    for name, shortest in SHORTEST_SECRETS.items():
        if 0 < len(getattr(config, name)) < shortest:
            raise ConfigError(
                f"{environment_name(name)} must have at least {shortest} characters:"
                " `openssl rand -hex 16` makes one."
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
        raise ConfigError(f"THUMBNAIL_INSTANCE cannot be made: {error}.") from None
    if not os.access(config.instance, os.W_OK | os.X_OK):
        raise ConfigError(f"THUMBNAIL_INSTANCE is not ours to write: {config.instance}.")


def _unknown(variable: str, known: list[str]) -> str:
    bare = variable.removeprefix(PREFIX)
    close = [bare] if bare in known else difflib.get_close_matches(variable, known, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{variable} is not a setting.{hint}"


def _read(variable: str, text: str, item: "Field[Any]") -> Any:
    wanted, parse = _PARSERS[item.type]
    try:
        value = parse(text.strip())
    except ValueError:
        raise ConfigError(f'{variable} must be {wanted}, not "{text}".') from None
    if isinstance(value, float | int):
        minimum, maximum = item.metadata["minimum"], item.metadata["maximum"]
        if not minimum <= value <= maximum:  # NaN is not between anything either.
            bounds = f"from {minimum:g} to {maximum:,.9g}"
            raise ConfigError(f"{variable} must be {bounds}, not {text}.")
    return value


def _parse_host(text: str) -> str:
    """Take an address or a name that this machine can find."""
    try:
        socket.getaddrinfo(text, None)
    except (OSError, UnicodeError):
        raise ValueError(text) from None
    return text


def _parse_host_names(text: str) -> str:
    """Parse host names: as in the Host header, without scheme and port."""
    names = re.split(r"[\s,]+", text.lower().strip(", ")) if text else []
    if not all(re.fullmatch(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)*", name) for name in names):
        raise ValueError(text)
    return " ".join(names)


def _parse_path(text: str) -> Path:
    if not text:
        raise ValueError(text)
    return Path(text)


def _parse_bool(text: str) -> bool:
    if text.lower() not in TRUE | FALSE:
        raise ValueError(text)
    return text.lower() in TRUE


def _parse_choice(kind: Any) -> tuple[str, Callable[[str], str]]:
    """Take one of the words of a Literal."""

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
    Path: ("a path", _parse_path),
    LogFormat: _parse_choice(LogFormat),
    LogLevel: _parse_choice(LogLevel),
}
