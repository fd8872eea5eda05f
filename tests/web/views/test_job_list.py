"""List the jobs of a browser."""

from datetime import datetime

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import id_of, job_at, work, work_once
from tests.support.people import Person, Script
from webapp.jobs.lifecycle import Jobs
from webapp.web.formatters import filesize


def test_only_own_jobs_are_listed(person: Person, stranger: Person) -> None:
    path = person.submit(make_jpeg())
    assert path in person.get("/jobs").text
    assert path not in stranger.get("/jobs").text


def test_empty_list_loads_no_scripts(person: Person) -> None:
    assert person.page("/jobs").all("script") == []


def test_job_is_listed_by_its_first_image(person: Person) -> None:
    person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    assert "<bdi>1.jpg</bdi> and 2 more" in person.get("/jobs").text


def test_job_whose_photos_are_on_their_way_says_so(script: Script) -> None:
    job = script.create()
    page = script.page("/jobs")
    assert page.text("h2") == "New job"
    assert page.texts(".job-row .facts li") == ["photos are being uploaded"]
    page = script.page(job["url"])
    assert page.text("h1") == "Uploading photos"
    assert "0 photos" not in page.text("#job-panel")


def test_list_shows_the_progress_of_each_job(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_jpeg(), make_jpeg())
    waiting = job_at(jobs, path).images[2].id
    person.post(f"{path}/images/{waiting}/cancel")
    progress = person.page("/jobs").one("progress").attributes
    assert progress == {"aria-label": "Photos finished", "value": "1", "max": "3"}
    assert facts_of_the_list(person) == ["0 of 3 photos done", "1 cancelled"]
    work(jobs)
    assert facts_of_the_list(person) == [
        "1 of 3 photos",
        "1 file",
        "2 kB",
        "1 failed",
        "1 cancelled",
    ]
    assert not person.page("/jobs").all("progress")


def test_list_says_what_each_job_has(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(), (b"words", "notes.jpg"), presets="web-set")
    work(jobs)
    files = job_at(jobs, path).thumbnails
    size = filesize(sum(file.bytes for file in files))
    assert facts_of_the_list(person) == ["2 photos", f"{len(files)} files", size, "1 skipped"]


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0, "24 hours left"), (21.8, "2 hours left"), (23.5, "30 minutes left")],
)
def test_list_says_how_long_each_job_lasts(
    person: Person, clock: Clock, hours: float, words: str
) -> None:
    person.submit(make_jpeg())
    clock.advance(hours=hours)
    page = person.page("/jobs")
    assert page.text(".job-time") == words
    assert page.value(".job-time time", "title").endswith(" UTC")
    assert bool(page.all("time b")) == (hours > 23)  # Less than an hour is marked.


