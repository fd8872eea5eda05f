"""WebKitGTK's small browser on a screen of its own, driven over WebDriver."""

import http.client
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from tests.other_browsers.driver import HOST, Died, Driver, Refused
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
        # Reading it moves no place where processes write: they write to its end.
        self._log = self._exit.enter_context(tempfile.TemporaryFile("a+b"))  # noqa: SIM115
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
            "WEBKIT_DEBUG": "IPC,Process",  # It logs why a process of its own ended.
        }
        command = [DRIVER, f"--port={self._port}"]
        self.process = self._start(command, env=environ, stdout=self._log, stderr=self._log)
        try:
            wait_until(self._is_ready, what=DRIVER)
            # Otherwise, where there is no graphics card, threads of each page's process draw with
            # code that Mesa compiles. One was seen to crash in libLLVM.
            arguments = ["--automation", "--hardware-acceleration-policy=never", *options]
            browser = {"binary": str(_find_browser()), "args": arguments}
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
        with self._exit, suppress(Died, TimeoutError):
            if self._session:
                self._command("DELETE", self._session)

    def _start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process that ends with this browser."""
        quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, **{"stdout": subprocess.DEVNULL, **quiet, **options})
        self._exit.enter_context(process)  # Waits for its end.
        self._exit.callback(process.terminate)
        return process

    def _is_ready(self) -> bool:
        with suppress(Died):  # It does not listen yet.
            return bool(self._command("GET", "/status")["ready"])
        return False

    def _cookies(self) -> Any:
        return self._command("GET", f"{self._session}/cookie")

    def _post(self, path: str, **params: Any) -> Any:
        return self._command("POST", self._session + path, **params)

    def _command(self, method: str, path: str, **params: Any) -> Any:
        body = json.dumps(params) if method == "POST" else None
        try:
            with closing(http.client.HTTPConnection(HOST, self._port, timeout=60)) as line:
                line.request(method, path, body, {"Content-Type": "application/json"})
                response = line.getresponse()
                value = json.loads(response.read())["value"]
        except (ConnectionError, http.client.HTTPException) as error:
            raise Died(f"{DRIVER} ended") from error
        if response.status == 200:
            return value
        if value["error"] == "invalid session id":
            raise Died(f"{value}\n{self._tell_errors()}")
        if value["error"] == "unknown error" and self._session:
            # So it first answers when the browser ends. Then it cannot tell what it knows itself.
            self._command("GET", f"{self._session}/timeouts")
        raise Refused(value)

    def _tell_errors(self) -> str:
        """Return the errors that the browser logged."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if ":err]" in line or ":crit]" in line)


def _find_browser() -> Path:
    """Return the newest small browser that WebKitGTK comes with."""
    return max(_BROWSERS.glob("*/webkit2gtk-*/MiniBrowser"))
