"""Measure beside a million images, and while many jobs expire.

    make bench-scale                              a million images, 10,000 jobs that expire
    make bench-scale IMAGES=50000 EXPIRED=1000

Real servers run on both instances, and the same person has the same jobs in each. Requests take
turns between the two, so that other programs disturb both. Beside each time is the time of
processors, which other programs disturb less. Figures are medians. Nothing is asserted.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from statistics import median
from uuid import uuid4

from bench.seed_db import seed
from tests.support.images import make_jpeg
from tests.support.jobs import claims_of, open_jobs
from tests.support.people import addresses_of, find_token, part
from tests.support.rows import FACTS, ROW
from tests.support.servers import (
    BIN,
    Answer,
    Client,
    Servers,
    descendants_of,
    environment,
    running,
    wait_for_end,
    wait_until,
)
from webapp.config import ROOT, Config
from webapp.jobs.housekeeping import sweep
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Claim, NewImage
from webapp.recipes.presets import PRESETS

ROUNDS = 40
OWN_JOBS = 60  # The first page of My jobs is full.
OWN_IMAGES = 30  # Of the job whose pages are measured.
TOKEN = "long-and-very-secret"
SETTINGS = {
    "metrics_token": TOKEN,
    "max_jobs_per_hour": 1_000_000,
    "max_mb_per_hour": 1_000_000,
    "max_work_seconds_per_hour": 1_000_000,
    "max_packed_per_hour": 1_000_000,
}

Times = dict[str, list[float]]  # Seconds, by what was measured.
Requests = dict[str, Callable[[], object]]
API = "/api/v1/jobs"
JSON, JPEG = "application/json", "image/jpeg"


class Visitor:
    """A person with jobs of their own on one server."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.client = servers.client()
        page = self.client.get("/", accept="text/html")
        self.headers = {
            "Accept": "application/json",
            "X-CSRFToken": find_token(page.body.decode()),
        }
        for _ in range(OWN_JOBS):
            self.only = self.client.submit(make_jpeg())
        self.job = self.submit(OWN_IMAGES)
        self.image = servers.rows("SELECT id FROM images WHERE job_id = ?", self.job)[0][0]
        self.thumbnail = "/thumbnails/{}/{}".format(
            *servers.rows(
                "SELECT folder, file_name FROM thumbnails WHERE image_id = ?", self.image
            )[0]
        )
        self.version = servers.rows("SELECT version FROM jobs WHERE id = ?", self.job)[0][0]

    def submit(self, images: int) -> str:
        """Make a job of several images, and wait for it."""
        opened = self.client.post("/jobs/open", self.headers, presets="square").json
        job = addresses_of(opened)
        for position in range(1, images + 1):
            self.client.post(
                job["images_url"],
                self.headers,
                images=part(make_jpeg(), f"{position}.jpg"),
                position=position,
            )
        self.client.post(job["close_url"], self.headers)
        wait_for_end(self.servers, job["id"], 60)
        return job["id"]

    def requests(self) -> Requests:
        """Return what is measured, by name."""
        page = f"/jobs/{self.job}"
        secret = {"Authorization": f"Bearer {TOKEN}"}
        return {
            "upload page": lambda: self.get("/"),
            "My jobs": lambda: self.get("/jobs"),
            "rows of My jobs": lambda: self.get(f"/jobs/rows?poll=&known={self.job}:0"),
            "page of a job": lambda: self.get(page),
            "panel of a job": lambda: self.get(f"{page}/panel"),
            "page of an image": lambda: self.get(f"{page}/images/{self.image}"),
            "crops of a job": lambda: self.get(f"{page}/crops"),
            "markup of a job": lambda: self.get(f"{page}/markup"),
            "zip of a job": lambda: self.get(f"{page}/zip"),
            "thumbnail": lambda: self.get(self.thumbnail),
            "GET /jobs": lambda: self.get("/jobs", "application/json"),
            "GET /check_job_status": lambda: self.get(f"/check_job_status/{self.only}"),
            "GET /download_thumbnail": lambda: self.get(f"/download_thumbnail/{self.only}"),
            "GET /healthcheck": lambda: self.get("/healthcheck"),
            "GET /metrics": lambda: self.client.request("GET", "/metrics", headers=secret),
            "POST /upload_image": lambda: self.client.submit(make_jpeg()),
            "upload to thumbnail": self._upload_and_wait,
            **self.api_requests(),
        }

    def api_requests(self) -> Requests:
        """Return what is measured of the API, by name."""
        job, one = f"{API}/{self.job}", f"{API}/{self.only}"
        etag = self.send("GET", job).headers["ETag"]
        opened = self.send("POST", API, b'{"presets": ["square"]}', JSON).json
        images = f"{API}/{opened['id']}/images"
        wait, unchanged = {"Prefer": "wait=10"}, {"If-None-Match": etag}
        new = f"{API}?preset=square"
        # All differ: the same bytes are answered without work.
        photos = (make_jpeg() + b"%d" % number for number in count())
        return {
            f"`GET {API}`": lambda: self.send("GET", API),
            f"`GET {API}/ID`": lambda: self.send("GET", job),
            "– unchanged": lambda: self.send("GET", job, headers=unchanged),
            f"`GET {API}/ID/manifest.json`": lambda: self.send("GET", f"{job}/manifest.json"),
            f"`PATCH {API}/ID`": lambda: self.send("PATCH", one, b'{"name": "A"}', JSON),
            f"`PUT {API}/ID/images`": lambda: self.send("PUT", images, next(photos), JPEG),
            f"`POST {API}`": lambda: self.send("POST", new, next(photos), JPEG),
            "– with `Prefer: wait`": lambda: self.send("POST", new, next(photos), JPEG, wait),
        }

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        kind: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request of the API that is answered well."""
        sent = {**({"Content-Type": kind} if kind else {}), **(headers or {})}
        answer = self.client.request(method, path, body, sent)
        assert answer.status < 400, (method, path, answer)
        return answer

    def get(self, path: str, accept: str = "text/html") -> None:
        """Get a path that answers."""
        answer = self.client.get(path, accept)
        assert answer.status < 400, (path, answer)

    def _upload_and_wait(self) -> None:
        job_id = self.client.submit(make_jpeg())
        while not self.client.finished(job_id):
            time.sleep(0.002)

    def processor_seconds(self) -> float:
        """Return the time that processors spent for the web server so far."""
        spent = 0
        for pid in self.servers.children("web"):
            for task in Path(f"/proc/{pid}/task").iterdir():
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9

    def consumer_peak(self) -> int:
        """Return the most memory that the consumer and its children had, in bytes."""
        pid = self.servers.processes["consumer"].pid
        statuses = (Path(f"/proc/{one}/status").read_text() for one in (pid, *descendants_of(pid)))
        return sum(int(status.split("VmHWM:")[1].split()[0]) * 1024 for status in statuses)


def measure_requests(
    visitors: tuple[Visitor, Visitor], requests: tuple[Requests, Requests]
) -> tuple[tuple[Times, Times], tuple[Times, Times]]:
    """Return the time of each request on both servers, and that of their processors."""
    wall: tuple[Times, Times] = (defaultdict(list), defaultdict(list))
    work: tuple[Times, Times] = (defaultdict(list), defaultdict(list))
    for number in range(ROUNDS):
        for name in requests[0]:
            for which in (0, 1) if number % 2 else (1, 0):
                before = visitors[which].processor_seconds()
                began = time.perf_counter()
                requests[which][name]()
                wall[which][name].append(time.perf_counter() - began)
                work[which][name].append(visitors[which].processor_seconds() - before)
    return wall, work


def measure_rows(pair: tuple[Jobs, Jobs]) -> None:
    """Print the time of what workers do with rows, and of an idle sweep."""
    wall: tuple[Times, Times] = (defaultdict(list), defaultdict(list))
    work: tuple[Times, Times] = (defaultdict(list), defaultdict(list))
    for number in range(5 * ROUNDS):
        for which in (0, 1) if number % 2 else (1, 0):
            for name, step in _steps(pair[which]):
                began, before = time.perf_counter(), time.thread_time()
                step()
                wall[which][name].append(time.perf_counter() - began)
                work[which][name].append(time.thread_time() - before)
    for name in wall[0]:
        _print(name, wall[0][name], wall[1][name], work[0][name], work[1][name])


def _steps(jobs: Jobs) -> Iterator[tuple[str, Callable[[], object]]]:
    """Make the steps of one image, one after the other."""
    queue, job_id = jobs.store.queue, str(uuid4())
    image = NewImage(str(uuid4()), None, "a.jpg", 1000, "jpeg", 40, 30, False, False)

    def add() -> None:
        with jobs.store.db.transaction():
            recipe = PRESETS["square"].recipe.to_json()
            jobs.store.jobs.add(job_id, "owner", recipe, 86_400, 3600)
            queue.add(job_id, image, None, 1, "192.0.2.1")

    yield "add an image", add
    claims: list[Claim] = []

    def claim() -> None:
        claimed = claims_of(jobs).claim("worker")
        assert claimed
        claims.append(claimed)

    yield "claim", claim
    folder = f"{job_id}/{image.id}-1"
    made = [ROW, {**ROW, "number": 1, "file_name": "b.jpg"}]
    yield "finish", lambda: queue.finish(claims[0], FACTS, folder, made)
    yield "sweep", lambda: list(sweep(jobs.store, jobs.storage))


def _print(name: str, *times: list[float]) -> None:
    empty, full, empty_work, full_work = (median(one) * 1000 for one in times)
    print(
        f"{name:36}{empty:8.2f} ms{full:8.2f} ms{full / empty:7.2f}"
        f"{empty_work:11.2f} ms{full_work:8.2f} ms{full_work / empty_work:7.2f}",
        flush=True,
    )


def measure_check(instance: Path) -> tuple[float, int]:
    """Return the seconds and the peak memory of `flask jobs check`."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [BIN / "flask", "--app", "wsgi", "jobs", "check"],
        cwd=ROOT,
        env=environment(instance),
        stdout=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return time.perf_counter() - began, usage.ru_maxrss * 1024


