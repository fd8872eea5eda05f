"""Every command of docs/http-api.md works, and answers as it says."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs
from tests.support.servers import Servers
from webapp.config import ROOT, Config
from webapp.jobs.tokens import create_token

pytestmark = pytest.mark.live

DOCUMENT = ROOT / "docs/http-api.md"
SERVER = "http://127.0.0.1:8000"
FENCED = re.compile(r"^```(console|sh|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "\x1e"


@dataclass
class Command:
    """A command for a shell, and what it prints; None if the document does not say."""

    text: str
    shown: str | None = None


def read_commands() -> list[Command]:
    """Read the commands of the document, in their order."""
    commands: list[Command] = []
    for kind, text in FENCED.findall(DOCUMENT.read_text()):
        if kind == "text":  # What the block before it prints.
            commands[-1].shown = text
        elif kind == "python":
            commands.append(Command(f"python - <<'EOF'\n{text}EOF"))
        elif kind == "sh":
            commands.append(Command(text.rstrip()))
        else:
            commands += read_session(text)
    return commands


def read_session(text: str) -> list[Command]:
    """Read commands after `$`, continued after a backslash, each with what it prints."""
    found = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    return [Command(command, shown) for command, shown in found]


COMMANDS = read_commands()


@pytest.fixture(scope="module")
def printed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Run all commands in one shell; return what each printed, and its exit status."""
    folder = tmp_path_factory.mktemp("document")
    for name in ("photo.jpg", "other.jpg"):
        (folder / name).write_bytes(make_jpeg(size=(1500, 1000)))
    jobs = open_jobs(Config(instance=servers.instance))
    token = create_token(jobs.store, "document")
    jobs.store.db.close()
    script = "".join(f"{one.text}\nprintf '{MARK}%d{MARK}' $?\n" for one in COMMANDS)
    done = subprocess.run(
        ["sh"],
        input=script.replace(SERVER, servers.url),
        cwd=folder,
        env={**os.environ, "TOKEN": str(token)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    print(done.stderr)
    parts = done.stdout.replace(servers.url, SERVER).replace("\r", "").split(MARK)
    return list(zip(parts[::2], parts[1::2], strict=False))


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=lambda n: COMMANDS[n].text[:60])
def test_command_prints_what_the_document_shows(
    printed: list[tuple[str, str]], number: int
) -> None:
    output, status = printed[number]
    assert status == "0"
    shown = COMMANDS[number].shown
    if shown is not None:
        pattern = ".*?".join(map(re.escape, shown.strip().split("…")))
        assert re.fullmatch(pattern, output.strip(), re.DOTALL), output


def test_document_is_read_whole() -> None:
    assert len(COMMANDS) > 25
    fences = re.findall(r"^```(\w+)$", DOCUMENT.read_text(), re.MULTILINE)
    # tests/jobs/test_webhooks.py runs that in JavaScript.
    assert set(fences) - {"js"} == {"console", "sh", "python", "text"}


def test_shell_function_of_the_document_is_that_of_the_server() -> None:
    served = Path(ROOT / "templates/docs/thumb.sh").read_text().replace("{{ origin }}", SERVER)
    assert served.rstrip() in [one.text for one in COMMANDS]
