"""Firefox, driven over WebDriver BiDi (w3.org/TR/webdriver-bidi)."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.other_browsers.driver import HOST, Died, Driver, Refused
from tests.support.servers import wait_until

BINARY = "firefox-esr"
SIZE = {"width": 1280, "height": 900}
_LISTENING = re.compile(r"WebDriver BiDi listening on (\S+)")


class Firefox(Driver):
    def __init__(self, profile: Path, preferences: Mapping[str, Any] | None = None) -> None:
        profile.mkdir()
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in (preferences or {}).items()
        ]
        (profile / "user.js").write_text("".join(lines))
        log = profile / "log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [BINARY, "--headless", "--remote-debugging-port=0", "--profile", str(profile)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._exit = ExitStack()
        self._exit.callback(self._end)
        try:
            found = wait_until(
                lambda: _LISTENING.search(log.read_text()), seconds=60, what="Firefox"
            )
            line = connect(f"{found[1]}/session", max_size=None)
            self._socket = self._exit.enter_context(line)
            self._count = 0
            self._command("session.new", capabilities={})
            # The tab that Firefox opens itself leaves the focus to the address bar.
            self._page = self._command("browsingContext.create", type="tab")["context"]
            self._tell("browsingContext.setViewport", viewport=SIZE)
        except BaseException:
            self.close()
            raise

    def open(self, url: str) -> None:
        self._tell("browsingContext.navigate", url=url, wait="complete")

    def reload(self) -> None:
        self._tell("browsingContext.reload", wait="complete")

    def go(self, steps: int) -> None:
        self._tell("browsingContext.traverseHistory", delta=steps)

    def call(self, function: str, *values: Any) -> Any:
        expression = f"({function})(...{json.dumps(values)})"
        answer = self._tell(
            "script.evaluate",
            # As JSON: the protocol's own values are trees of types.
            expression=f"""((value) => value instanceof Promise ? value.then(JSON.stringify)
                : JSON.stringify(value ?? null))({expression})""",
            target={"context": self._page},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise Refused(answer)
        return json.loads(answer["result"]["value"])

    def choose(self, field: str, files: Sequence[Path]) -> None:
        locator = {"type": "css", "value": field}
        [element] = self._tell("browsingContext.locateNodes", locator=locator)["nodes"]
        paths = [str(file) for file in files]
        self._tell("input.setFiles", element={"sharedId": element["sharedId"]}, files=paths)

    def perform(self, kind: str, *steps: dict[str, Any]) -> None:
        self._tell(
            "input.performActions", actions=[{"type": kind, "id": kind, "actions": list(steps)}]
        )

    def forget(self) -> None:
        self._command("storage.deleteCookies")

    def set_cookie(self, name: str, value: str) -> None:
        text = {"type": "string", "value": value}
        self._command("storage.setCookie", cookie={"name": name, "value": text, "domain": HOST})

    def close(self) -> None:
        self._exit.close()

    def _end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _tell(self, method: str, **params: Any) -> Any:
        """Send a command for the page."""
        return self._command(method, context=self._page, **params)

    def _command(self, method: str, **params: Any) -> Any:
        self._count += 1
        try:
            self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
            answer: dict[str, Any] = {}
            while answer.get("id") != self._count:
                answer = json.loads(self._socket.recv(timeout=60))
        except ConnectionClosed as error:
            raise Died(f"{BINARY} ended with {self.process.wait(20)}") from error
        if answer["type"] != "success":
            raise Refused(answer)
        return answer["result"]