def measure_expiry(folder: Path, jobs: int, workers: int) -> None:
    """Print how long images wait for a worker while jobs with files expire."""
    instance = folder / f"expiry-{workers}"
    seed(instance, round(1.9 * jobs), with_files=True, expires_in=(-3600, -1), kept_share=0)
    with running(instance, **SETTINGS, workers=workers) as servers:
        began = time.time()
        with closing(servers.client()) as client:
            expired = servers.rows("SELECT count(*) FROM jobs WHERE expires < ?", began)[0][0]
            while servers.rows("SELECT 1 FROM jobs WHERE expires < ? LIMIT 1", began):
                _upload(client)
            while "swept" not in servers.output():
                _upload(client)
            seconds = time.time() - began
            ended = time.time()
            while time.time() < ended + min(seconds, 20):
                _upload(client)
            wait_until(lambda: not servers.rows(UNFINISHED), what="all images")
        print(f"{workers} worker(s): {expired} jobs expired in {seconds:.0f} s")
        for what, first, last in (("meanwhile", began, ended), ("afterwards", ended, time.time())):
            waits = sorted(wait * 1000 for (wait,) in servers.rows(WAITS, first, last))
            late = waits[int(len(waits) * 0.99)]
            print(
                f"  wait for a worker, {what:12} p50 {median(waits):6.1f} ms   p99 {late:6.1f} ms"
                f"   longest {waits[-1]:6.1f} ms   of {len(waits)}",
                flush=True,
            )


