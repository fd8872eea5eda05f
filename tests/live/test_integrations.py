"""Other programs make jobs: the curl command of a job, and the examples."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from werkzeug.datastructures import FileStorage

from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs
from tests.support.pages import Page
from tests.support.servers import Client, Servers, running
from webapp.config import ROOT, Config
from webapp.exports.integrations import write_curl
from webapp.jobs.models import Job
from webapp.jobs.tokens import create_token

pytestmark = pytest.mark.live

PHOTO = make_jpeg(size=(2000, 1500))
HOSTILE = [
    '";type=text;x="a.jpg',
    "$(touch evil) `touch evil`.jpg",
    '@it\'s; 1,2 \t"x".jpg',
    "-",
    "-K\nevil.jpg",
    "<b>.jpg",
    "é \U0001f600 ✓.jpg",
]


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": 2, "max_jobs_per_hour": 1000}


def write_files(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).write_bytes(PHOTO)


def run(*command: str, folder: Path, token: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, and return what it printed."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **({"TOKEN": token} if token else {})},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def job_of(servers: Servers, job_id: str) -> Job:
    jobs = open_jobs(Config(instance=servers.instance))
    try:
        return jobs.job(job_id)
    finally:
        jobs.store.db.close()


def submit(client: Client, names: list[str], **fields: str) -> str:
    """Submit a job with files of these names, and return its id."""
    files = [FileStorage(BytesIO(PHOTO), filename=name) for name in names]
    answer = client.post("/api/v1/jobs", None, files=files, **fields)
    assert answer.status == 202, answer.body
    return answer.json["id"]  # type: ignore[no-any-return]


def command_on_page(client: Client, job_id: str) -> str:
    page = client.get(f"/jobs/{job_id}", accept="text/html").body.decode()
    return Page(page).one("#command").text()


@pytest.mark.parametrize("is_large", [False, True], ids=["in one request", "one by one"])
@pytest.mark.parametrize(
    "names",
    [
        ["photo.jpg"],
        HOSTILE[:3],
        HOSTILE[3:],
        ["a b.jpg", "c;d.jpg", "é,f[1].jpg", "$(touch evil).JPG"],
    ],
    ids=["plain", "hostile", "many hostile", "found"],
)
def test_command_of_a_job_makes_the_same_job(
    servers: Servers, client: Client, tmp_path: Path, names: list[str], is_large: bool
) -> None:
    recipe = '{"outputs": [{"width": 90, "height": 60, "fit": "cover", "focus": "smart"}]}'
    asked = job_of(servers, submit(client, names, preset="card", recipe=recipe, keep_hours="48"))
    write_files(tmp_path, [image.name for image in asked.images])  # A newline is not shown.
    command = command_on_page(client, asked.id)
    if is_large:
        command = write_curl(
            asked,
            (),
            f"{servers.url}/api/v1/jobs",
            retention_hours=24,
            max_request_bytes=1000,
            needs_token=False,
        )
    made = run("sh", "-c", command, folder=tmp_path)
    assert made.returncode == 0, made.stderr
    [[job_id]] = servers.rows("SELECT id FROM jobs ORDER BY created DESC LIMIT 1")
    assert job_id != asked.id
    job = job_of(servers, job_id)
    assert job.recipe == asked.recipe
    assert not job.is_open
    assert sorted(image.name for image in job.images) == sorted(i.name for i in asked.images)
    assert job.expires is not None
    assert round((job.expires - job.created).total_seconds()) == 48 * 3600
    assert not (tmp_path / "evil").exists()


EXAMPLES = [(sys.executable, "upload_folder.py"), ("sh", "upload_folder.sh")]


def run_example(
    command: tuple[str, str], servers: Servers, folder: Path, token: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run an example that uploads the folder `photos` of a folder."""
    (folder / "photos").mkdir(exist_ok=True)
    program, script = command
    path = str(ROOT / "examples" / script)
    return run(program, path, servers.url, "photos", "thumbnails.zip", folder=folder, token=token)


@pytest.fixture(scope="module")
def token(servers: Servers) -> str:
    jobs = open_jobs(Config(instance=servers.instance))
    token = create_token(jobs.store, "examples")
    jobs.store.db.close()
    assert token
    return token


