"""Kill processes once a second during uploads, and check every image.

    make chaos                                  at least 500 uploads, at least 300 seconds
    make chaos UPLOADS=2000 SECONDS=900 SEED=7  with the choices of an earlier run

Nothing is taken from the application's own word. An upload is acknowledged when its answer has
come, an image is done when its thumbnail came over HTTP, and every change of an image's state is
written down by a trigger that the run puts into the database.
"""

import http.client
import os
import random
import re
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from sqlite3 import connect
from typing import Any

from PIL import Image

from tests.support.images import (
    make_animation,
    make_image,
    make_jpeg,
    make_png,
    make_png_header,
    make_truncated,
)
from tests.support.jobs import open_jobs, sweep
from tests.support.people import addresses_of, find_token, part
from tests.support.servers import (
    Answer,
    Client,
    Servers,
    children_of,
    decode_children_of,
    descendants_of,
    is_alive,
    running,
)
from webapp.config import Config
from webapp.jobs.check import lost_images, orphans
from webapp.jobs.storage import ABANDONED_SECONDS
from webapp.jobs.work import MAX_ATTEMPTS

UPLOADERS = 4
IN_FLIGHT = 16  # Uploads pause while so many images wait: the pace is that of the machine.
KILL_SECONDS = 1.0
TROUBLE_SECONDS = 60.0  # Between two poisoned images, each of which costs five workers.
ORPHAN_SECONDS = 5.0  # How long a child may outlive its parent.
MIN_KILLS = 15  # Fewer show nothing.
RECOVERY_SECONDS = 10.0  # At the median, from a kill to the next claim.
SETTLE_SECONDS = 180.0  # For what is still waiting when the kills end.
SETTINGS = {
    "workers": 3,
    "decode_seconds": 10,
    "lease_seconds": 1.5,  # A poisoned image costs five leases.
    "max_jpeg_scans": 500,
    "max_jobs_per_hour": 1_000_000,  # All come from one address.
    "max_mb_per_hour": 1_000_000,
    "max_waiting_share": 1,
    "max_work_seconds_per_hour": 1_000_000,
}

AUDIT = """
CREATE TABLE audit (at REAL, image_id TEXT, state TEXT, attempt INTEGER);
CREATE TRIGGER audit_image AFTER UPDATE OF status ON images BEGIN
    INSERT INTO audit
    VALUES ((julianday('now') - 2440587.5) * 86400.0, new.id, new.status, new.attempts);
END;
"""


def make_slow() -> bytes:
    """Make a JPEG that no decoder gets through in `decode_seconds`.

    It is long, or the check of its header would have enough of it.
    """
    return make_jpeg(image=Image.new("RGB", (10_000, 7_000)), progressive_scans=490) + bytes(2**24)


CLEAN: dict[str, Callable[[], bytes]] = {
    "small.jpg": lambda: make_jpeg((640, 480)),
    "phone.jpg": lambda: make_jpeg((4000, 3000), orientation=6, gps=True),
    "progressive.jpg": lambda: make_jpeg((2400, 1600), progressive=True),
    "print.jpg": lambda: make_image("CMYK", (1000, 800), "JPEG"),
    "logo.png": lambda: make_png("RGBA", (3000, 2000)),
    "scan.png": lambda: make_png("I;16", (600, 900)),
    "page.webp": lambda: make_image("RGB", (2000, 1500), "WEBP"),
    "page.avif": lambda: make_image("RGB", (1200, 800), "AVIF"),
    "phone.heic": lambda: make_image("RGB", (1200, 800), "heic"),
    "moving.gif": lambda: make_animation("GIF"),
}
HOSTILE: dict[str, Callable[[], bytes]] = {
    "truncated.jpg": lambda: make_truncated(make_jpeg((1600, 1200))),
    "truncated.png": lambda: make_truncated(make_png("RGB", (800, 600))),
    "bomb.png": lambda: make_png_header((60_000, 60_000)),
    "empty.png": lambda: make_png_header((900, 900)),
    "scans.jpg": lambda: make_jpeg(progressive_scans=600),
    "text.jpg": lambda: b"This is not an image.\n" * 100,
    "page.png": lambda: b"<!doctype html><script>alert(1)</script>",
    "drawing.svg.jpg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
}
TROUBLE = ("slow.jpg", "poison.jpg")  # The second one's worker is killed each time.
EXPECTED = {"slow.jpg": "timed_out", "poison.jpg": "worker_lost"}
HOSTILE_SHARE = 0.15

