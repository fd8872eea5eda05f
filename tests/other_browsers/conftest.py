"""Firefox and WebKit before the real servers."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.other_browsers.driver import Died, Driver
from tests.other_browsers.firefox import Firefox
from tests.other_browsers.webkit import WebKit
from tests.support.jobs import open_jobs
from tests.support.servers import Servers, running
from webapp.config import Config

DIED: Any = "died"  # The outcome of a test, beside those of pytest.


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("other") / "instance", workers=1) as servers:
        yield servers


@pytest.fixture(scope="session")
def web_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("idle") / "instance", "web", workers=1) as servers:
        yield servers


@pytest.fixture
def idle(web_alone: Servers) -> Iterator[Servers]:
    """A web server without a consumer or a job: what is uploaded waits."""
    yield web_alone
    jobs = open_jobs(Config(instance=web_alone.instance))
    for job_id in list(jobs.store.jobs.ids()):
        jobs.delete(job_id)
    jobs.store.db.close()


@contextmanager
def living(start: Callable[[], Driver]) -> Iterator[Callable[[], Driver]]:
    """Make what returns the browser of the test before, or another if it died."""
    with ExitStack() as stack:
        driver: Driver | None = None

        def find() -> Driver:
            nonlocal driver
            try:
                if driver:
                    driver.check()
            except (Died, TimeoutError):
                stack.close()  # What is left of it.
                driver = None
            driver = driver or stack.enter_context(closing(start()))
            return driver

        yield find


@pytest.fixture(scope="session", params=["firefox", "webkit"])
def driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Driver]]:
    def start() -> Driver:
        if request.param == "firefox":
            return Firefox(tmp_path_factory.mktemp("firefox") / "profile")
        return WebKit()

    with living(start) as find:
        yield find


# Without script, and on a system with dark colours: two browsers do for both.
@pytest.fixture(scope="session", params=["firefox", "webkit"])
def plain_driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Driver]]:
    def start() -> Driver:
        if request.param == "firefox":
            dark = {"layout.css.prefers-color-scheme.content-override": 0}
            profile = tmp_path_factory.mktemp("plain") / "profile"
            return Firefox(profile, {"javascript.enabled": False, **dark})
        return WebKit(["--enable-javascript=false"], {"GTK_THEME": "Adwaita:dark"})

    with living(start) as find:
        yield find


@pytest.fixture
def window(driver: Callable[[], Driver], servers: Servers) -> Driver:
    """A window of a person who was never here."""
    return open_for_another(driver(), servers)


@pytest.fixture
def plain_window(plain_driver: Callable[[], Driver], servers: Servers) -> Driver:
    """A window of a person who was never here, whose browser runs no script."""
    return open_for_another(plain_driver(), servers)


def open_for_another(window: Driver, servers: Servers) -> Driver:
    window.open(f"{servers.url}/docs")  # A page without script.
    window.forget()
    return window


# A browser that dies


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None]:
    yield
    for value in item.funcargs.values():
        if isinstance(value, Driver):
            value.check()  # It may have died with the last thing that it was told.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo and call.excinfo.errisinstance(Died):
        report.outcome = DIED
    return report


def pytest_runtest_protocol(item: pytest.Function, nextitem: pytest.Item | None) -> bool | None:
    """Run a test whose browser died once more; no other failure is tried again."""
    if not {"driver", "plain_driver"} & set(item.fixturenames):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    outcomes = {report.outcome for report in reports}
    if DIED in outcomes and "failed" not in outcomes:
        for report in reports:
            if report.outcome == DIED:
                item.ihook.pytest_runtest_logreport(report=report)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        if report.outcome == DIED:
            report.outcome = "failed"
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    return ("died", "D", "DIED") if report.outcome == DIED else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if died := terminalreporter.getreports("died"):
        terminalreporter.section("BROWSERS THAT DIED; their tests ran once more", yellow=True)
        for report in died:
            terminalreporter.write_line(f"{report.nodeid}\n{report.longrepr.reprcrash.message}\n")