@pytest.mark.parametrize("has_token", [False, True], ids=["cookie", "token"])
@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: command[1])
def test_example_uploads_a_folder_and_downloads_the_zip(
    servers: Servers, tmp_path: Path, command: tuple[str, str], has_token: bool, token: str
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    write_files(photos, ["b.jpg", "a & b[1].jpg", "é.jpg"])
    (photos / "notes.txt").write_text("words")
    done = run_example(command, servers, tmp_path, token if has_token else "")
    assert "b.jpg" in done.stdout
    assert "notes.txt" not in done.stdout
    assert "notes.txt" in done.stderr
    assert "not an image" in done.stderr
    assert done.returncode == 1  # As a file was left out.
    with ZipFile(tmp_path / "thumbnails.zip") as archive:
        names = archive.namelist()
    for stem in ("b", "a & b[1]", "é"):
        assert len([name for name in names if name.startswith(f"thumbnails/{stem}-")]) == 8, names
    [[owner]] = servers.rows("SELECT owner FROM jobs ORDER BY created DESC LIMIT 1")
    assert owner.startswith("token:") is has_token


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Run servers that have no thread to wait, so that programs must ask again."""
    instance = tmp_path_factory.mktemp("busy") / "instance"
    with running(instance, workers=1, web_threads=1) as servers:
        yield servers


def reads_of_newest_job(servers: Servers) -> int:
    """Count how often the job that was created last was read."""
    [[job_id]] = servers.rows("SELECT id FROM jobs ORDER BY created DESC LIMIT 1")
    return servers.output().count(f"method=GET path=/api/v1/jobs/{job_id} ")


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: command[1])
def test_example_pauses_between_reads_of_a_job(
    busy: Servers, tmp_path: Path, scan: bytes, command: tuple[str, str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/scan.png").write_bytes(scan)
    began = time.monotonic()
    done = run_example(command, busy, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert 1 <= reads_of_newest_job(busy) <= time.monotonic() - began + 1


def test_examples_end_with_the_reason(servers: Servers, tmp_path: Path) -> None:
    for command in EXAMPLES:
        done = run_example(command, servers, tmp_path)  # Without photos, there is no job to close.
        assert done.returncode == 1
        assert "had no images" in done.stderr


def thumb(servers: Servers, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call the function of the documentation in a shell."""
    with closing(servers.client()) as client:
        page = Page(client.get("/docs", accept="text/html").body.decode())
    return run("sh", "-c", f'{page.one("#thumb").text()}\nthumb "$@"', "sh", *words, folder=folder)


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["my $photo.jpg"], "my $photo-card.webp"),
        (["my $photo.jpg", "square"], "my $photo-square.jpg"),
        (["my $photo.jpg", "web-set"], "my $photo-web-set.zip"),
    ],
)
def test_shell_function_writes_a_file_beside_the_photo(
    servers: Servers, tmp_path: Path, words: list[str], made: str
) -> None:
    write_files(tmp_path, ["my $photo.jpg"])
    done = thumb(servers, tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {file.name for file in tmp_path.iterdir()} == {"my $photo.jpg", made}
    data = (tmp_path / made).read_bytes()
    assert data.startswith({"webp": b"RIFF", "jpg": b"\xff\xd8", "zip": b"PK"}[made.split(".")[-1]])


@pytest.mark.parametrize(
    ("preset", "made"), [("card", "scan-card.webp"), ("web-set", "scan-web-set.zip")]
)
def test_shell_function_asks_again_until_the_job_is_finished(
    busy: Servers, tmp_path: Path, scan: bytes, preset: str, made: str
) -> None:
    (tmp_path / "scan.png").write_bytes(scan)
    began = time.monotonic()
    done = thumb(busy, tmp_path, "scan.png", preset)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {file.name for file in tmp_path.iterdir()} == {"scan.png", made}
    assert 1 <= reads_of_newest_job(busy) <= time.monotonic() - began + 1


REFUSED = {
    "no image": (b"words", "not an image"),
    "empty": (b"", "empty"),
    "damaged in the middle": (PHOTO[: len(PHOTO) // 2], "is incomplete"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_shell_function_says_why_it_fails(
    servers: Servers, tmp_path: Path, data: bytes, reason: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    done = thumb(servers, tmp_path, "a.jpg")
    assert done.returncode != 0
    assert reason in done.stderr
    assert done.stderr.endswith(".\n")
    assert done.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.jpg"]