def fill(instance: Path, images: int) -> None:
    """Seed an instance in another process, which gives its memory back."""
    command = [sys.executable, "-m", "bench.seed_db", str(instance), str(images)]
    subprocess.run(command, check=True, cwd=ROOT)


UNFINISHED = "SELECT 1 FROM images WHERE status IN ('waiting', 'working') LIMIT 1"
WAITS = "SELECT claimed - created FROM images WHERE created BETWEEN ? AND ?"


def _upload(client: Client) -> None:
    """Send a small image, and wait until its thumbnail is made."""
    job_id = client.submit(make_jpeg())
    while not client.finished(job_id):
        time.sleep(0.005)


def main() -> None:
    """Measure with the numbers of images and expiring jobs that are given."""
    images, expired = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for workers in (1, 2):
            measure_expiry(folder, expired, workers)
        instances = folder / "empty", folder / "full"
        fill(instances[1], images)
        print(f"{'':36}{'empty':>11}{'full':>11}{'ratio':>7}{'processor':>14}")
        with ExitStack() as stack:
            servers = [stack.enter_context(running(one, **SETTINGS)) for one in instances]
            visitors = Visitor(servers[0]), Visitor(servers[1])
            wall, work = measure_requests(
                visitors, (visitors[0].requests(), visitors[1].requests())
            )
            for name in wall[0]:
                _print(name, wall[0][name], wall[1][name], work[0][name], work[1][name])
            wait_until(lambda: all("swept" in one.output() for one in servers), 70, "a sweep")
            empty, full = (visitor.consumer_peak() / 1e6 for visitor in visitors)
            print(f"{'memory of the consumer':36}{empty:8.0f} MB{full:8.0f} MB{full / empty:7.2f}")
        pair = open_jobs(Config(instance=instances[0])), open_jobs(Config(instance=instances[1]))
        measure_rows(pair)
        for jobs in pair:
            jobs.store.db.close()
        (short, small), (seconds, large) = map(measure_check, instances)
        print(f"{'flask jobs check':36}{short:9.1f} s{seconds:10.1f} s")
        print(f"{'  its memory':36}{small / 1e6:8.0f} MB{large / 1e6:8.0f} MB{large / small:7.2f}")


if __name__ == "__main__":
    main()