def test_list_says_when_each_job_was_made(person: Person, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    clock.advance(hours=2)
    person.post(f"{path}/remake", presets="card")
    page = person.page("/jobs")
    made = datetime.fromisoformat(page.value(".job-times .fact time", "datetime"))
    assert clock() - made.timestamp() == pytest.approx(2 * 3600, abs=1)
    assert page.text(".job-times .fact").startswith("made ")


def test_jobs_are_shared_from_the_list(person: Person) -> None:
    path = person.submit(make_jpeg())
    page = person.page("/jobs")
    assert page.value(".share", "data-url") == path
    assert page.text(".share .done").startswith("Link copied.")


def facts_of_the_list(person: Person) -> list[str]:
    return person.page("/jobs").texts(".job-row .facts li")


def poll(person: Person) -> str | None:
    """Return what the list asks for: rows that may change, with their versions."""
    page = person.page("/jobs")
    address = page.one("#jobs-poll").attributes.get("hx-get")
    known = page.values(".job-row [name=known]")
    return address and "&".join([address, *(f"known={version}" for version in known)])


def test_list_asks_for_all_running_jobs_at_once(person: Person, jobs: Jobs) -> None:
    first, second = person.submit(make_jpeg(), make_jpeg()), person.submit(make_jpeg())
    address = poll(person)
    assert address
    assert (id_of(first) in address, id_of(second) in address) == (True, True)
    assert person.get(address).status_code == 204
    work_once(jobs)
    changes = person.page(address)
    assert changes.values("hx-partial", "hx-target") == [f"#job-{id_of(first)}"]
    assert "1 of 2 photos done" in changes.text()
    work(jobs)
    changes = person.page(address)
    assert set(changes.values("hx-partial", "hx-target")) == {
        f"#job-{id_of(first)}",
        f"#job-{id_of(second)}",
        "#jobs-poll",
        "#jobs-pause",
    }
    assert changes.all("[name=known]") == []
    assert changes.polled() is None  # Nothing is running: it stops.
    assert poll(person) is None


def test_list_asks_less_often_for_old_jobs(person: Person, clock: Clock) -> None:
    person.submit(make_jpeg())
    assert person.page("/jobs").value("#jobs-poll", "hx-trigger") == "every 1000ms"
    address = poll(person)
    assert address
    clock.advance(seconds=200)
    assert person.page(address).value("#jobs-poll", "hx-trigger") == "every 2000ms"
    person.submit(make_jpeg())
    assert person.page("/jobs").value("#jobs-poll", "hx-trigger") == "every 1000ms"


def test_list_that_is_open_shows_that_a_job_is_deleted_and_gone(
    person: Person, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    address = poll(person)
    assert address
    person.post(f"{path}/delete")
    changes = person.page(address)
    assert changes.value("hx-partial:first-child", "hx-target") == f"#job-{id_of(path)}"
    assert changes.text(".undo p") == "1.jpg is deleted."
    assert changes.text(".undo .fact") == "60 seconds left"
    line = changes.value(".undo", "hx-get")
    assert changes.value(".undo", "hx-trigger") == "load delay:61s"
    assert person.get(line).status_code == 204
    clock.advance(seconds=61)
    partial = person.page(line).one("hx-partial")
    assert partial.attributes == {"hx-target": f"#deleted-{id_of(path)}", "hx-swap": "delete"}


def test_row_of_a_job_removed_for_good_disappears(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    address = poll(person)
    assert address
    jobs.delete(id_of(path))
    partial = person.page(address).all("hx-partial")[0]
    assert partial.attributes == {"hx-target": f"#job-{id_of(path)}", "hx-swap": "delete"}


def test_stranger_gets_no_row_of_a_job(person: Person, stranger: Person) -> None:
    path = person.submit(make_jpeg(), presets="card")
    address = poll(person)
    assert address
    answer = stranger.get(address)
    assert "1.jpg" not in answer.text
    assert path not in answer.text


@pytest.mark.parametrize(
    "query", ["", "?known=", "?known=1&known=:&known=a:b", "?poll=", "?poll=x"]
)
def test_any_question_for_rows_is_answered(person: Person, query: str) -> None:
    person.submit(make_jpeg())
    assert person.get(f"/jobs/rows{query}").status_code in (200, 204)


def pictures_of_the_list(person: Person) -> list[str]:
    return [address.rpartition("/")[2] for address in person.page("/jobs").values("img", "src")]


def test_list_shows_a_small_picture_of_each_image(person: Person, jobs: Jobs) -> None:
    large, small = make_jpeg(size=(800, 600)), make_jpeg(size=(40, 30))
    person.submit(large, small, make_truncated(), presets=["web-set", "avatar"])
    work(jobs)
    assert pictures_of_the_list(person) == ["320w.webp", "320w.webp"]


def test_list_shows_no_overview(person: Person, jobs: Jobs) -> None:
    person.submit(make_jpeg(size=(800, 100)), presets="avatar")
    work(jobs)
    assert pictures_of_the_list(person) == ["avatar.webp"]


def test_list_continues_with_older_jobs(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.web.views.jobs.LISTED_JOBS", 2)
    paths = [person.submit(make_jpeg()) for _ in range(5)]
    addresses, seen = ["/jobs"], []
    while addresses:
        page = person.page(addresses[0])
        seen.append(page.values("h2 a", "href"))
        addresses = page.values('a[href^="/jobs?before="]', "href")
    assert seen == [[paths[4], paths[3]], [paths[2], paths[1]], [paths[0]]]


@pytest.mark.parametrize("before", ["0", "-1", "nan", "inf", "1e999", "long ago", ""])
def test_list_before_any_value_is_a_page(person: Person, before: str) -> None:
    person.submit(make_jpeg())
    assert person.get(f"/jobs?before={before}").status_code == 200


def test_list_without_older_jobs_links_to_the_newest(person: Person) -> None:
    person.submit(make_jpeg())
    page = person.get("/jobs?before=0").text
    assert "No older jobs" in page
    assert 'href="/jobs">Newest jobs' in page


def test_program_lists_all_of_its_jobs(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.web.views.jobs.LISTED_JOBS", 2)
    for _ in range(3):
        person.submit(make_jpeg())
    answer = person.client.get("/jobs", headers={"Accept": "application/json"})
    assert answer.json is not None
    assert len(answer.json["job_ids"]) == 3
