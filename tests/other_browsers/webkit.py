"""WebKitGTK's small browser on a screen of its own, driven over WebDriver."""

import http.client
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests.other_browsers.driver import HOST, Driver, Refused
from tests.support.servers import free_port, wait_until

DRIVER = "WebKitWebDriver"
SCREEN = "Xvfb"
SIZE = {"width": 1280, "height": 1000}
_BROWSERS = Path("/usr/lib")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # As the standard calls a handle.


class WebKit(Driver):
    def __init__(
        self, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self._port = free_port()
        self._session = ""
        self._exit = ExitStack()
        screen = self._start(
            [SCREEN, "-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
            stdout=subprocess.PIPE,
        )
        assert screen.stdout
        display = screen.stdout.readline().decode().strip()
        environ = {
            **os.environ,
            **(environment or {}),
            "DISPLAY": f":{display}",
            # The sandbox of its pages needs namespaces, which containers refuse.
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
        }
        self._start([DRIVER, f"--port={self._port}"], env=environ)
        try:
            wait_until(self._is_ready, what=DRIVER)
            browser = {"binary": str(_find_browser()), "args": ["--automation", *options]}
            wanted = {"alwaysMatch": {"webkitgtk:browserOptions": browser}}
            created = self._command("POST", "/session", capabilities=wanted)
            self._session = f"/session/{created['sessionId']}"
            self._post("/window/rect", **SIZE)
        except BaseException:
            self.close()
            raise

    def open(self, url: str) -> None:
        self._post("/url", url=url)
        self.wait_for("() => document.readyState === 'complete'")  # It does not always wait.

    def reload(self) -> None:
        self._post("/refresh")

    def go(self, steps: int) -> None:
        self._post("/back" if steps < 0 else "/forward")

    def call(self, function: str, *values: Any) -> Any:
        script = f"return ({function})(...arguments)"
        return self._post("/execute/sync", script=script, args=values)

    def choose(self, field: str, files: Sequence[Path]) -> None:
        element = self._post("/element", using="css selector", value=field)[_ELEMENT]
        self._post(f"/element/{element}/value", text="\n".join(str(file) for file in files))

    def perform(self, kind: str, *steps: dict[str, Any]) -> None:
        self._post("/actions", actions=[{"type": kind, "id": kind, "actions": steps}])

    def forget(self) -> None:
        # The driver answers before they are removed, and would remove what is set meanwhile.
        if self._cookies():
            self._command("DELETE", f"{self._session}/cookie")
            wait_until(lambda: not self._cookies(), what="no cookies")

    def set_cookie(self, name: str, value: str) -> None:
        # The driver's own command sets none for an address of numbers. The process that sends
        # requests has a cookie of the page's script only some time later.
        self.call("(cookie) => { document.cookie = `${cookie}; path=/`; }", f"{name}={value}")
        wait_until(lambda: value in [cookie["value"] for cookie in self._cookies()], what=name)

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

    def _cookies(self) -> Any:
        return self._command("GET", f"{self._session}/cookie")

    def _post(self, path: str, **params: Any) -> Any:
        return self._command("POST", self._session + path, **params)

    def _command(self, method: str, path: str, **params: Any) -> Any:
        body = json.dumps(params) if method == "POST" else None
        with closing(http.client.HTTPConnection(HOST, self._port, timeout=60)) as line:
            line.request(method, path, body, {"Content-Type": "application/json"})
            response = line.getresponse()
            value = json.loads(response.read())["value"]
        if response.status != 200:
            raise Refused(value)
        return value


def _find_browser() -> Path:
    """Return the newest small browser that WebKitGTK comes with."""
    return max(_BROWSERS.glob("*/webkit2gtk-*/MiniBrowser"))
