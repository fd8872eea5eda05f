"""WebKitGTK's small browser on a screen of its own, driven over WebDriver."""

import http.client
import json
import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests.other_browsers.driver import Driver
from tests.support.servers import free_port, wait_until

DRIVER = "WebKitWebDriver"
SCREEN = "Xvfb"
_BROWSERS = Path("/usr/lib")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # As the standard calls a handle.


class WebKit(Driver):
    def __init__(self) -> None:
        self._port = free_port()
        self._session = ""
        self._exit = ExitStack()
        screen = self._start(
            [SCREEN, "-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
            stdout=subprocess.PIPE,
        )
        assert screen.stdout
        display = screen.stdout.readline().decode().strip()
        # The sandbox of its pages needs namespaces, which containers refuse.
        environ = {"DISPLAY": f":{display}", "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}
        self._start([DRIVER, f"--port={self._port}"], env={**os.environ, **environ})
        try:
            wait_until(self._is_ready, what=DRIVER)
            options = {"binary": str(_find_browser()), "args": ["--automation"]}
            wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
            created = self._command("POST", "/session", capabilities=wanted)
            self._session = f"/session/{created['sessionId']}"
        except BaseException:
            self.close()
            raise

    def open(self, url: str) -> None:
        self._post("/url", url=url)

    def call(self, function: str, *values: Any) -> Any:
        script = f"return ({function})(...arguments)"
        return self._post("/execute/sync", script=script, args=values)

    def find(self, function: str, *values: Any) -> Any:
        return self.call(function, *values)

    def click_on(self, element: Any) -> None:
        self._post(f"/element/{element[_ELEMENT]}/click")

    def choose(self, element: Any, files: Sequence[Path]) -> None:
        paths = "\n".join(str(file) for file in files)
        self._post(f"/element/{element[_ELEMENT]}/value", text=paths)

    def press(self, key: str) -> None:
        steps = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._post("/actions", actions=[{"type": "key", "id": "keyboard", "actions": steps}])

    def close(self) -> None:
        if self._session:
            self._command("DELETE", self._session)
        self._exit.close()

    def _start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process that ends with this browser."""
        quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, **{"stdout": subprocess.DEVNULL, **quiet, **options})
        self._exit.enter_context(process)  # Waits for its end.
        self._exit.callback(process.terminate)
        return process

    def _is_ready(self) -> bool:
        try:
            return bool(self._command("GET", "/status")["ready"])
        except OSError:
            return False

    def _post(self, path: str, **params: Any) -> Any:
        return self._command("POST", self._session + path, **params)

    def _command(self, method: str, path: str, **params: Any) -> Any:
        body = json.dumps(params) if method == "POST" else None
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as line:
            line.request(method, path, body, {"Content-Type": "application/json"})
            response = line.getresponse()
            value = json.loads(response.read())["value"]
        assert response.status == 200, value
        return value


def _find_browser() -> Path:
    """Return the newest small browser that WebKitGTK comes with."""
    return max(_BROWSERS.glob("*/webkit2gtk-*/MiniBrowser"))
