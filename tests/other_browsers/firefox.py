"""Firefox, driven over WebDriver BiDi (w3.org/TR/webdriver-bidi), which it speaks itself."""

import json
import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.other_browsers.driver import Driver
from tests.support.servers import wait_until

BINARY = "firefox-esr"
_LISTENING = re.compile(r"WebDriver BiDi listening on (\S+)")


class Firefox(Driver):
    def __init__(self, profile: Path) -> None:
        profile.mkdir()
        log = profile / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [BINARY, "--headless", "--remote-debugging-port=0", "--profile", str(profile)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._exit = ExitStack()
        self._exit.callback(self._end)
        try:
            found = wait_until(lambda: _LISTENING.search(log.read_text()), what="Firefox")
            line = connect(f"{found[1]}/session", max_size=None)
            self._socket = self._exit.enter_context(line)
            self._count = 0
            self._command("session.new", capabilities={})
            self._page = self._command("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self.close()
            raise

    def open(self, url: str) -> None:
        self._command("browsingContext.navigate", context=self._page, url=url, wait="complete")

    def call(self, function: str, *values: Any) -> Any:
        # As JSON: the protocol's own values are trees of types.
        as_json = f"(...values) => JSON.stringify(({function})(...values) ?? null)"
        return json.loads(self._run(as_json, values)["value"])

    def find(self, function: str, *values: Any) -> Any:
        return self._run(function, values).get("sharedId")

    def click_on(self, element: Any) -> None:
        handle = {"sharedId": element}
        self._run('(element) => element.scrollIntoView({ block: "center" })', [handle])
        move = {"type": "pointerMove", "x": 0, "y": 0}
        steps = [
            {**move, "origin": {"type": "element", "element": handle}},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._perform({"type": "pointer", "id": "mouse", "actions": steps})

    def choose(self, element: Any, files: Sequence[Path]) -> None:
        paths = [str(file) for file in files]
        self._command(
            "input.setFiles", context=self._page, element={"sharedId": element}, files=paths
        )

    def press(self, key: str) -> None:
        steps = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._perform({"type": "key", "id": "keyboard", "actions": steps})

    def close(self) -> None:
        self._exit.close()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _perform(self, actions: dict[str, Any]) -> None:
        self._command("input.performActions", context=self._page, actions=[actions])

    def _run(self, function: str, values: Sequence[Any]) -> Any:
        answer = self._command(
            "script.callFunction",
            functionDeclaration=function,
            arguments=[_local(value) for value in values],
            target={"context": self._page},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return answer["result"]

    def _command(self, method: str, **params: Any) -> Any:
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._count:
                assert answer["type"] == "success", answer
                return answer["result"]


def _local(value: Any) -> Any:
    """Describe an argument in the protocol's words; handles of elements are described already."""
    if isinstance(value, dict):
        return value
    kind = "string" if isinstance(value, str) else "number"
    return {"type": kind, "value": value}