VICTIMS = {
    "web server": 1,
    "web worker": 3,
    "consumer": 2,
    "consumer's child": 5,  # A worker, or else the scheduler.
    "decode child": 3,
    "decode server": 1,
}


@dataclass(frozen=True)
class Accepted:
    """An accepted image; `image_id` is None if it is the only one of its job."""

    name: str
    job_id: str
    image_id: str | None = None


@dataclass(frozen=True)
class Kill:
    """A signal to a process that had these images in hand."""

    at: float
    victim: str
    signal: signal.Signals
    image_ids: tuple[str, ...]


@dataclass
class Run:
    """What the threads of a run share; a list's append is atomic."""

    servers: Servers
    images: dict[str, bytes]
    ending: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[Accepted] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    kills: list[Kill] = field(default_factory=list)
    # When a killed process's children must be gone, whose they were, and their ids.
    dying: list[tuple[float, str, list[int]]] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    poisoned: set[tuple[str, int]] = field(default_factory=set)


# When an image came to which state, and with which attempt; by its id.
History = dict[str, list[tuple[float, str, int]]]


@dataclass
class Report:
    """What became of the uploads of a run."""

    refused: Counter[str]
    unanswered: Counter[str]
    finished_twice: list[str]
    recovery: list[float]
    unhealthy: list[str]  # What is wrong with the database and the processes.
    kills: Counter[str]
    acknowledged: int = 0
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    # Clean images that were refused or failed, hostile ones that were done.
    unjust: list[str] = field(default_factory=list)
    # From upload to finish, of clean images that no killed process had in hand.
    wait: list[float] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)  # Files that no row knows, after a sweep.

    @property
    def is_well(self) -> bool:
        """Return whether all went well, and enough happened to say so."""
        wrong = (self.lost, self.finished_twice, self.unjust, self.unhealthy, self.strays)
        return not any(wrong) and self.is_telling and self.is_quick

    @property
    def is_telling(self) -> bool:
        """Return whether there was work, and kills that hit it."""
        return bool(self.done and self.recovery) and self.kills.total() >= MIN_KILLS

    @property
    def is_quick(self) -> bool:
        """Return whether images run again soon.

        Most do. The last of them have no bound here: what would claim them is killed as well.
        """
        return statistics.median(self.recovery) <= RECOVERY_SECONDS

    def __str__(self) -> str:
        """Format all as lines of a name and a figure."""
        lines = {
            "acknowledged": self.acknowledged,
            "done": self.done,
            "failed": _counted(self.failed),
            "lost": _listed(self.lost),
            "finished twice": _listed(self.finished_twice),
            "recovery": _spread(self.recovery),
            "wait of clean images": _spread(self.wait),
            "refused": _counted(self.refused),
            "not answered": _counted(self.unanswered),
            "unjust": _listed(self.unjust),
            "unhealthy": _listed(self.unhealthy),
            "files without a row": _listed(self.strays),
            "kills": _counted(self.kills),
        }
        return "\n".join(f"{name:22}{value}" for name, value in lines.items())


def _counted(counter: Counter[str]) -> str:
    counts = (f"{name} {count}" for name, count in counter.most_common())
    return f"{counter.total()}" + (f"   ({', '.join(counts)})" if counter else "")


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"p50 {statistics.median(seconds):.1f} s   max {max(seconds):.1f} s   of {len(seconds)}"


def _listed(items: list[str]) -> str:
    return "\n    ".join([str(len(items)), *items])


def run_chaos(instance: Path, uploads: int, seconds: float, seed: int) -> Report:
    """Kill and upload for some seconds and uploads at least; report what was lost."""
    images = {name: make() for name, make in {**CLEAN, **HOSTILE}.items()}
    images |= dict.fromkeys(TROUBLE, make_slow())
    with running(instance, **SETTINGS) as servers:
        with closing(connect(instance / "jobs.db", timeout=20)) as db:
            db.executescript(AUDIT)
        run = Run(servers, images)
        people = [
            threading.Thread(target=_upload_mixed, args=(run, random.Random(f"{seed}-{number}")))
            for number in range(UPLOADERS)
        ]
        people.append(threading.Thread(target=_upload_trouble, args=(run,)))
        try:
            for person in people:
                person.start()
            _kill_around(run, uploads, seconds, random.Random(seed))
        finally:
            run.ending.set()
            for person in people:
                person.join()
        _settle(run)
        report = _judge(run)
        servers.stop()
    report.unhealthy += [f"still running: {pid}" for pid in servers.left_running()]
    report.strays += _sweep(instance)
    return report


