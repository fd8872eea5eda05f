"""Health: the database and the consumer, or the reason why not."""

import time

from flask.testing import FlaskClient

from webapp.jobs import ALIVE_SECONDS, Jobs


def test_healthy_while_a_worker_beats(client: FlaskClient, jobs: Jobs) -> None:
    jobs.beat("w1")
    response = client.get("/healthcheck")
    assert (response.status_code, response.json) == (200, {"status": "healthy"})


def test_unhealthy_where_no_consumer_ever_ran(client: FlaskClient) -> None:
    response = client.get("/healthcheck")
    assert response.status_code == 503
    assert response.json == {"status": "unhealthy", "reason": "No consumer is alive."}


def test_unhealthy_when_the_last_beat_is_old(client: FlaskClient, jobs: Jobs) -> None:
    jobs.store.beat("w1", time.time() - ALIVE_SECONDS - 1)
    assert client.get("/healthcheck").status_code == 503


def test_unhealthy_when_the_database_does_not_answer(client: FlaskClient, jobs: Jobs) -> None:
    jobs.store._change("DROP TABLE workers")
    response = client.get("/healthcheck")
    assert response.status_code == 503
    assert response.json == {"status": "unhealthy", "reason": "The database does not answer."}
