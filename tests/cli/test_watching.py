"""Watch a folder: each finished file gets thumbnails, once, and whole."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from PIL import Image

from tests.support.images import make_animation, make_image, make_jpeg, make_truncated
from tests.support.servers import descendants_of, environment, is_alive, wait_until
from webapp.cli import watching
from webapp.cli.watching import Folder, Maker, only_watch
from webapp.config import ROOT, Config
from webapp.engine import decoder as decoding
from webapp.engine.decoder import Decoder
from webapp.recipes.outputs import Output, Recipe
from webapp.recipes.presets import PRESETS

OLD = 1_000_000_000.0  # A time long before any test.
SQUARE = PRESETS["square"].recipe


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def write(path: Path, data: bytes = b"") -> Path:
    """Write a file, in folders that may be new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data or make_jpeg(size=(300, 200)))
    return path


def files(folder: Path) -> list[str]:
    """List the paths of all files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestLook:
    @pytest.fixture
    def look(self, source: Path, out: Path) -> Callable[[], list[str]]:
        """Look, and name what is to be made."""
        folder = Folder(source, out)
        return lambda: [str(photo) for photo in folder.look()]

    def test_file_is_taken_once_it_is_the_same_in_two_looks(
        self, source: Path, look: Callable[[], list[str]]
    ) -> None:
        write(source / "a.jpg", b"half")
        assert look() == []
        write(source / "a.jpg", b"half, and the rest")
        assert look() == []
        assert look() == ["a.jpg"]
        assert look() == []

    def test_changed_file_is_taken_again(self, source: Path, look: Callable[[], list[str]]) -> None:
        write(source / "a.jpg")
        assert [look() for _ in range(2)][-1] == ["a.jpg"]
        write(source / "a.jpg", b"other")
        assert [look() for _ in range(3)] == [[], ["a.jpg"], []]

    def test_file_that_comes_back_is_taken_again(
        self, source: Path, look: Callable[[], list[str]]
    ) -> None:
        write(source / "a.jpg")
        assert [look() for _ in range(2)][-1] == ["a.jpg"]
        (source / "a.jpg").rename(source.parent / "a.jpg")
        look()
        (source.parent / "a.jpg").rename(source / "a.jpg")
        assert [look() for _ in range(2)][-1] == ["a.jpg"]

    @pytest.mark.parametrize(
        "name",
        [
            *(".a.jpg", ".trash/a.jpg", "a.jpg.part", "a.jpg.crdownload", "a.TMP", "~$a.jpg"),
            *("a.jpg~", "Thumbs.db", "desktop.ini"),
        ],
    )
    def test_hidden_and_temporary_files_are_ignored(
        self, source: Path, look: Callable[[], list[str]], name: str
    ) -> None:
        write(source / name)
        assert [look() for _ in range(2)] == [[], []]

    def test_folder_of_thumbnails_within_is_ignored(self, source: Path) -> None:
        folder = Folder(source, source / "out")
        write(source / "out" / "a.jpg-square.jpg")
        write(source / "a.jpg")
        assert [*folder.look(), *folder.look()] == [Path("a.jpg")]

    def test_loop_of_links_ends(self, source: Path, look: Callable[[], list[str]]) -> None:
        write(source / "sub" / "a.jpg")
        (source / "sub" / "loop").symlink_to(source)
        assert [look() for _ in range(2)][-1] == ["sub/a.jpg"]


class TestMake:
    @pytest.fixture
    def make(self, source: Path, out: Path, config: Config) -> Callable[..., str]:
        """Make the thumbnails of a file; return how it ended."""

        def make(name: str = "a.jpg", recipe: Recipe = SQUARE) -> str:
            maker = Maker(source, out, recipe, Decoder.from_config(config))
            return maker.make(Path(name)).end

        return make

    def test_thumbnails_are_in_the_folder_of_their_file(
        self, source: Path, out: Path, make: Callable[..., str]
    ) -> None:
        write(source / "2026" / "may" / "a.jpg")
        assert make("2026/may/a.jpg") == "made"
        assert files(out) == ["2026/may/a.jpg-square.jpg"]

    def test_thumbnails_of_no_two_files_have_the_same_name(
        self, source: Path, out: Path, make: Callable[..., str]
    ) -> None:
        names = ("x.jpg", "x.png", "x.jpg.jpeg", "x")
        for name in names:
            write(source / name)
            assert make(name) == "made"
        assert [make(name) for name in names] == ["there"] * 4
        assert len(files(out)) == 4

    def test_newer_thumbnails_are_left_alone(self, source: Path, make: Callable[..., str]) -> None:
        write(source / "a.jpg")
        assert [make(), make()] == ["made", "there"]

    def test_file_of_the_future_is_made_once(self, source: Path, make: Callable[..., str]) -> None:
        os.utime(write(source / "a.jpg"), (OLD * 3, OLD * 3))
        assert [make(), make()] == ["made", "there"]

    def test_small_photo_that_lacks_widths_is_made_once(
        self, source: Path, make: Callable[..., str]
    ) -> None:
        write(source / "a.jpg")
        recipe = PRESETS["web-set"].recipe
        assert [make(recipe=recipe), make(recipe=recipe)] == ["made", "there"]

    def test_animation_is_made_once(self, source: Path, make: Callable[..., str]) -> None:
        write(source / "a.gif", make_animation("gif"))
        recipe = Recipe((Output("a", 20, 20, format="source", animated=True),))
        assert [make("a.gif", recipe), make("a.gif", recipe)] == ["made", "there"]

    def test_another_size_is_added(self, source: Path, out: Path, make: Callable[..., str]) -> None:
        write(source / "a.jpg")
        make()
        assert make(recipe=Recipe((*SQUARE.outputs, *PRESETS["card"].recipe.outputs))) == "made"
        assert files(out) == ["a.jpg-card.webp", "a.jpg-square.jpg"]

    def test_changed_file_replaces_its_thumbnails(
        self, source: Path, out: Path, make: Callable[..., str]
    ) -> None:
        write(source / "a.jpg")
        make(recipe=Recipe((Output("a", 60, None),)))
        write(source / "a.jpg", make_jpeg(size=(200, 300)))
        assert make(recipe=Recipe((Output("a", 60, None),))) == "made"
        with Image.open(out / "a.jpg-a.jpg") as image:
            assert image.size == (60, 90)

    def test_file_that_is_replaced_by_an_older_one_is_made_again(
        self, source: Path, tmp_path: Path, make: Callable[..., str]
    ) -> None:
        write(source / "a.jpg")
        make()
        os.utime(write(tmp_path / "old.jpg"), (OLD, OLD))
        (tmp_path / "old.jpg").rename(source / "a.jpg")
        assert make() == "made"

    def test_file_that_changes_meanwhile_gets_no_thumbnails(
        self, source: Path, out: Path, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(source / "a.jpg")
        real = decoding.server.run

        def run(*args: Any, **options: Any) -> Any:
            write(source / "a.jpg", make_jpeg(size=(200, 300)))
            return real(*args, **options)

        monkeypatch.setattr(decoding.server, "run", run)
        assert (make(), files(out)) == ("changed", [])

    def test_file_that_is_gone_is_no_failure(self, make: Callable[..., str]) -> None:
        assert make() == "changed"

    def test_full_disk_is_no_failure_of_the_file(
        self, source: Path, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(source / "a.jpg")

        def run(*args: Any, **options: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(decoding.server, "run", run)
        assert make() == "full"

    def test_nothing_is_left_of_a_failure(
        self, source: Path, out: Path, make: Callable[..., str]
    ) -> None:
        write(source / "a.jpg", make_truncated())
        assert (make(), list(out.iterdir())) == ("failed", [])


def watch(app: Flask, *arguments: object) -> Result:
    return app.test_cli_runner().invoke(args=["thumbnails", "watch", *map(str, arguments)])


@pytest.mark.parametrize("out", [".", ".."])
def test_thumbnails_among_the_watched_files_are_an_error(
    app: Flask, source: Path, out: str
) -> None:
    result = watch(app, source, source / out, "--preset", "square", "--once")
    assert (result.exit_code, "OUT must be another folder than IN" in result.output) == (2, True)


def test_folder_has_one_watch(
    app: Flask, source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOCK_SECONDS", 0)
    with only_watch(out):
        result = watch(app, source, out, "--preset", "square", "--once")
    assert (result.exit_code, "Another watch" in result.output) == (1, True)


def test_recipe_is_checked_before_anything_is_made(app: Flask, source: Path, out: Path) -> None:
    result = watch(app, source, out, "--once")
    assert (result.exit_code, "Choose at least one size." in result.output) == (2, True)


class Process:
    """A watch in a process of its own, and what it wrote."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._log = folder / "watch.log"
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "thumbnails", "watch"]
        command += [str(folder / "in"), str(folder / "out"), "--preset", "square", *options]
        (folder / "instance").mkdir(exist_ok=True)
        with self._log.open("w") as log:
            self.popen = subprocess.Popen(
                [*command, "--interval", "0.1"],
                cwd=ROOT,
                env=environment(folder / "instance"),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def wait_for(self, words: str) -> None:
        """Wait until it wrote some words."""
        wait_until(lambda: words in self._log.read_text(), what=f"{words} in {self.lines()}")

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(20)


@pytest.fixture(scope="module")
def scan() -> bytes:
    """An image that takes long enough to be met at work."""
    return make_image("RGB", (4000, 3000), "PNG")


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Process]:
    """Run a watch during the block."""
    process = Process(folder, *options)
    try:
        yield process
    finally:
        process.popen.kill()
        process.popen.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("out")
