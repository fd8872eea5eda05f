"""A server of an owner, which receives webhooks on the loopback address."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.servers import free_port

# The npm packages of Standard Webhooks and what it needs, as npm installs them.
PACKAGES = Path(__file__).parent / "npm"

_VERIFY = """
const {Webhook} = require("standardwebhooks");
const {secret, body, headers} = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
"""


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def verified_by_npm(self, secret: str) -> Any:
        """Return what npm's package of Standard Webhooks reads of it, or None."""
        request = {"secret": secret, "body": self.body, "headers": dict(self.headers)}
        found = subprocess.run(
            ["node", "-e", _VERIFY],
            input=json.dumps(request),
            env={"NODE_PATH": str(PACKAGES), "PATH": "/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        if found.returncode:
            assert "WebhookVerificationError" in found.stderr, found.stderr
            return None
        return json.loads(found.stdout)


@dataclass
class Receiver:
    """Answers with statuses in their order; the last one is for all that follow."""

    port: int
    statuses: Sequence[int] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0  # That it takes before it answers.
    meanwhile: Callable[[], object] = lambda: None  # What happens before it answers.
    received: list[Received] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The address that a job gets as its callback."""
        return f"http://127.0.0.1:{self.port}/hook?key=1"

    def start(self) -> None:
        """Start it, in a thread."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Keep a request, and answer it."""
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        status = self.statuses[min(len(self.received), len(self.statuses) - 1)]
        self.received.append(Received(request.path, dict(request.headers), body))
        self.meanwhile()
        time.sleep(self.seconds)
        request.send_response(status)
        for name, value in {"Content-Length": "0", **self.headers}.items():
            request.send_header(name, value)
        request.end_headers()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(free_port())
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
