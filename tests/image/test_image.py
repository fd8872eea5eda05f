"""The image of the Dockerfile: built without an engine, and run as its configuration says."""

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image as Picture

from tests.support.container import Container, Image, build_image, missing_tools, storage
from tests.support.images import make_jpeg
from tests.support.servers import Client, descendants_of
from webapp.config import MB, ROOT

# Always the same: buildah's cache does not see that an ARG in a LABEL has another value.
BUILT = {"VERSION": "1.2.3", "REVISION": "0" * 40, "SOURCE": "https://git.example/thumbnails"}

# What compose.yaml and the documented `docker run` give the server to stop.
STOP_SECONDS = 45


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    sentence = missing_tools()
    assert not sentence, sentence
    with storage():
        started = time.monotonic()
        image = build_image(**BUILT)
        print(f"\nBuilt in {time.monotonic() - started:.0f} s. Layers, uncompressed, base first:")
        for layer, size in image.layers():
            print(f"{size / MB:7.1f} MB  {layer[:80]}")
        yield image


@pytest.fixture(scope="module")
def root(image: Image) -> Path:
    return image.mount()


@pytest.fixture(scope="module")
def container(
    image: Image, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    container = Container(image, root, tmp_path_factory.mktemp("image") / "volumes")
    try:
        container.start()
        print(f"\nHealthy {container.startup_seconds:.1f} s after its start,", end=" ")
        print(f"with {container.memory() / MB:.0f} MB of memory.")
        yield container
    except BaseException:
        print(container.output())
        raise
    finally:
        container.kill()


@pytest.fixture
def client(container: Container) -> Iterator[Client]:
    with closing(container.client()) as client:
        yield client


def test_image_has_no_compiler_no_pip_and_no_tools_of_the_build(root: Path) -> None:
    programs = {path.name for path in (*root.glob("usr/bin/*"), *root.glob("venv/bin/*"))}
    assert not programs & {"gcc", "cc", "make", "ld", "as", "pip", "pip3"}
    assert not list(root.glob("venv/lib/*/site-packages/setuptools"))
    assert not list(root.glob("root/.cache/*"))
    assert not (root / "build").exists()


def test_image_carries_no_data(root: Path) -> None:
    assert not list(root.glob("data/*"))
    assert not list(root.glob("tmp/*"))
    assert not list(root.glob("app/instance"))


def test_labels_say_what_was_built_and_from_where(image: Image) -> None:
    labels = {name.rpartition(".")[2]: value for name, value in image.labels.items()}
    assert {name: labels[name.lower()] for name in BUILT} == BUILT
    assert labels["documentation"] == f"{labels['source']}/blob/main/docs/deploy-docker.md"


def test_server_has_no_capabilities_and_can_gain_none(container: Container) -> None:
    for pid in (container.pid, *descendants_of(container.pid)):
        facts = dict(re.findall(r"(\w+):\t(.*)", Path(f"/proc/{pid}/status").read_text()))
        assert facts["Uid"].split() == facts["Gid"].split() == ["10001"] * 4
        assert facts["NoNewPrivs"] == "1"
        assert int(facts["CapPrm"], 16) == int(facts["CapBnd"], 16) == 0


def test_server_can_write_to_its_volume_alone(container: Container) -> None:
    for folder in ("/app", "/venv", "/tmp", "/etc", "/usr/local"):
        assert container.execute("touch", f"{folder}/file").returncode == 1, folder
    assert container.execute("touch", "/data/file").returncode == 0


def test_user_of_the_image_could_not_change_the_code_of_a_writable_root(root: Path) -> None:
    for path in [*root.glob("app/**/*"), *root.glob("venv/**/*")]:
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (0, 0), path
        assert path.is_symlink() or not status.st_mode & 0o022, path


def test_volume_belongs_to_the_user_of_the_image_alone(root: Path) -> None:
    status = (root / "data").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (10001, 10001, 0o750)


def test_upload_becomes_a_thumbnail(client: Client) -> None:
    job_id = client.submit(make_jpeg((640, 480)))
    client.wait_for(job_id)
    answer = client.get(f"/download_thumbnail/{job_id}")
    assert answer.status == 200
    with Picture.open(BytesIO(answer.body)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (100, 100))


def test_server_warns_of_nothing(container: Container, client: Client) -> None:
    client.wait_for(client.submit(make_jpeg((640, 480))))
    assert not re.findall(r"^.* (?:WARNING|ERROR) .*$", container.output(), re.MULTILINE)


def test_malloc_of_the_procfile_is_that_of_the_container(container: Container) -> None:
    for pid in descendants_of(container.pid):
        environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
        assert "GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in environ


def test_what_a_start_imports_is_compiled(container: Container) -> None:
    list_stale = """
import os, sys
import gunicorn.app.wsgiapp, gunicorn.workers.gthread, huey.bin.huey_consumer
import webapp.serve, webapp.consumer, webapp.web, webapp.engine.decode_server, wsgi
for name, module in sorted(sys.modules.items()):
    cached = getattr(getattr(module, "__spec__", None), "cached", None)
    if cached and not os.path.exists(cached):
        print(name)
"""
    listed = container.execute("python3", "-c", list_stale)
    assert (listed.stdout, listed.stderr) == (b"", b"")


def test_health_check_of_the_image_passes(container: Container) -> None:
    assert container.check_health() == 0


def test_stop_signal_ends_the_server_gracefully_and_loses_nothing(
    image: Image, root: Path, tmp_path: Path
) -> None:
    container = Container(image, root, tmp_path / "volumes")
    try:
        container.start()
        with closing(container.client()) as client:
            job_ids = [client.submit(make_jpeg((3000, 2000))) for _ in range(3)]
        assert container.stop(STOP_SECONDS) == 0
        container.start()
        with closing(container.client()) as client:
            for job_id in job_ids:
                client.wait_for(job_id)
    finally:
        container.kill()


def test_backup_by_the_documented_commands_is_restored_into_an_empty_volume(
    image: Image, root: Path, container: Container, client: Client, tmp_path: Path
) -> None:
    job_id = client.submit(make_jpeg((640, 480)))
    client.wait_for(job_id)
    thumbnail = client.get(f"/download_thumbnail/{job_id}").body

    backup, check = documented("exec")
    done = container.execute(*shlex.split(backup.removesuffix(" >thumbnails.tar")))
    assert done.returncode == 0, done.stderr

    restored = Container(image, root, tmp_path / "volumes")
    [line] = documented("run")
    restored.run(*shlex.split(line.removesuffix(" <thumbnails.tar")), stdin=done.stdout)
    try:
        restored.start()
        with closing(restored.client()) as client:
            assert client.get(f"/download_thumbnail/{job_id}").body == thumbnail
        assert restored.execute(*shlex.split(check)).returncode == 0
    finally:
        restored.kill()


def documented(kind: str) -> list[str]:
    """List the commands for a backup that the page runs in a container."""
    page = (ROOT / "docs/deploy-docker.md").read_text()
    section = page.partition("## Back up and restore")[2].partition("\n## ")[0]
    return re.findall(rf"^docker compose {kind}(?: -\S+)* thumbnails (.+)$", section, re.MULTILINE)
