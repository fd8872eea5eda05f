"""Choose for how long a job is kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import id_of, newest_job, nothing_left, open_jobs
from tests.support.pages import Page
from tests.support.people import Person, Script
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs


def kept_hours(jobs: Jobs) -> float:
    """Return the retention of the newest job."""
    job = newest_job(jobs)
    return (job.expires - job.created).total_seconds() / 3600


@pytest.mark.parametrize(("chosen", "hours"), [("1", 1), ("168", 168), (None, 24)])
def test_job_has_the_chosen_retention(
    person: Person, jobs: Jobs, chosen: str | None, hours: float
) -> None:
    person.upload((make_jpeg(), "a.jpg"), **{"keep_hours": chosen} if chosen else {})
    assert kept_hours(jobs) == pytest.approx(hours, abs=0.01)


@pytest.mark.parametrize("chosen", ["9999", "-1", "nan", "long"])
def test_retention_not_offered_is_refused_beside_its_field(
    person: Person, jobs: Jobs, chosen: str
) -> None:
    response = person.upload((make_jpeg(), "a.jpg"), keep_hours=chosen)
    assert response.status_code == 422
    page = Page(response.text)
    assert page.errors() == [("keep_hours", "Choose one of the times that the form offers.")]
    assert page.value("#keep_hours option[selected]") == "24"
    assert nothing_left(jobs)


def test_script_gets_the_field_of_a_retention_not_offered(script: Script) -> None:
    response = script.send("/jobs/open", presets="square", keep_hours="9999")
    assert response.status_code == 422
    assert response.json == {
        "code": "time_not_offered",
        "detail": "Choose one of the times that the form offers.",
        "field": "keep_hours",
    }


@pytest.mark.parametrize(
    ("limits", "offered", "later"),
    [
        ({}, ["1", "24", "72", "168"], 2),
        ({"max_retention_hours": 1000}, ["1", "24", "72", "168", "720"], 2),
        ({"max_retention_hours": 48, "retention_hours": 36}, ["1", "24", "36"], 3),
        ({"max_retention_hours": 0.5, "retention_hours": 0.25}, ["0.25"], 1),
    ],
)
def test_job_page_offers_only_longer_retentions(
    tmp_path: Path, limits: dict[str, float], offered: list[str], later: int
) -> None:
    with running_app(Config(instance=tmp_path, **limits)) as app:  # type: ignore[arg-type]
        person = Person(app.test_client())
        job = person.submit(make_jpeg())
        for page, field, times in (("/", "keep_hours", offered), (job, "hours", offered[later:])):
            assert person.page(page).values(f"select[name={field}] option") == times


@pytest.mark.parametrize(
    ("kept", "offered"),
    [
        ("1", ["24", "72", "168"]),
        ("24", ["72", "168"]),
        ("72", ["168"]),
        ("168", []),
    ],
)
def test_page_offers_no_retention_that_extends_nothing(
    person: Person, kept: str, offered: list[str]
) -> None:
    path = person.submit(make_jpeg(), keep_hours=kept)
    assert offered_hours(person, path) == offered


def test_page_offers_nothing_shorter_than_the_current_retention(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    generous = replace(jobs.config, max_retention_hours=10_000)  # The settings were others.
    open_jobs(generous, clock).extend(id_of(path), 9000)
    assert offered_hours(person, path) == []
    assert "Keep for" not in person.get(path).text


def keep_extending(clock: Clock, jobs: Jobs, path: str, hours: float) -> None:
    """Advance the clock, extending a job to 24 hours from then."""
    for _ in range(100):
        clock.advance(hours=hours / 100)
        jobs.extend(id_of(path), 24)


@pytest.mark.parametrize(
    ("hours", "offered"), [(90, ["72", "168"]), (100, ["72"]), (143, ["72"]), (144.5, [])]
)
def test_page_offers_the_shortest_retention_that_reaches_the_maximum(
    clock: Clock, person: Person, jobs: Jobs, hours: float, offered: list[str]
) -> None:
    path = person.submit(make_jpeg())  # It is kept for 24 hours from now.
    keep_extending(clock, jobs, path, hours)
    assert offered_hours(person, path) == offered


def offered_hours(person: Person, path: str) -> list[str]:
    """List for how many hours the page offers to keep a job."""
    return person.page(path).values("select[name=hours] option")
