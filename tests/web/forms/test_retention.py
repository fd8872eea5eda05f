"""Choose for how long a job is kept."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import id_of, job_at, newest_job, nothing_left, open_jobs, work
from tests.support.pages import Page
from tests.support.people import Person, Script
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs


def kept_hours(jobs: Jobs) -> float:
    """Return the retention of the newest job."""
    job = newest_job(jobs)
    assert job.expires
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
    assert not person.page(path).all("#keep button")


def test_job_at_the_maximum_says_why_it_cannot_be_kept_longer(person: Person) -> None:
    path = person.submit(make_jpeg(), keep_hours="168")
    words = person.page(path).text("#keep")
    assert words.startswith("This job is kept as long as this server allows, until ")


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


class TestUntilDeleted:
    """Where the operator allows it, owners keep jobs until they delete them."""

    @pytest.fixture
    def config(self, tmp_path: Path) -> Config:
        return Config(instance=tmp_path / "instance", max_kept_mb=1)

    @pytest.fixture
    def kept(self, person: Person) -> str:
        return person.submit(make_jpeg(), keep_hours="inf")

    @pytest.fixture
    def full(self) -> bytes:
        """Make a photo of 1 MB."""
        return make_jpeg() + bytes(1_000_000 - len(make_jpeg()))

    def test_form_offers_it_last(self, person: Person) -> None:
        page = person.page("/")
        assert page.texts("#keep_hours option")[-2:] == ["for 7 days", "until I delete it"]
        assert page.value("#keep_hours option[selected]") == "24"
        assert page.text(".brief") == "Kept for 24 hours. Anyone with the link can see it."

    def test_chosen_job_has_no_expiry(
        self, person: Person, jobs: Jobs, clock: Clock, kept: str
    ) -> None:
        clock.advance(hours=100_000)
        assert person.get(kept).status_code == 200
        assert job_at(jobs, kept).expires is None

    def test_address_of_a_recipe_has_it(self, person: Person) -> None:
        page = person.page("/?preset=card&keep_hours=inf")
        assert page.value("#keep_hours option[selected]") == "inf"

    def test_every_page_says_it(self, person: Person, jobs: Jobs, kept: str) -> None:
        work(jobs)
        image = job_at(jobs, kept).images[0].id
        assert "kept until deleted" in person.page(kept).text("#job-panel")
        assert person.page(kept).text("#links") == "Links work until you delete this job."
        assert person.page(kept).text(".share .done").endswith("until you delete this job.")
        assert person.page("/jobs").text(".job-time") == "kept until deleted"
        page = person.page(f"{kept}/images/{image}")
        assert page.text("#links") == "Links work until you delete this job."

    def test_guests_see_no_time(
        self, stranger: Person, jobs: Jobs, person: Person, kept: str
    ) -> None:
        work(jobs)
        image = job_at(jobs, kept).images[0].id
        assert "here until" not in stranger.get(kept).text
        page = stranger.page(f"{kept}/images/{image}")
        assert page.text("#links") == "Links work until its owner deletes this job."

    def test_zip_has_no_expiry(self, person: Person, jobs: Jobs, kept: str) -> None:
        work(jobs)
        with ZipFile(BytesIO(person.get(f"{kept}/zip").data)) as archive:
            assert json.loads(archive.read("manifest.json"))["job"]["expires"] is None

    def test_job_is_kept_later(self, person: Person, jobs: Jobs) -> None:
        path = person.submit(make_jpeg())
        page = person.page(path)
        assert page.values("select[name=hours] option") == ["72", "168", "inf"]
        assert page.value("#hours option[selected]") == "168"
        answer = person.post(f"{path}/extend", hours="inf")
        page = person.page(answer.headers["Location"])
        assert page.texts("li.message") == ["This job is kept until you delete it."]
        assert job_at(jobs, path).expires is None
        assert page.text("#keep") == "This job is kept until you delete it."

    def test_job_at_the_maximum_can_still_be_kept(self, person: Person) -> None:
        path = person.submit(make_jpeg(), keep_hours="168")
        assert offered_hours(person, path) == ["inf"]

    def test_full_owner_reads_what_to_do_beside_the_field(
        self, person: Person, full: bytes
    ) -> None:
        person.submit(full, keep_hours="inf")
        answer = person.upload((make_jpeg(), "a.jpg"), keep_hours="inf")
        assert answer.status_code == 507
        assert Page(answer.text).errors() == [
            (
                "keep_hours",
                "You may keep 1 MB of jobs until you delete them, and this would be more."
                " Delete one, wait two minutes, and try again.",
            )
        ]

    def test_script_of_a_full_owner_gets_the_field_and_a_code(
        self, script: Script, full: bytes
    ) -> None:
        assert script.add(script.create(keep_hours="inf"), full).status_code == 201
        answer = script.send("/jobs/open", presets="square", keep_hours="inf")
        assert (answer.status_code, answer.json["field"], answer.json["code"]) == (  # type: ignore[index]
            507,
            "keep_hours",
            "too_much_kept",
        )

    def test_job_that_is_too_large_says_so(self, person: Person, full: bytes) -> None:
        path = person.submit((full, "full.jpg"), (make_jpeg(), "more.jpg"), keep_hours="inf")
        facts = person.page(path).text("#job-panel")
        assert "7 days left" in facts
        assert "too large to be kept until deleted" in facts

    def test_photo_too_many_for_an_older_job_is_refused_with_what_to_do(
        self, script: Script, full: bytes, clock: Clock
    ) -> None:
        job = script.create(keep_hours="inf")
        script.add(job, full)
        clock.advance(hours=2)
        script.send(job["reopen_url"])
        answer = script.add(job, make_jpeg())
        assert answer.status_code == 507
        assert "Delete one, wait two minutes" in answer.text

    def test_cookie_of_an_owner_lasts_as_long_as_browsers_allow(
        self, person: Person, kept: str, clock: Clock
    ) -> None:
        cookie = person.get("/jobs").headers["Set-Cookie"]
        expires = parsedate_to_datetime(re.search("Expires=([^;]+)", cookie)[1])  # type: ignore[index]
        assert (expires - datetime.now(UTC)).days in (399, 400)


def test_no_job_is_kept_until_deleted_by_default(person: Person, jobs: Jobs) -> None:
    assert person.upload((make_jpeg(), "a.jpg"), keep_hours="inf").status_code == 422
    path = person.submit(make_jpeg())
    assert person.post(f"{path}/extend", hours="inf").status_code == 422
