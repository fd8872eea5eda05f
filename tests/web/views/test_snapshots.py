"""Every answer about a job is of one moment, whenever an image is finished."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import claims_of, work_once
from tests.support.pages import Page, read_zip
from tests.support.people import Script
from webapp.engine.decoder import Decoder
from webapp.engine.result import Result
from webapp.jobs.database import Database
from webapp.jobs.health import read_statistics
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Claim
from webapp.jobs.work import Plan
from webapp.recipes.outputs import Recipe
from webapp.web.metrics import StatisticsCollector

# What an address may ask for beside the job itself. `{v}` and `{estimate}` are those of the page.
QUERIES = {
    "jobs.panel": ("", "?v=0", "?v={v}&estimate={estimate}"),
    "images.panel": ("", "?v={image_v}&poll=500"),
    "crops.changes": ("", "?v={v}&poll=500"),
    "downloads.markup": ("", "?of={image}", "?as=url", "?as=relative"),
}
# They tell nothing of the job's progress.
FILES = {"thumbnails.thumbnail", "images.original", "images.trial"}


class Scene:
    """A job of three images: one that a worker has, one done, one cancelled."""

    def __init__(self, app: Flask, jobs: Jobs, script: Script, folder: Path) -> None:
        self.app, self.jobs, self.script = app, jobs, script
        job = script.create()
        self.job_id = job["id"]
        ids = [(script.add(job, make_jpeg(), f"{name}.jpg").json or {})["id"] for name in "abc"]
        self.image_id = ids[0]
        jobs.store.queue.cancel(self.job_id, ids[2])
        script.send(job["close_url"])
        self.claim = self._claim()
        work_once(jobs)
        self.made = folder / "made"
        self.made.mkdir()
        self.result = self._make()
        self._saved = folder / "saved.db"
        jobs.store.db.backup(self._saved)

    def _claim(self) -> Claim:
        claim = claims_of(self.jobs).claim("worker")
        assert claim
        assert claim.image_id == self.image_id
        return claim

    def _make(self) -> Result:
        source = self.jobs.storage.original(self.job_id, self.image_id)
        recipe = Recipe.from_json(self.claim.recipe).with_overview()
        return Decoder.from_config(self.jobs.config).make_thumbnails(source, recipe, self.made)

    def begin_again(self) -> None:
        """Finish the first image, and claim it for a second time."""
        self.finish()
        self.jobs.set_focal_point(self.job_id, self.image_id, (0.5, 0.5), "127.0.0.1")
        self.claim = self._claim()
        self._saved.unlink()
        self.jobs.store.db.backup(self._saved)

    def finish(self) -> None:
        """Publish the thumbnails of the first image through another connection."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                with self.jobs.storage.open_folder() as folder:
                    shutil.copytree(self.made, folder, dirs_exist_ok=True)
                    claims = claims_of(self.jobs)
                    plan = Plan(claims.plan(self.claim).recipe, {}, [])
                    claims.finish(self.claim, plan, folder, self.result, b"")
            except BaseException as error:
                failures.append(error)
            finally:
                self.jobs.store.db.close()

        thread = Thread(target=run)
        thread.start()
        thread.join()
        assert failures == []

    def restore(self) -> None:
        """Restore the rows and files from before the finish."""
        with closing(Database(self._saved)) as saved:
            saved._db.conn.backup(self.jobs.store.db._db.conn)
        self.jobs.storage.unpublish(self.jobs.storage.thumbnails_folder(self.claim))

    def _read_metrics(self) -> Any:
        metrics = StatisticsCollector(read_statistics(self.jobs.store, self.jobs.storage)).collect()
        return [one.samples for one in metrics if one.name != "thumbnails_free_disk_bytes"]

    def _read(self, address: str) -> Any:
        """Request an address, and return the answer without its CSRF tokens."""
        headers = {"Accept": "text/html"}
        with closing(self.script.client.get(address, headers=headers, buffered=False)) as answer:
            assert not self.jobs.store.db._db.conn.in_transaction, "open while the answer is sent"
            return _facts(answer)

    def _polled(self, path: str) -> dict[str, str]:
        """Return the parameters of the address that a page polls."""
        address = self.script.page(path).polled()
        assert address
        return dict(parse_qsl(urlsplit(address).query))

    def readers(self) -> dict[str, Callable[[], Any]]:
        """Return the readers of a job by their names."""
        panel = self._polled(f"/jobs/{self.job_id}")
        image_panel = self._polled(f"/jobs/{self.job_id}/images/{self.image_id}")
        words = {
            "v": panel["v"],
            "estimate": panel["estimate"],
            "image_v": image_panel["v"],
            "image": self.image_id,
        }
        found: dict[str, Callable[[], Any]] = {
            "metrics": self._read_metrics,
            "jobs.index": partial(self._read, "/jobs"),
            "jobs.rows": partial(self._read, f"/jobs/rows?known={self.job_id}:0&poll=1000"),
        }
        adapter = self.app.url_map.bind("localhost")
        ids = {"job_id": self.job_id, "image_id": self.image_id}
        for rule in self.app.url_map.iter_rules():
            if "job_id" not in rule.arguments or "GET" not in (rule.methods or ()):
                continue
            if rule.endpoint in FILES:
                continue
            path = adapter.build(rule.endpoint, {name: ids[name] for name in rule.arguments})
            for query in QUERIES.get(rule.endpoint, ("",)):
                address = path + query.format(**words)
                found[rule.endpoint + query] = partial(self._read, address)
        return found


