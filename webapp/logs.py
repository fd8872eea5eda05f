"""Log lines of the web server and the consumer: text, or one JSON object a line.

The message is the event. The job, the image and the request are fields, given as `extra`. Text from
clients (file names, paths) is escaped, so that it cannot forge a line or send control codes to a
terminal.
"""

import json
import logging
import math
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from webapp.config import Config

# The current request; None in the consumer.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_PLAIN = re.compile(r'[^ "=\\]+')
_OWN_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "rarely"}

# `extra` of a warning that any request can cause.
RARELY = {"rarely": True}
_RARE_SECONDS = 60


def configure(config: Config, process: str) -> None:
    """Write all log lines of this process and of its forks to standard error.

    Libraries log INFO at most: Pillow's DEBUG lines contain what is in the files.
    """
    level = logging.getLevelNamesMapping()[config.log_level.upper()]
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(_json_line if config.log_format == "json" else _line, process))
    handler.setLevel(level)
    handler.addFilter(RareLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("webapp").setLevel(level)


class RareLines(logging.Filter):
    """Drop a `RARELY` line that was written less than a minute ago, for the same reason."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[str, str | None], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line."""
        if not hasattr(record, "rarely"):
            return True
        key = record.msg, getattr(record, "reason", None)
        now = time.monotonic()
        if now - self._written.get(key, -math.inf) < _RARE_SECONDS:
            return False
        self._written[key] = now
        return True


class Formatter(logging.Formatter):
    """Format a record as one line, with `write`."""

    def __init__(self, write: Callable[[dict[str, Any]], str], process: str) -> None:
        super().__init__()
        self._write = write
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return a line with the fields of a record that are not None."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **{key: value for key, value in vars(record).items() if key not in _OWN_FIELDS},
            "traceback": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return self._write({key: value for key, value in fields.items() if value is not None})


def _json_line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, default=str)


def _line(fields: dict[str, Any]) -> str:
    """Format fields for people: the message, `key=value`, an indented traceback."""
    heads = ("time", "level", "process", "pid", "logger", "message")
    time, level, process, pid, _, message = (fields.pop(key) for key in heads)
    traceback = fields.pop("traceback", "").splitlines()
    values = "".join(f" {key}={_quoted(str(value))}" for key, value in fields.items())
    first = f"{time} {level} {process}[{pid}] {escape(message)}{values}"
    return "\n  ".join([first, *map(escape, traceback)])


def _quoted(value: str) -> str:
    """Quote a value that is empty or has spaces, quotes or control characters."""
    if _PLAIN.fullmatch(value) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())


def escape(text: str) -> str:
    """Escape what a terminal would not print as it is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
