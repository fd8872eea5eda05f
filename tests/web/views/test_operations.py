"""Health: the database and the consumer, or the reason why not."""

from flask.testing import FlaskClient

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.store.operations import ALIVE_SECONDS


def test_service_is_healthy_while_a_worker_beats(client: FlaskClient, jobs: Jobs) -> None:
    jobs.store.operations.beat("w1")
    response = client.get("/healthcheck")
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["status"] == "healthy"


def test_health_reports_waiting_and_working_images(
    client: FlaskClient, person: Person, jobs: Jobs
) -> None:
    person.upload((make_jpeg(), "a.jpg"), (make_jpeg(), "b.jpg"))
    jobs.store.operations.beat("w1")
    health = client.get("/healthcheck").json
    assert health is not None
    assert (health["queue_depth"], health["workers"]) == (2, 1)
    assert 0 < health["oldest_wait_seconds"] < 60
    assert 0 <= health["last_beat_seconds"] < 60
    assert health["free_disk_bytes"] > 0
    assert (health["web"], health["database"]) == ("ok", "ok")


def test_service_without_a_consumer_is_unhealthy(client: FlaskClient) -> None:
    response = client.get("/healthcheck")
    assert response.status_code == 503
    assert response.json is not None
    assert response.json["status"] == "unhealthy"
    assert response.json["reason"] == "No consumer is alive."
    assert response.json["last_beat_seconds"] is None


def test_service_with_an_old_beat_is_unhealthy(
    client: FlaskClient, jobs: Jobs, clock: Clock
) -> None:
    jobs.store.operations.beat("w1")
    clock.advance(ALIVE_SECONDS + 1)
    response = client.get("/healthcheck")
    assert response.status_code == 503
    assert response.json is not None
    assert response.json["last_beat_seconds"] > ALIVE_SECONDS


def test_service_with_a_broken_database_is_unhealthy(client: FlaskClient, jobs: Jobs) -> None:
    jobs.store.db.execute("DROP TABLE workers")
    response = client.get("/healthcheck")
    assert response.status_code == 503
    assert response.json == {
        "status": "unhealthy",
        "reason": "The database does not answer.",
        "web": "ok",
        "database": "failed",
    }


def test_paused_service_is_healthy_and_says_so(client: FlaskClient, jobs: Jobs) -> None:
    jobs.store.operations.beat("w1")
    assert (client.get("/healthcheck").json or {})["paused"] is False
    jobs.store.operations.pause("")
    response = client.get("/healthcheck")
    assert (response.status_code, (response.json or {})["paused"]) == (200, True)
