"""Compare the settings with the machine: memory, files, addresses, TLS, confinement."""

import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from webapp.config import MB, SECRETS, Config, environment_name
from webapp.engine import decoder
from webapp.jobs.doctor import Finding, ok
from webapp.jobs.store.turns import most_slow
from webapp.recipes.presets import PRESETS
from webapp.sandbox import confinement

LEAST_FILES = (
    4096  # gunicorn.conf.py allows half as many connections to a web process, 2000 at most.
)
# Megabytes, as measured for "Size the machine" in docs/operations.md; a test compares the two.
REST_MB, WORKER_MB = 196, 45  # All that is no worker; each worker, with its decode server.
PNG_MB, OTHER_MB = 14, 25  # Most for a megapixel: a deep PNG; a JPEG 2000.
QUICK_MB = 740  # Most for an image that is not slow: a WebP of 33 megapixels.
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# One red pixel.
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def check_settings(config: Config, memory: int | None) -> Iterator[Finding]:
    """Find settings that contradict each other or the machine.

    `memory` is the bytes that the workers have; None if nothing tells.
    """
    found = list(_contradictions(config, memory))
    yield from found or [ok("settings", "none contradicts the machine")]


def _contradictions(config: Config, memory: int | None) -> Iterator[Finding]:
    if config.cookie_secure and not config.trusted_proxies:
        yield _warning(
            "proxies_not_trusted",
            "THUMBNAIL_COOKIE_SECURE is on, so a proxy ends TLS, and no proxy is trusted: limits"
            " count all people as one client, and links begin with http.",
            "Set THUMBNAIL_TRUSTED_PROXIES to the number of proxies in front.",
        )
    if config.trusted_proxies and not config.cookie_secure:
        yield _warning(
            "cookies_not_secure",
            "A proxy is trusted, and cookies are also sent without TLS.",
            "Behind TLS, set THUMBNAIL_COOKIE_SECURE=1.",
        )
    if config.cookie_secure and not config.hsts_days:
        yield _warning(
            "no_hsts",
            "Cookies are for TLS alone, and browsers are not told to use TLS always.",
            "Set THUMBNAIL_HSTS_DAYS once TLS is there to stay.",
        )
    if not _is_loopback(config.host) and not config.access_token and not config.user_header:
        yield _warning(
            "open_to_all",
            f"HOST is {config.host}: all who reach this machine can upload.",
            "Set THUMBNAIL_ACCESS_TOKEN, unless the service is meant for everyone.",
        )
    needed = needed_mb(config)
    if memory and needed * MB > memory:
        yield _warning(
            "little_memory",
            f"With the largest images, {config.workers} workers and all else take {needed:,.0f} MB,"
            f" and there are {memory / MB:,.0f} MB: the kernel may end some.",
            "Lower THUMBNAIL_WORKERS, or the megapixels of an image: docs/operations.md.",
        )
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < LEAST_FILES:
        yield _warning(
            "few_open_files",
            f"A process may open {files:,} files: a web process takes {files // 2:,} connections.",
            f"Raise the limit of open files to {LEAST_FILES} or more (ulimit -n, LimitNOFILE=).",
        )
    if _is_env_file_open():
        yield Finding(
            "settings",
            "failed",
            "secrets_readable",
            "All users can read the secrets in the file .env.",
            "chmod 600 .env",
        )


def check_confinement(config: Config) -> Iterator[Finding]:
    """Make a thumbnail of a tiny image, and see how its decode child is confined."""
    for name in confinement.missing():
        yield Finding(
            "confinement",
            "warning",
            f"no_{name.lower()}",
            f"This kernel has no {name}, or it is not allowed here.",
            "Use a kernel from 5.13 on, and a container profile that allows it: SECURITY.md.",
        )
    try:
        status = _status_of_decode_child(config)
    finally:
        decoder.server.stop()
    expected = {"NoNewPrivs": "1", "CapEff": "0" * 16}
    if "seccomp" not in confinement.missing():
        expected["Seccomp"] = "2"  # A filter.
    wrong = [name for name, value in expected.items() if status.get(name) != value]
    if wrong:
        yield Finding(
            "decoder",
            "failed",
            "not_confined",
            f"A decode child is not confined: {', '.join(wrong)}.",
            "Do not accept images of strangers, and report this.",
        )
    else:
        yield ok("decoder", "an image was decoded in a confined child")


def _status_of_decode_child(config: Config) -> dict[str, str]:
    """Decode an image; a child that cannot confine itself decodes nothing.

    So Landlock, of which the kernel tells nothing, is there if the image was decoded.
    """
    with TemporaryDirectory() as folder:
        source = Path(folder) / "original"
        source.write_bytes(_PNG)
        decoder.Decoder.from_config(config).make_thumbnails(
            source, PRESETS["square"].recipe, Path(folder), job_id="doctor"
        )
        return decoder.server.kept_status()


def needed_mb(config: Config) -> float:
    """Return the megabytes of all processes while the workers have the largest images."""
    largest = min(
        max(config.max_megapixels * PNG_MB, config.max_megapixels_other * OTHER_MB),
        config.decode_memory_mb,
    )
    slow = most_slow(config.workers)
    images = slow * largest + (config.workers - slow) * min(QUICK_MB, largest)
    return REST_MB + config.workers * WORKER_MB + images


def runs_consumer() -> bool:
    """Return whether a consumer runs on this machine, or in this container."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # It has just ended.
            if b"webapp.consumer" in command.read_bytes():
                return True
    return False


def read_memory() -> int | None:
    """Return the bytes of memory of this machine or container; None if nothing tells."""
    limits = []
    for path in _CGROUP_LIMITS:
        if path.exists() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        limits.append(int(meminfo.read_text().split()[1]) * 1024)
    return min(limits, default=None)


def _is_loopback(host: str) -> bool:
    return all(ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(host, None))


def _is_env_file_open() -> bool:
    file = Path(".env")
    if not file.exists() or not stat.S_IMODE(os.stat(file).st_mode) & 0o007:
        return False
    text = file.read_text(errors="replace")
    return any(environment_name(name) in text for name in SECRETS)


def _warning(code: str, message: str, to_do: str) -> Finding:
    return Finding("settings", "warning", code, message, to_do)