class TestProcess:
    def test_once_makes_all_that_is_there_and_goes_on_after_a_restart(
        self, source: Path, out: Path, tmp_path: Path
    ) -> None:
        for name in ("a.jpg", "sub/b.jpg", ".c.jpg"):
            write(source / name)
        with running(tmp_path, "--once") as process:
            assert process.popen.wait(20) == 0, process.lines()
            *made, summary = process.lines()
        assert sorted(line.partition(":")[0] for line in made) == ["a.jpg", "sub/b.jpg"]
        assert summary.startswith("2 photos made into 2 thumbnails, ")
        assert files(out) == ["a.jpg-square.jpg", "sub/b.jpg-square.jpg"]
        with running(tmp_path, "--once") as process:
            assert process.popen.wait(20) == 0
            assert process.lines() == ["0 photos made into 0 thumbnails, 0 B; 2 done before."]
        assert not (tmp_path / "instance" / "jobs.db").exists()

    def test_once_ends_with_code_1_if_a_file_failed(
        self, source: Path, out: Path, tmp_path: Path
    ) -> None:
        write(source / "good.jpg")
        write(source / "cut.jpg", make_truncated())
        with running(tmp_path, "--once") as process:
            assert process.popen.wait(20) == 1
            assert "cut.jpg: This image is incomplete" in "\n".join(process.lines())
        assert files(out) == ["good.jpg-square.jpg"]

    def test_files_that_come_or_change_are_made_until_it_is_stopped(
        self, source: Path, out: Path, tmp_path: Path
    ) -> None:
        write(source / "first.jpg")
        write(source / "bad.jpg", b"words")
        with running(tmp_path) as process:
            process.wait_for("Watching for more.")
            write(source / "second.jpg")
            process.wait_for("second.jpg: 1 thumbnail")
            write(source / "bad.jpg")
            process.wait_for("bad.jpg: 1 thumbnail")
            assert process.end(signal.SIGTERM) == 0
            lines = process.lines()
        assert sum(line.startswith("bad.jpg: This is text") for line in lines) == 1
        assert lines[-1].startswith("3 photos made into 3 thumbnails")
        assert files(out) == ["bad.jpg-square.jpg", "first.jpg-square.jpg", "second.jpg-square.jpg"]

    def test_stop_finishes_the_files_in_hand(
        self, source: Path, out: Path, tmp_path: Path, scan: bytes
    ) -> None:
        for number in range(20):
            write(source / f"{number}.png", scan)
        with running(tmp_path, "--jobs", "1") as process:
            wait_until(lambda: files(out), what="a draft")
            os.killpg(process.popen.pid, signal.SIGINT)  # As a terminal does.
            assert process.popen.wait(20) == 0
            made = [path for path in files(out) if not path.startswith(".")]
            assert process.lines()[-1].startswith(f"{len(made)} photo")
        assert 0 < len(made) < 20
        assert files(out) == made

    def test_kill_leaves_no_half_file_and_no_process(
        self, source: Path, out: Path, tmp_path: Path, scan: bytes
    ) -> None:
        for number in range(4):
            write(source / f"{number}.png", scan)
        with running(tmp_path, "--jobs", "2") as process:
            wait_until(lambda: any(out.glob(".watch-*/*")), what="a draft")
            others = descendants_of(process.popen.pid)
            process.end(signal.SIGKILL)
            wait_until(lambda: not any(map(is_alive, others)), what="the end of all processes")
        assert any(out.glob(".watch-*"))
        check_whole(out)
        with running(tmp_path, "--once") as process:
            assert process.popen.wait(60) == 0, process.lines()
        assert files(out) == [f"{number}.png-square.jpg" for number in range(4)]
        check_whole(out)

    def test_killed_process_is_replaced(self, source: Path, out: Path, tmp_path: Path) -> None:
        write(source / "a.jpg")
        with running(tmp_path, "--jobs", "1") as process:
            process.wait_for("Watching for more.")
            (worker, *_) = descendants_of(process.popen.pid)
            os.kill(worker, signal.SIGKILL)
            write(source / "b.jpg")
            process.wait_for("b.jpg: 1 thumbnail")


def check_whole(out: Path) -> None:
    """Decode each thumbnail to its end."""
    for path in out.rglob("[!.]*.jpg"):
        if not path.parent.name.startswith("."):
            with Image.open(path) as image:
                image.load()