def _facts(answer: TestResponse) -> Any:
    if answer.mimetype == "application/zip":
        archive = read_zip(answer)
        return {name: archive.read(name) for name in archive.namelist()}
    body = answer.get_data()
    if answer.mimetype == "text/html":
        for token in Page(body.decode()).values('input[name="csrf_token"]'):
            body = body.replace(token.encode(), b"")
    return answer.status_code, answer.headers.get("Location"), body


class Statements:
    """Count the statements of a reader, and run an action after one of them.

    A transaction that writes counts as one: no other can write until it ends.
    """

    def __init__(self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._after = inf
        self._happen: Callable[[], None] = lambda: None
        for name in ("query", "execute"):
            run = getattr(jobs.store.db, name)
            monkeypatch.setattr(jobs.store.db, name, self._counted(run))
        self._transaction = jobs.store.db.transaction
        self._is_writing = False
        monkeypatch.setattr(jobs.store.db, "transaction", self._counted_transaction)

    def _counted(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **values: Any) -> Any:
            answer = run(*args, **values)
            if not self._is_writing:
                self._count()
            return answer

        return counted

    @contextmanager
    def _counted_transaction(self) -> Iterator[Any]:
        is_outer = not self._is_writing
        self._is_writing = True
        try:
            with self._transaction() as db:
                yield db
        finally:
            self._is_writing = not is_outer
        if is_outer:
            self._count()

    def _count(self) -> None:
        self.count += 1
        if self.count == self._after:
            self._after = inf  # What happens runs statements too.
            self._happen()

    def reset(self, after: float = inf, happen: Callable[[], None] = lambda: None) -> None:
        self.count, self._after, self._happen = 0, after, happen


@pytest.fixture(params=["first time", "made again"])
def scene(
    request: pytest.FixtureRequest,
    app: Flask,
    jobs: Jobs,
    clock: Clock,
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    clock.stop()  # The passing of time is no difference.
    monkeypatch.setattr("webapp.web.views.responses.POLL_INTERVALS", ((inf, 500),))
    scene = Scene(app, jobs, script, tmp_path)
    if request.param == "made again":
        scene.begin_again()
    return scene


def test_answer_is_of_one_moment_while_an_image_finishes(
    scene: Scene, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = scene.readers()
    statements = Statements(jobs, monkeypatch)
    before, count = {}, {}
    for name, read in readers.items():
        statements.reset()
        before[name] = read()
        count[name] = statements.count
    scene.finish()
    after = {name: read() for name, read in readers.items()}
    scene.restore()
    mixed = []
    for name, read in readers.items():
        for number in range(1, count[name]):
            statements.reset(number, scene.finish)
            answer = read()
            if answer not in (before[name], after[name]):
                mixed.append(f"{name} after statement {number}")
            scene.restore()
    assert mixed == []
    assert sum(count.values()) > len(readers)
