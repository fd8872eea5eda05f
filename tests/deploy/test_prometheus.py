"""Alerts and the dashboard ask for metrics that the server gives, and alert when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import webapp.engine.errors
import webapp.jobs.errors
import webapp.web.access
from tests.support.clock import Clock
from tests.support.documents import anchors
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import add_image, add_token, work
from tests.support.people import Person
from webapp.config import MB, ROOT, Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.webhooks import Webhooks
from webapp.recipes.presets import PRESETS

RULES = ROOT / "deploy/prometheus/thumbnails.rules.yaml"
RULES_TEST = Path(__file__).with_name("thumbnails.rules.test.yaml")
DASHBOARD = ROOT / "deploy/grafana/thumbnails.json"
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
TOKEN = "long-and-very-secret"

ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
DASHBOARD_JSON: dict[str, Any] = json.loads(DASHBOARD.read_text())


def panels(of: dict[str, Any] = DASHBOARD_JSON) -> Iterator[dict[str, Any]]:
    """List all panels, also those in a row that is closed."""
    for panel in of["panels"]:
        yield panel
        yield from panels({"panels": panel.get("panels", [])})


def queries() -> list[str]:
    """List the queries of the dashboard, with a range where Grafana puts one."""
    targets = [target for panel in panels() for target in panel.get("targets", [])]
    written = [target["expr"] for target in targets]
    values = {"$__rate_interval": "5m", "$__range": "1d", "$instance": "localhost:8000"}
    return [re.sub(r"\$\w+", lambda name: values[name[0]], query) for query in written]


EXPRESSIONS = [alert["expr"] for alert in ALERTS] + queries()


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the tool that comes with Prometheus."""
    assert shutil.which("promtool"), "Debian: apt-get install promtool"
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True)


def test_rules_are_valid() -> None:
    checked = promtool("check", "rules", "--lint-fatal", str(RULES))
    assert checked.returncode == 0, checked.stderr


def test_alerts_fire_when_they_should_and_only_then() -> None:
    tested = promtool("test", "rules", str(RULES_TEST))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_seen_to_fire() -> None:
    seen = set(re.findall(r'alertname="(\w+)"', RULES_TEST.read_text()))
    assert {alert["alert"] for alert in ALERTS} == seen


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_says_what_to_do_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert page.endswith("/blob/main/docs/troubleshooting.md")
    assert anchor in anchors(TROUBLESHOOTING)


def test_disk_is_full_for_alerts_when_it_is_for_the_server() -> None:
    least = Config(instance=Path()).min_free_mb * MB
    full = next(alert["expr"] for alert in ALERTS if alert["alert"] == "ThumbnailsDiskFull")
    assert float(full.rpartition("<")[2]) == least


def test_queries_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    rules = [{"record": f"query_{n}", "expr": query} for n, query in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stderr
    assert len(rules) > 15


def test_dashboard_can_be_imported_anywhere() -> None:
    text = DASHBOARD.read_text()
    assert not re.search(r"https?://|localhost|\d+\.\d+\.\d+\.\d+:", text)
    assert DASHBOARD_JSON["id"] is None
    variables = {variable["name"] for variable in DASHBOARD_JSON["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) == variables
    asked = [target for panel in panels() for target in panel.get("targets", [])]
    assert {target["datasource"]["uid"] for target in asked} == {"${datasource}"}
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers)


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD_JSON["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


class TestAgainstTheServer:
    @pytest.fixture
    def config(self, tmp_path: Path) -> Config:
        return Config(instance=tmp_path / "instance", metrics_token=TOKEN, fetch_urls=True)

    @pytest.fixture
    def families(
        self, client: FlaskClient, person: Person, jobs: Jobs, clock: Clock
    ) -> list[Metric]:
        """Read the metrics of a server on which something of every kind has happened."""
        person.upload((make_jpeg(), "a.jpg"), (make_truncated(), "b.jpg"), (b"text", "c.gif"))
        work(jobs)
        fetched = jobs.submit(PRESETS["square"].recipe, "owner")
        jobs.add_url(fetched, "https://pictures.example/cat.jpg", None, None, "client")
        jobs.cancel(fetched)
        add_token(jobs, "token:1")
        job_id = jobs.submit(
            PRESETS["square"].recipe,
            "token:1",
            callback_url="http://2130706433/",
            origin="http://localhost",
        )
        add_image(jobs, job_id, make_jpeg())
        jobs.close(job_id)
        jobs.cancel(job_id)
        webhooks = Webhooks(jobs.store, replace(jobs.config, fetch_urls=False))
        while send := webhooks.take():
            send()
            clock.advance(hours=2)
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        return list(text_string_to_metric_families(answer.text))

    def test_every_metric_and_label_that_is_asked_for_exists(self, families: list[Metric]) -> None:
        given: dict[str, set[str]] = {"up": set()}
        for family in families:
            for sample in family.samples:
                given.setdefault(sample.name, set()).update(sample.labels)
        for expression in EXPRESSIONS:
            for name, labels in selectors(expression):
                assert name in given, f"no metric {name}: {expression}"
                assert labels <= given[name] | {"job", "instance"}, expression

    def test_every_metric_is_on_the_dashboard(self, families: list[Metric]) -> None:
        asked = {name for query in queries() for name, _ in selectors(query)}
        for family in families:
            assert asked & {sample.name for sample in family.samples}, family.name


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """List the metrics of an expression, each with the labels that select its series."""
    found = re.findall(r"\b(thumbnails_\w+|up\b)(?:\{([^}]*)\})?", expression)
    for name, matchers in found:
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


def test_codes_and_outcomes_that_are_asked_for_exist() -> None:
    codes = {code for error in known_errors(Exception) if (code := getattr(error, "code", None))}
    codes |= {code for code, _ in (webapp.jobs.errors.FILE_LOST, webapp.jobs.errors.WORKER_LOST)}
    outcomes = {"accepted", "refused", "done", "failed", "cancelled", "deleted", "again"}
    outcomes |= {"delivered", "stopped"}
    known = {"code": codes, "outcome": outcomes}
    for expression in EXPRESSIONS:
        for label, values in re.findall(r'(code|outcome)(?:=|=~|!=|!~)"([^"]+)"', expression):
            assert set(values.split("|")) <= known[label] | {".+"}, expression


def known_errors(error: type[BaseException]) -> Iterator[type[BaseException]]:
    """List an error and all that derive from it, in the modules that are loaded."""
    yield error
    for derived in error.__subclasses__():
        yield from known_errors(derived)
