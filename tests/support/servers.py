"""The real servers, started as `make run` starts them, and a client of them.

Shared by the live tests, the browser tests, the chaos run and the benchmark.
"""

import contextlib
import http.client
import json
import os
import random
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from werkzeug.datastructures import FileStorage

from tests.support.forms import encode_form
from webapp.config import PREFIX, ROOT, UNPREFIXED, environment_name

BIN = Path(sys.executable).parent
# The shipped commands, by name.
COMMANDS = {
    name: shlex.split(command)
    for name, command in re.findall(r"^(\w+): (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
}

# The head of an upload of a megabyte, and the head of its file.
UPLOAD_BEGINNING = (
    b"POST /upload_image HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
)


def free_port() -> int:
    """Find a port of the loopback address that is free.

    Linux gives none of these to a connection (net.ipv4.ip_local_port_range), so that the port is
    still free when the server starts, also while other tests run. Browsers open none of Fetch's bad
    ports (https://fetch.spec.whatwg.org/#port-blocking), of which 10080 is the last.
    """
    while True:
        port = random.randrange(10_081, 32_000)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Poll a condition until it is true; return its value, or fail."""
    started = time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        answer = condition()
        if answer:
            return answer
        time.sleep(min(max(passed / 10, 0.01), 0.1))  # To ask costs the servers time, too.
    raise AssertionError(f"not within {seconds} s: {what or condition}")


@dataclass
class Answer:
    """The response of a server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass
class Client:
    """Talk HTTP to a server on one connection; keep its cookies; follow nothing."""

    host: str
    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request; reopen a connection that the server has closed."""
        sent = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **(headers or {})}
        for is_last in (False, True):
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
            try:
                self._connection.request(method, path, body, sent)
                response = self._connection.getresponse()
                answer = Answer(response.status, dict(response.headers), response.read())
            except (ConnectionError, http.client.HTTPException):
                self.close()
                if is_last:
                    raise
            else:
                self._keep_cookies(response)
                return answer
        raise AssertionError("unreachable")

    def get(self, path: str, accept: str = "*/*") -> Answer:
        """Get a path."""
        return self.request("GET", path, headers={"Accept": accept})

    def post(self, path: str, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        """Post a form, with or without files."""
        kind, body = encode_form(fields)
        return self.request("POST", path, body, {"Content-Type": kind, **(headers or {})})

    def upload(self, data: bytes, name: str = "a.jpg") -> Answer:
        """Submit one image, as thumbnail-api's clients do."""
        return self.post("/upload_image", file=FileStorage(BytesIO(data), filename=name))

    def submit(self, data: bytes, name: str = "a.jpg") -> str:
        """Submit one image that is accepted; return the job's id."""
        answer = self.upload(data, name)
        assert answer.status == 202, answer.body
        return answer.json["job_id"]  # type: ignore[no-any-return]

    def finished(self, job_id: str) -> bool:
        """Return whether a job has ended."""
        answer = self.get(f"/check_job_status/{job_id}")
        return bool(answer.json["status"] != "Processing")

    def wait_for(self, job_id: str, seconds: float = 20.0) -> None:
        """Wait until a job is over."""
        wait_until(lambda: self.finished(job_id), seconds, f"the end of job {job_id}")

    def is_healthy(self) -> bool:
        """Return whether a server answers that it is healthy."""
        return self._health() == 200

    def answers(self) -> bool:
        """Return whether a server answers; without a consumer it is not healthy."""
        return self._health() is not None

    def _health(self) -> int | None:
        try:
            return self.get("/healthcheck").status
        except (OSError, http.client.HTTPException):
            return None

    def _keep_cookies(self, response: http.client.HTTPResponse) -> None:
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None


def environment(instance: Path, **settings: object) -> dict[str, str]:
    """Make an environment with these settings and none of the developer's own."""
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name not in UNPREFIXED.values()
    }
    return {
        **others,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "THUMBNAIL_INSTANCE": str(instance),
        **{environment_name(name): str(value) for name, value in settings.items()},
    }


