"""Metrics: what Prometheus reads, and who may."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import add_image, add_token, work
from tests.support.people import Person, upload_image
from tests.support.programs import create
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import MAX_WRONG_TOKENS
from webapp.jobs.webhooks import Webhooks
from webapp.recipes.presets import PRESETS

TOKEN = "long-and-very-secret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", metrics_token=TOKEN)


@pytest.fixture
def metric(client: FlaskClient) -> Callable[..., float | None]:
    """Read one value as Prometheus would; None where there is none."""

    def read(name: str, **labels: str) -> float | None:
        response = client.get("/metrics", headers=BEARER)
        assert response.status_code == 200
        return next(
            (
                sample.value
                for family in text_string_to_metric_families(response.text)
                for sample in family.samples
                if (sample.name, sample.labels) == (f"thumbnails_{name}", labels)
            ),
            None,
        )

    return read


def test_uploads_are_counted_by_outcome(
    person: Person, metric: Callable[..., float | None]
) -> None:
    person.upload((make_jpeg(), "a.jpg"), (make_jpeg(), "b.jpg"), (b"GIF, or not?", "c.gif"))
    assert metric("uploads_total", outcome="accepted", code="") == 2
    assert metric("uploads_total", outcome="refused", code="unsupported_format") == 1


class TestLimits:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, max_file_mb=1, max_request_mb=1, max_waiting=1, max_jobs_per_hour=2)

    def test_uploads_refused_unread_are_counted(
        self, client: FlaskClient, metric: Callable[..., float | None]
    ) -> None:
        def send(size: int) -> int:
            return upload_image(client, make_jpeg() + bytes(size)).status_code

        assert send(2_000_000) == 413
        assert metric("uploads_total", outcome="refused", code="request_too_large") == 1
        assert [send(0), send(0)] == [202, 503]
        assert metric("uploads_total", outcome="refused", code="queue_full") == 1

    def test_job_of_a_program_over_its_limit_is_counted(
        self, client: FlaskClient, metric: Callable[..., float | None]
    ) -> None:
        statuses = [create(client, b"text").status_code for _ in range(3)]
        assert statuses == [415, 415, 429]
        assert metric("uploads_total", outcome="refused", code="too_many_jobs") == 1

    def test_forms_without_images_are_not_counted(
        self, client: FlaskClient, metric: Callable[..., float | None]
    ) -> None:
        assert client.post("/sign-in", data=bytes(2_000_000)).status_code == 413
        assert metric("uploads_total", outcome="refused", code="request_too_large") is None


def test_images_are_counted_by_outcome(
    person: Person, jobs: Jobs, metric: Callable[..., float | None]
) -> None:
    person.upload((make_jpeg(), "a.jpg"), (make_truncated(), "b.jpg"))
    work(jobs)
    assert metric("images_total", outcome="done", code="") == 1
    assert metric("images_total", outcome="failed", code="truncated") == 1


def test_fetches_are_counted_by_outcome(jobs: Jobs, metric: Callable[..., float | None]) -> None:
    jobs = Jobs(jobs.store, jobs.storage, jobs.limits, replace(jobs.config, fetch_urls=True))
    job_id = jobs.submit(PRESETS["square"].recipe, "owner")
    jobs.add_url(job_id, "https://pictures.example/cat.jpg", None, None, "client")
    jobs.cancel(job_id)
    assert metric("fetches_total", outcome="cancelled", code="fetch_cancelled") == 1


def test_webhooks_are_counted_by_outcome(
    jobs: Jobs, clock: Clock, metric: Callable[..., float | None]
) -> None:
    recipe, url = PRESETS["square"].recipe, "http://2130706433/"  # 127.0.0.1
    add_token(jobs, "token:1")
    job_id = jobs.submit(recipe, "token:1", callback_url=url, origin="http://localhost")
    add_image(jobs, job_id, make_jpeg())
    jobs.close(job_id)
    jobs.cancel(job_id)
    webhooks = Webhooks(jobs.store, jobs.config)
    while send := webhooks.take():
        send()
        clock.advance(hours=2)
    assert metric("webhooks_total", outcome="failed", code="") == 1


@pytest.mark.parametrize("what", ["wait", "work"])
def test_wait_and_work_are_measured(
    person: Person, jobs: Jobs, metric: Callable[..., float | None], what: str
) -> None:
    person.upload((make_jpeg(), "a.jpg"))
    work(jobs)
    assert metric(f"{what}_seconds_count") == 1
    assert metric(f"{what}_seconds_bucket", le="+Inf") == 1
    assert 0 < (metric(f"{what}_seconds_sum") or 0) < 60


def test_gauges_show_the_current_state(
    person: Person, jobs: Jobs, metric: Callable[..., float | None]
) -> None:
    person.upload((make_jpeg(), "a.jpg"))
    jobs.store.operations.beat("w1")
    assert (metric("queue_depth"), metric("workers")) == (1, 1)
    assert (metric("oldest_wait_seconds") or 0) > 0
    assert (metric("free_disk_bytes") or 0) > 0


def test_pause_is_measured(metric: Callable[..., float | None], jobs: Jobs) -> None:
    assert metric("paused") == 0
    jobs.store.operations.pause("")
    assert metric("paused") == 1


def test_new_service_has_counters_at_zero(metric: Callable[..., float | None]) -> None:
    assert metric("uploads_total", outcome="accepted", code="") == 0
    assert metric("images_total", outcome="done", code="") == 0


def test_metrics_have_the_requested_format(client: FlaskClient) -> None:
    wanted = "application/openmetrics-text; version=1.0.0"
    response = client.get("/metrics", headers={**BEARER, "Accept": wanted})
    assert response.content_type.startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer guess"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer ÿ"},
    ],
    ids=lambda headers: headers.get("Authorization", "nothing"),
)
def test_metrics_need_the_token(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].lower().startswith("bearer")
    assert "thumbnails_" not in response.text


def test_guessing_the_token_for_metrics_is_stopped(client: FlaskClient) -> None:
    wrong = {"Authorization": "Bearer guess"}
    for _ in range(MAX_WRONG_TOKENS):
        assert client.get("/metrics", headers=wrong).status_code == 401
    assert client.get("/metrics", headers=wrong).status_code == 429
    assert client.get("/metrics", headers=BEARER).status_code == 429


def test_request_without_a_token_is_not_a_guess(client: FlaskClient) -> None:
    for _ in range(MAX_WRONG_TOKENS + 1):
        assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers=BEARER).status_code == 200


class TestWithoutToken:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, metrics_token="")

    @pytest.mark.parametrize("sent", ["", "Bearer "])
    def test_metrics_are_not_found(self, client: FlaskClient, sent: str) -> None:
        assert client.get("/metrics", headers={"Authorization": sent}).status_code == 404


class TestKeptJobs:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, max_kept_mb=1)

    def test_jobs_that_are_kept_until_deleted_are_measured(
        self, person: Person, metric: Callable[..., float | None]
    ) -> None:
        person.submit(make_jpeg())
        photo = make_jpeg()
        person.submit(photo, keep_hours="inf")
        assert (metric("kept_jobs"), metric("kept_bytes")) == (1, len(photo))
