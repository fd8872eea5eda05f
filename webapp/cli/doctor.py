"""Look for all that is wrong with the service, and say what to do."""

import http.client
import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from webapp.cli.jobs import commands
from webapp.cli.machine import check_confinement, check_settings, read_memory, runs_consumer
from webapp.cli.output import as_json, write_json, write_table
from webapp.config import Config
from webapp.jobs import instance
from webapp.jobs.backups import DATABASE
from webapp.jobs.database import MIGRATIONS, is_damage
from webapp.jobs.doctor import (
    Finding,
    check_backups,
    check_clock,
    check_consumer,
    check_database,
    check_disk,
    check_file_system,
    check_files,
    check_owner,
    damaged,
    ok,
)
from webapp.jobs.health import read_health
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.web.app_context import current_config, current_jobs

CHECK_SECONDS = 20.0  # Of each check but the two that read everything.
_LONG = ("database", "files")  # They read all, with --quick but little.
WEB_SECONDS = 5.0

Check = Callable[[], Iterable[Finding]]


@commands.command()
@click.option("--quick", is_flag=True, help="Leave out what reads all rows and files.")
@click.option("--quiet", is_flag=True, help="Write nothing unless a check failed.")
@as_json
def doctor(quick: bool, quiet: bool, as_json: bool) -> None:
    """Check the service, and say what to do about what is wrong.

    The server may run. Nothing is changed. Ends with code 1 if a check failed; warnings are no
    failures.
    """
    all_found = (finding for name, check in _checks(quick) for finding in _run(name, check))
    found = list(dict.fromkeys(all_found))  # Several checks may meet the same damage.
    has_failed = any(finding.status == "failed" for finding in found)
    if not quiet or has_failed:
        if as_json:
            write_json([asdict(finding) for finding in found])
        else:
            write_table(list(_lines(found)))
    if has_failed:
        raise SystemExit(1)


def _checks(is_quick: bool) -> Iterator[tuple[str, Check]]:
    """List the checks by the names that they have if they cannot be made."""
    config, jobs = current_config(), current_jobs()
    store = Store(config.instance / DATABASE, jobs.store.now)
    store.db.look_only()
    if (config.instance / DATABASE).exists():
        yield "database", partial(check_database, store, is_quick)
        if _has_known_schema(store):
            if not is_quick:
                yield "files", partial(check_files, store, jobs.storage)
            yield "clock", partial(check_clock, store)
            yield "consumer", partial(check_consumer, store, jobs.storage, config)
    else:
        yield "database", _no_database
    workers = partial(_workers, store, jobs.storage)
    yield "web", partial(check_web, config, workers)
    yield "disk", partial(check_disk, config)
    yield "file_system", partial(check_file_system, config.instance, jobs.storage)
    yield "owner", partial(check_owner, config.instance)
    yield "settings", partial(_check_settings, config, workers)
    yield "decoder", partial(check_confinement, config)
    yield "backup", partial(check_backups, config.instance, store.now())
    store.db.close()


def _no_database() -> Iterator[Finding]:
    message = f"There is no {DATABASE} in {current_config().instance}."
    to_do = "Start the server once, which creates it; or set THUMBNAIL_INSTANCE."
    yield Finding("database", "failed", "no_database", message, to_do)


def _has_known_schema(store: Store) -> bool:
    try:
        return store.db.version() == len(MIGRATIONS)
    except Exception:  # `check_database` says what is wrong.
        return False


def _run(name: str, check: Check) -> list[Finding]:
    """Make a check; one that fails or hangs is a finding too."""
    try:
        with _within(None if name in _LONG else CHECK_SECONDS):
            return list(check())
    except TimeoutError:
        message, to_do = f"It took longer than {CHECK_SECONDS:g} s.", "Look for a hung disk."
        return [Finding(name, "failed", "timed_out", message, to_do)]
    except Exception as error:
        if is_damage(error):
            return [damaged(f"SQLite says: {error}")]
        message = f"It cannot be checked: {error or type(error).__name__}"
        to_do = "Run this as the user of the server. If it says the same, read the server's log."
        return [Finding(name, "failed", "error", message, to_do)]


def _workers(store: Store, storage: Storage) -> int:
    """Return how many workers of this instance are alive; 0 if its database cannot say."""
    if not (current_config().instance / DATABASE).exists():
        return 0  # To ask would create it.
    try:
        return read_health(store, storage).workers
    except Exception:  # `check_consumer` says what is wrong.
        return 0


def _check_settings(config: Config, workers: Callable[[], int]) -> Iterator[Finding]:
    """Check the settings; with the memory here unless the workers are in another container."""
    are_elsewhere = workers() and not runs_consumer()
    return check_settings(config, None if are_elsewhere else read_memory())


@contextmanager
def _within(seconds: float | None) -> Iterator[None]:
    """Raise TimeoutError in the block after some seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_web(config: Config, workers: Callable[[], int]) -> Iterator[Finding]:
    """Ask the web server at HOST and PORT whether it is healthy, and sees our workers."""
    address = f"{_reachable(config.host)}:{config.port}"
    try:
        status, body, seconds = _ask(config)
    except TimeoutError:
        yield Finding(
            "web",
            "failed",
            "web_unreachable",
            f"The web server at {address} did not answer within {WEB_SECONDS:g} s.",
            "It hangs, or slow clients hold all its threads: read its log.",
        )
        return
    except (OSError, http.client.HTTPException) as error:
        yield Finding(
            "web",
            "failed",
            "web_unreachable",
            f"No web server answers at {address}: {error or type(error).__name__}.",
            "Start the server, or set HOST and PORT as it has them.",
        )
        return
    if not isinstance(body, dict) or not {"status", "web"} <= body.keys():
        yield Finding(
            "web",
            "failed",
            "web_not_ours",
            f"Another program answers at {address}, with status {status}.",
            "Set another PORT, or stop that program.",
        )
    elif not instance.is_in_use(config.instance) or (body.get("workers") == 0 and workers()):
        yield Finding(
            "web",
            "failed",
            "web_of_other_instance",
            f"The server at {address} uses another instance than {config.instance}.",
            "Give web server, consumer and this command the same THUMBNAIL_INSTANCE.",
        )
    elif status != 200:
        yield Finding(
            "web",
            "failed",
            "web_unhealthy",
            f"The web server at {address} is unhealthy: {body.get('reason', status)}",
            "See what other checks say, and the log.",
        )
    else:
        yield ok("web", f"{address} answers within {seconds * 1000:.0f} ms")


def _ask(config: Config) -> tuple[int, Any, float]:
    """Return the status and the body of the answer, and the seconds it took."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(
        _reachable(config.host), config.port, timeout=WEB_SECONDS
    )
    try:
        connection.request("GET", "/healthcheck", headers={"Host": "127.0.0.1"})
        answer = connection.getresponse()
        try:
            body = json.loads(answer.read(10_000))
        except ValueError:
            body = None
        return answer.status, body, time.perf_counter() - began
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """Return an address to connect to a server that may listen on all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _lines(found: Iterable[Finding]) -> Iterator[tuple[str, str, str]]:
    """List the rows of the table: what to do is below what is wrong."""
    yield "Check", "Status", "Found"
    for finding in found:
        yield finding.check, finding.status, finding.message
        if finding.to_do:
            yield "", "", f"→ {finding.to_do}"