class Servers:
    """Run the web server and the consumer on a data folder of their own."""

    def __init__(self, instance: Path, **settings: object) -> None:
        self.instance = instance
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = instance.parent / f"{instance.name}.log"
        self.environ = environment(instance, port=self.port, **settings)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        """Start both processes, or these alone, and wait until they are healthy."""
        for name in names or COMMANDS:
            self.start_one(name)
        client = self.client()
        wait_until(lambda: self._is_healthy(client), what="a healthy server")
        client.close()

    def start_one(self, name: str) -> None:
        """Start one process in a session of its own."""
        with self._log.open("ab") as log:
            self.processes[name] = subprocess.Popen(
                COMMANDS[name],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_healthy(self, client: Client) -> bool:
        for name, process in self.processes.items():
            assert process.poll() is None, (
                f"{name} ended with {process.returncode}\n{self.output()}"
            )
        return client.is_healthy() if "consumer" in self.processes else client.answers()

    def client(self) -> Client:
        """Make a client of this server."""
        return Client("127.0.0.1", self.port)

    def children(self, name: str) -> list[int]:
        """List the process ids of the children of a process, oldest first."""
        return children_of(self.processes[name].pid)

    def busy_workers(self) -> list[int]:
        """List the workers of the consumer that have a decode child at work."""
        return [pid for pid in self.children("consumer") if decode_children_of(pid)]

    def rows(self, sql: str, *values: object) -> list[Any]:
        """Read rows of the jobs' database, beside the application."""
        with contextlib.closing(sqlite3.connect(self.instance / "jobs.db", timeout=20)) as db:
            return db.execute(sql, values).fetchall()

    def messages(self) -> int:
        """Count the messages that no worker has taken."""
        with contextlib.closing(sqlite3.connect(self.instance / "queue.db", timeout=20)) as db:
            return int(db.execute("SELECT count(*) FROM task").fetchone()[0])

    def command(self, *arguments: str) -> str:
        """Run `flask` with arguments, as operators do; return what it printed."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environ, check=True, capture_output=True, text=True
        ).stdout

    def web_peak(self) -> int:
        """Return the peak resident memory of the web processes, in bytes."""
        return sum(_peak_of(pid) for pid in self.children("web"))

    def reset_web_peak(self) -> int:
        """Reset the peak; return what is resident now."""
        for pid in self.children("web"):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        return self.web_peak()

    def output(self) -> str:
        """Read all that the processes printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def left_running(self) -> list[int]:
        """List the processes that run on this data folder, of any parent."""
        mark = f"THUMBNAIL_INSTANCE={self.instance}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # Gone, or of another user.
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def stop(self) -> None:
        """Ask the processes to end, and end them if they do not."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill_one(process)

    def kill(self) -> None:
        """End the processes at once, where it does not matter how they end."""
        for process in self.processes.values():
            self.kill_one(process)

    def kill_one(self, process: subprocess.Popen[bytes]) -> None:
        """End a process at once, and what it started."""
        if process.poll() is not None:
            return  # Its number may be another's by now.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_end(servers: Servers, job_id: str, seconds: float = 20.0) -> None:
    """Wait until no image of a job waits or is worked on.

    To read the rows costs the servers nothing; each poll over HTTP costs them some milliseconds.
    """
    sql = "SELECT 1 FROM images WHERE job_id = ? AND status IN ('waiting', 'working')"
    wait_until(lambda: not servers.rows(sql, job_id), seconds, f"the end of job {job_id}")


def children_of(pid: int) -> list[int]:
    """List the process ids of a process's children, oldest first."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def decode_children_of(worker: int) -> list[int]:
    """List the decode children of a worker that have an image.

    One that waits for its image has four descriptors open: the standard ones and a socket.
    """
    return [
        child
        for server in children_of(worker)
        for child in children_of(server)
        if _count_open_files(child) > 4
    ]


def _count_open_files(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def descendants_of(pid: int) -> list[int]:
    """List the children of a process, their children, and so on."""
    children = children_of(pid)
    return [*children, *(below for child in children for below in descendants_of(child))]


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _peak_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@contextlib.contextmanager
def running(instance: Path, *names: str, **settings: object) -> Iterator[Servers]:
    """Run servers, or these processes, in the block; if it fails, print their log.

    They are killed: asked to end, they would wait some seconds for pages and images that are open.
    """
    servers = Servers(instance, **settings)
    try:
        servers.start(*names)
        yield servers
    except BaseException:
        print(servers.output())
        raise
    finally:
        servers.kill()
