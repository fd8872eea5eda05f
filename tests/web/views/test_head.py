"""HEAD answers as GET does, also where it does not make the body."""

from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from tests.support.images import make_jpeg
from tests.support.jobs import job_at, work
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs

UNKNOWN = UUID(int=0)
PARTS = [
    *("", "/panel", "/panel?v={version}", "/panel?v=x", "/zip", "/zip?names=", "/zip?names=%7B"),
    *("/markup", "/markup?as=url", "/markup?as=bad", f"/markup?of={UNKNOWN}", "/markup?of={image}"),
    *("/markup?as=bad&of={image}", "/markup?of={image}/none.jpg", "/row", "/images/{image}"),
    *("/images/{image}/panel", "/images/{image}/panel?v={image_version}"),
    *(f"/images/{UNKNOWN}", f"/images/{UNKNOWN}/panel"),
]

PARTS_OF_API = [
    *("", "/thumbnails.zip", "/thumbnails.zip?names=%7B", "/thumbnails.zip?size=9"),
    *("/manifest.json", "/manifest.json?names=%7B", "/markup", "/markup?as=bad"),
    *("/images/{image}", f"/images/{UNKNOWN}", "/deliveries"),
]


@pytest.mark.parametrize("state", ["waiting", "done", "deleted", "unknown"])
def test_head_answers_as_get_for_every_part_of_a_job(
    person: Person, jobs: Jobs, state: str
) -> None:
    path = person.submit(make_jpeg())
    if state == "done":
        work(jobs)
    job = job_at(jobs, path)
    ids = {"version": job.version, "image": job.images[0].id}
    ids["image_version"] = job.images[0].version
    if state == "deleted":
        jobs.delete(job.id)
    elif state == "unknown":
        path = f"/jobs/{UNKNOWN}"
    addresses = [
        *(path + part.format(**ids) for part in PARTS),
        *(f"/api/v1{path}{part.format(**ids)}" for part in PARTS_OF_API),
    ]
    head, get = ({at: send(person, method, at) for at in addresses} for method in ("HEAD", "GET"))
    assert {at: facts_without_body(answer) for at, answer in head.items()} == {
        at: facts_without_body(answer) for at, answer in get.items()
    }
    assert not any(answer.data for answer in head.values())


def send(person: Person, method: str, address: str) -> TestResponse:
    return person.client.open(address, method=method, headers={"Accept": "text/html"})


def facts_without_body(answer: TestResponse) -> tuple[int, str | None, str | None]:
    """Return what is known of an answer without its body."""
    headers = answer.headers
    return answer.status_code, headers.get("Content-Type"), headers.get("Cache-Control")