# People


def _upload_mixed(run: Run, choice: random.Random) -> None:
    """Upload images of all kinds until the end, one by one or as jobs of several."""
    with closing(run.servers.client()) as client:
        while not run.ending.is_set():
            if _count_unfinished(run) >= IN_FLIGHT:
                run.ending.wait(0.05)
            elif choice.random() < 0.8:
                _upload_one(run, client, _choose(choice))
            else:
                _upload_job(run, client, [_choose(choice) for _ in range(choice.randint(2, 5))])


def _count_unfinished(run: Run) -> int:
    sql = "SELECT count(*) FROM images WHERE status IN ('waiting', 'working')"
    return run.servers.rows(sql)[0][0]  # type: ignore[no-any-return]


def _choose(choice: random.Random) -> str:
    return choice.choice(list(HOSTILE if choice.random() < HOSTILE_SHARE else CLEAN))


def _upload_trouble(run: Run) -> None:
    """Upload now and then what costs workers, not only time."""
    with closing(run.servers.client()) as client:
        while True:
            for name in TROUBLE:
                _upload_one(run, client, name)
            if run.ending.wait(TROUBLE_SECONDS):
                return


def _upload_one(run: Run, client: Client, name: str) -> None:
    answer = _insist(run, name, lambda: client.upload(run.images[name], name))
    if answer:
        run.acknowledged.append(Accepted(name, answer.json["job_id"]))


def _upload_job(run: Run, client: Client, names: list[str]) -> None:
    """Make a job of several images, as the page's own script does."""
    page = _insist(run, "page", lambda: client.get("/", accept="text/html"))
    if not page:
        return
    headers = {"Accept": "application/json", "X-CSRFToken": find_token(page.body.decode())}
    opened = _insist(run, "job", lambda: client.post("/jobs/open", headers, presets="square"))
    if not opened:
        return
    job = addresses_of(opened.json)
    for position, name in enumerate(names):
        answer = _insist(run, name, partial(_add, client, job, headers, run.images[name], position))
        if answer:
            run.acknowledged.append(Accepted(name, job["id"], answer.json["id"]))
    _insist(run, "job", lambda: client.post(job["close_url"], headers))


def _add(
    client: Client, job: dict[str, str], headers: dict[str, str], image: bytes, position: int
) -> Answer:
    return client.post(job["images_url"], headers, images=part(image, "a.jpg"), position=position)


def _insist(run: Run, what: str, request: Callable[[], Answer]) -> Answer | None:
    """Retry until the server answers; return None if it refuses, or at the end."""
    while True:
        try:
            answer = request()
        except (OSError, http.client.HTTPException) as error:
            run.unanswered[type(error).__name__] += 1
            if run.ending.wait(0.1):
                return None
        else:
            if answer.status < 300:
                return answer
            run.refused[f"{what} {answer.status}"] += 1
            return None


# Their adversary


def _kill_around(run: Run, uploads: int, seconds: float, choice: random.Random) -> None:
    """Kill one process after another until enough was uploaded, for long enough."""
    start = time.monotonic()
    next_kill = start + KILL_SECONDS
    while (passed := time.monotonic() - start) < seconds or len(run.acknowledged) < uploads:
        assert passed < 10 * seconds + 60, f"only {len(run.acknowledged)} uploads in {passed:.0f} s"
        if time.monotonic() >= next_kill:
            next_kill += KILL_SECONDS
            _kill_one(run, choice)
        _look_after(run)
        time.sleep(0.02)


def _settle(run: Run) -> None:
    """Wait until the status of every image is final; count the others as lost."""

    def is_settled() -> bool:
        _look_after(run)
        return not run.dying and not _count_unfinished(run) and client.is_healthy()

    deadline = time.monotonic() + SETTLE_SECONDS
    with closing(run.servers.client()) as client:
        while not is_settled() and time.monotonic() < deadline:
            time.sleep(0.02)


