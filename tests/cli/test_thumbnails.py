"""Make thumbnails from files, without a server."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from PIL import Image

from tests.support.images import make_animation, make_jpeg
from webapp.engine import decoder
from webapp.sandbox.client import Failed


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(make_jpeg(size=(300, 200)))
    return path


def make(app: Flask, *arguments: object) -> Result:
    runner = app.test_cli_runner()
    return runner.invoke(args=["thumbnails", "make", *map(str, arguments)])


def test_presets_and_sizes_are_written_to_the_folder(
    app: Flask, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "folder"
    result = make(app, photo, "--preset", "square", "--width", "60", "--out", out)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["photo-60w.jpg", "photo-square.jpg"]
    with Image.open(out / "photo-60w.jpg") as image:
        assert image.size == (60, 40)


def test_table_lists_what_was_made(app: Flask, photo: Path, tmp_path: Path) -> None:
    output = make(app, photo, "--width", "60", "--format", "webp", "--out", tmp_path).output
    heading, row = output.strip().splitlines()[-2:]
    assert heading.split() == ["Thumbnail", "Size", "Format", "Quality", "Bytes", "Saved"]
    assert row.split()[:6] == [str(tmp_path / "photo-60w.webp"), "60", "×", "40", "WebP", "80"]


def test_removed_location_is_reported(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "here.jpg").write_bytes(make_jpeg(gps=True))
    output = make(app, tmp_path / "here.jpg", "--width", "60", "--out", tmp_path).output
    assert f"{tmp_path / 'here.jpg'}: GPS removed." in output


def test_every_field_of_the_form_is_an_option(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(make_animation("gif"))
    options = ("--width", 20, "--height", 20, "--fit", "cover", "--focus", "0,0.5")
    more = (
        "--format",
        "webp",
        "--animated",
        "--keep-copyright",
        "--color",
        "keep",
        "--out",
        tmp_path,
    )
    result = make(app, tmp_path / "a.gif", *options, *more)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a-20x20-cover.webp") as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]


def test_failed_file_is_reported_and_the_others_are_made(
    app: Flask, photo: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "notes.jpg"
    bad.write_text("only words")
    missing = tmp_path / "missing.jpg"
    out = tmp_path / "out"
    result = make(app, bad, missing, tmp_path, photo, "--preset", "square", "--out", out)
    assert result.exit_code == 1
    assert f"{tmp_path}: This is a folder." in result.output
    assert "notes.jpg: This is text" in result.output
    assert "missing.jpg: No such file." in result.output
    assert [path.name for path in out.iterdir()] == ["photo-square.jpg"]


def test_internal_error_is_one_line_and_the_others_are_made(
    app: Flask, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = decoder.server.run
    answers = iter([Failed("Traceback\n  in a\nKeyError: 'b'\n")])

    def run(*args: Any, **options: Any) -> Any:
        for error in answers:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(decoder.server, "run", run)
    result = make(app, photo, photo, "--preset", "square", "--out", tmp_path)
    assert result.exit_code == 1
    assert "photo.jpg: Internal error: KeyError: 'b'\n" in result.output
    assert "photo-square.jpg" in result.output


def test_folder_that_cannot_be_created_is_an_error(app: Flask, photo: Path) -> None:
    result = make(app, photo, "--width", 60, "--out", photo / "out")
    assert (result.exit_code, "The folder cannot be created" in result.output) == (1, True)


def test_existing_files_are_kept(app: Flask, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        make(app, photo, "--preset", "square", "--out", out)
    assert sorted(path.name for path in out.iterdir()) == [
        "photo-square (1).jpg",
        "photo-square.jpg",
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--width", "0"], "The width must be from 1 to 4096 pixels."),
        ([], "Choose at least one size."),
        (["--preset", "huge"], "huge"),
        (
            ["--preset", "square", "--max-kb", "5", "--enlarge"],
            "Give --width or --height too: presets do not take --max-kb, --enlarge.",
        ),
        (["--width", "60", "--focus", "left"], "The focal point must be smart, or two numbers"),
    ],
    ids=str,
)
def test_wrong_option_is_an_error(
    app: Flask, photo: Path, options: list[str], sentence: str
) -> None:
    result = make(app, photo, *options)
    assert result.exit_code == 2
    assert sentence in result.output