def _look_after(run: Run) -> None:
    """Start what ended, as a supervisor does; poison; look for orphans."""
    for name, process in run.servers.processes.items():
        if process.poll() is not None:
            run.servers.start_one(name)
    for image_id, attempt, worker in run.servers.rows(
        "SELECT id, attempts, claimed_by FROM images"
        " WHERE status = 'working' AND name = 'poison.jpg'"
    ):
        pid = int(worker.rpartition(":")[2])
        if (image_id, attempt) not in run.poisoned and pid in run.servers.children("consumer"):
            run.poisoned.add((image_id, attempt))
            _send(run, "poisoned worker", pid, signal.SIGKILL, [image_id])
    now = time.monotonic()
    for until, parent, children in run.dying:
        if until < now:
            run.orphans += [f"{parent}'s child {pid}" for pid in children if is_alive(pid)]
    run.dying[:] = [entry for entry in run.dying if entry[0] >= now]


def _kill_one(run: Run, choice: random.Random) -> None:
    """Send a signal to a process that is there."""
    (victim,) = choice.choices(list(VICTIMS), list(VICTIMS.values()))
    number = choice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
    servers = run.servers
    if victim == "web server":
        _send(run, victim, servers.processes["web"].pid, number, [])
    elif victim == "web worker" and (children := servers.children("web")):
        _send(run, victim, choice.choice(children), number, [])
    elif victim == "consumer":
        _send(run, victim, servers.processes["consumer"].pid, number, _in_hand(run))
    elif victim == "consumer's child" and (children := servers.children("consumer")):
        pid = choice.choice(children)
        _send(run, victim, pid, number, _in_hand(run, pid))
    elif victim == "decode child" and (busy := servers.busy_workers()):
        worker = choice.choice(busy)
        before = _in_hand(run, worker)
        for pid in decode_children_of(worker):
            _send(run, victim, pid, number, [*before, *_in_hand(run, worker)])
    elif victim == "decode server" and (busy := servers.busy_workers()):
        worker = choice.choice(busy)
        before = _in_hand(run, worker)
        for pid in children_of(worker):
            _send(run, victim, pid, number, before)


def _in_hand(run: Run, worker: int | None = None) -> list[str]:
    """List the images that a worker, or any of them, has claimed."""
    name = f"{socket.gethostname()}:{worker}" if worker else "%"
    return [
        image_id
        for (image_id,) in run.servers.rows(
            "SELECT id FROM images WHERE status = 'working' AND claimed_by LIKE ?", name
        )
    ]


def _send(run: Run, victim: str, pid: int, number: signal.Signals, image_ids: list[str]) -> None:
    below = descendants_of(pid)
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    run.kills.append(Kill(time.time(), victim, number, tuple(image_ids)))
    if number == signal.SIGKILL:
        run.dying.append((time.monotonic() + ORPHAN_SECONDS, victim, below))


# The judge


def _judge(run: Run) -> Report:
    """Find every acknowledged image as its owner would, and compare it."""
    rows = {
        image_id: row
        for image_id, *row in run.servers.rows(
            "SELECT id, job_id, status, error_code, finished - created FROM images"
        )
    }
    only = {job_id: image_id for image_id, (job_id, *_) in rows.items()}
    history = _read_history(run)
    hit = {id for kill in run.kills for id in kill.image_ids}
    cost = Counter(
        id for kill in run.kills if kill.signal == signal.SIGKILL for id in kill.image_ids
    )
    report = Report(
        refused=run.refused,
        unanswered=run.unanswered,
        finished_twice=_finished_twice(history),
        recovery=_recoveries(run, history),
        unjust=[name for name in run.refused if name.split()[0] not in HOSTILE],
        unhealthy=_complaints(run),
        kills=Counter(f"{kill.victim} {kill.signal.name}" for kill in run.kills),
    )
    with closing(run.servers.client()) as client:
        for image in run.acknowledged:
            image_id = image.image_id or only.get(image.job_id, "")
            _, state, code, seconds = rows.get(image_id, (None, "gone", None, None))
            title = f"{image.name} {image_id} of job {image.job_id}: {code or state}"
            report.acknowledged += 1
            if state == "failed":
                report.failed[code] += 1
            elif state == "done" and _has_thumbnail(client, image.job_id, image_id):
                report.done += 1
            else:
                report.lost.append(title)
            if code == "worker_lost" and cost[image_id] >= MAX_ATTEMPTS:
                continue  # A slow image may cost all its attempts before its time is over.
            if not _is_just(image.name, state, code):
                report.unjust.append(title)
            if image.name in CLEAN and image_id not in hit and seconds:
                report.wait.append(seconds)
    return report


def _is_just(name: str, state: str, code: str) -> bool:
    """Return whether an image ended as it does without kills."""
    if name in CLEAN:
        return state == "done"
    return state == "failed" and code == EXPECTED.get(name, code)


def _read_history(run: Run) -> History:
    history: History = defaultdict(list)
    for at, image_id, state, attempt in run.servers.rows("SELECT * FROM audit ORDER BY rowid"):
        history[image_id].append((at, state, attempt))
    return history


def _finished_twice(history: History) -> list[str]:
    return [
        f"{image_id}: {changes}"
        for image_id, changes in history.items()
        if sum(state in ("done", "failed", "cancelled") for _, state, _ in changes) > 1
    ]


def _has_thumbnail(client: Client, job_id: str, image_id: str) -> bool:
    """Follow the one link to an image's thumbnail on its job's page."""
    page = client.get(f"/jobs/{job_id}", accept="text/html").body.decode()
    links = set(re.findall(rf'"(/thumbnails/{job_id}/{image_id}-\d+/square\.jpg)"', page))
    if len(links) != 1:
        return False
    answer = client.get(links.pop())
    if answer.status != 200:
        return False
    with Image.open(BytesIO(answer.body)) as thumbnail:
        thumbnail.load()
        return thumbnail.size == (100, 100)


def _complaints(run: Run) -> list[str]:
    """List what is wrong beside the images themselves."""
    complaints = [text for (text,) in run.servers.rows("PRAGMA integrity_check") if text != "ok"]
    return complaints + [f"{orphan} outlived it" for orphan in run.orphans]


def _recoveries(run: Run, history: History) -> list[float]:
    """Return the seconds from each kill to the next claim of what it hit.

    An image that has cost two workers waits for all others by design, so its time says nothing.
    """
    seconds = []
    for kill in run.kills:
        if kill.signal != signal.SIGKILL:
            continue
        for image_id in kill.image_ids:
            later = [change for change in history[image_id] if change[0] > kill.at]
            if later and later[0][1] == "working" and later[0][2] == 2:
                seconds.append(later[0][0] - kill.at)
    return seconds


def _sweep(instance: Path) -> list[str]:
    """Sweep a folder whose files are all old; list what is left and has no row.

    Counted here, and then by `flask jobs check`, which must find no less.
    """
    long_ago = time.time() - ABANDONED_SECONDS - 1
    for path in [*instance.rglob("*"), instance]:
        os.utime(path, (long_ago, long_ago))
    jobs = open_jobs(Config(instance=instance))
    sweep(jobs)
    checked = [
        *(f"check found {path}" for path in orphans(jobs.store, jobs.storage)),
        *(f"check misses a file of {image}" for image in lost_images(jobs.store, jobs.storage)),
    ]
    jobs.store.db.close()  # First: no process may open a database with two libraries at once.
    with closing(connect(instance / "jobs.db")) as db:
        known: set[Any] = {
            *db.execute("SELECT job_id || '/' || id FROM images"),
            *db.execute(
                "SELECT folder FROM thumbnails UNION SELECT folder FROM replaced_thumbnails"
            ),
        }
    storage = jobs.storage
    return [
        *checked,
        *(str(path) for folder in (storage.tmp, storage.unsettled) for path in folder.iterdir()),
        *(
            str(path)
            for folder in (storage.originals, storage.thumbnails)
            for path in folder.glob("*/*")
            if (str(path.relative_to(folder)),) not in known
        ),
    ]


def main() -> None:
    """Run with the uploads, seconds and seed of the command line."""
    uploads, seconds = int(sys.argv[1]), float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1_000_000)
    print(f"{uploads} uploads and {seconds:g} seconds at least, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = run_chaos(Path(folder) / "instance", uploads, seconds, seed)
    print(report)
    sys.exit(not report.is_well)


if __name__ == "__main__":
    main()
