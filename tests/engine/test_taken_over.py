"""An image that takes over its decode child gains only its own thumbnails."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.support import attacker
from tests.support.images import make_jpeg, make_png
from tests.support.jobs import claims_of, files_left, job_at, submit, work, work_once
from tests.support.people import Person
from webapp.config import Config
from webapp.engine import decoder
from webapp.engine.errors import ImageError
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Image
from webapp.jobs.trials import Trial, work_on_trial
from webapp.jobs.work import MAX_ATTEMPTS, Claims
from webapp.recipes.outputs import Output, Recipe
from webapp.sandbox import client
from webapp.sandbox.client import ForkServer

pytestmark = pytest.mark.slow

SECRETS = {
    "THUMBNAIL_SECRET_KEY": "the-key-that-signs-the-sessions-of-all",
    "THUMBNAIL_METRICS_TOKEN": "the-token-that-opens-the-metrics",
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Start the worker with an environment full of secrets."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return Config(
        instance=tmp_path / "instance",
        secret_key=SECRETS["THUMBNAIL_SECRET_KEY"],
        metrics_token=SECRETS["THUMBNAIL_METRICS_TOKEN"],
        decode_seconds=3,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer("tests.support.attacker")
    yield server
    server.stop()


@pytest.fixture
def take_over(
    person: Person, jobs: Jobs, server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Image]:
    """Submit an image that takes over its decode child, and return its outcome."""
    monkeypatch.setattr(decoder, "server", server)

    def take_over(code: str, **fields: object) -> Image:
        image = make_jpeg() + attacker.MARK + code.encode()
        path = person.submit(image, **fields)
        work_once(jobs)
        return job_at(jobs, path).images[0]

    return take_over


# An honest answer to a recipe of the square alone, as Python; attacks change it.
ANSWER = """
content = bytes.fromhex("ffd8ff") + b"as good as any"
made = {"file_name": "square.jpg", "width": 100, "height": 100, "bytes": len(content),
        "format": "jpeg", "quality": 80}
header = {"format": "jpeg", "width": 90, "height": 60, "orientation": 1, "had_gps": False}
hash = "TbYBBYAAAAAAAAAAAAAAAAAAAAAA"
answer = {"header": header, "thumbhash": hash, "color": "#123456", "thumbnails": [made],
          "found_point": None}
"""
WRITE = "\nwrite(0, content)\n"
HONEST = ANSWER + WRITE


def test_honest_answer_is_accepted(take_over: Callable[..., Image]) -> None:
    image = take_over(HONEST)
    assert (image.status, len(image.thumbnails)) == ("done", 1)


# B1: what it answers

FORGERIES = {
    "a file of the server": "made['file_name'] = '../../../secret_key'",
    "an absolute path": "made['file_name'] = '/etc/hostname'",
    "a file of another image": "made['file_name'] = '../x-1/square.jpg'",
    "a name that the recipe has not": "made['file_name'] = 'card.webp'",
    "a name in another case": "made['file_name'] = 'Square.jpg'",
    "a name that is none": "made['file_name'] = None",
    "a list of names": "made['file_name'] = ['square.jpg']",
    "another format": "made['format'] = 'png'",
    "an unknown format": "made['format'] = 'html'",
    "more than it says": "write(0, content)",
    "another length": "made['bytes'] += 1",
    "a length that is a float": "made['bytes'] = float(made['bytes'])",
    "no width": "del made['width']",
    "a width of 0": "made['width'] = 0",
    "a width that was not asked for": "made['width'] = 101",
    "a width that is true": "made['width'] = True",
    "a width that is text": "made['width'] = '<b>100</b>'",
    "a width that is no number": "made['width'] = float('nan')",
    "a quality over the scale": "made['quality'] = 101",
    "one file twice": "answer['thumbnails'] = [made, made]",
    "no thumbnails": "answer['thumbnails'] = []",
    "thumbnails that are none": "answer['thumbnails'] = 7",
    "a thousand thumbnails": "answer['thumbnails'] = [made] * 500",
    "a file that is no image":
        "content = b'<html>'",
    "an unknown source format": "header['format'] = 'svg'",
    "an endless source": "header['width'] = 10**9",
    "a negative source": "header['height'] = -60",
    "an orientation of 9": "header['orientation'] = 9",
    "a place that is no truth value": "header['had_gps'] = 'yes'",
    "a header that is none": "answer['header'] = None",
    "a hash that is cut": "answer['thumbhash'] = 'abcd'",
    "a hash that is markup": "answer['thumbhash'] = '<script>alert(1)</script>'",
    "a colour that is a style": "answer['color'] = 'red; background: url(/)'",
    "a colour that ends in a new line": "answer['color'] += chr(10)",
    "a point that is text": "answer['found_point'] = '01'",
    "a point outside of the image": "answer['found_point'] = [0.5, 1.5]",
    "a point that is no number": "answer['found_point'] = [0.5, float('nan')]",
    "a point of three numbers": "answer['found_point'] = [0.5, 0.5, 0.5]",
    "an answer that is a list": "answer = [answer]",
    "an unknown error": "answer = {'error': 'file_lost', 'message': 'Gone.'}",
    "an error that is an object": "answer = {'error': {}, 'message': 'Gone.'}",
    "an endless message": "answer = {'error': 'corrupt', 'message': 'x' * 5000}",
    "a message of several lines": "answer = {'error': 'corrupt', 'message': 'a' + chr(10) + 'b'}",
    "a message that turns the reading direction":
        "answer = {'error': 'corrupt', 'message': 'a' + chr(0x202e)}",
    "a number of a million digits":
        "os.write(channel, b'[\"result\", ' + b'1' * 90_000 + b']'); time.sleep(60)",
    "a deep answer": "os.write(channel, b'[' * 90_000); time.sleep(60)",
    "a huge answer": "os.write(channel, b' ' * 150_000); time.sleep(60)",
    "an early end": "os._exit(0)",
    "a failure that is no text": "os.write(channel, b'[\"failed\", {}]'); time.sleep(60)",
    "an endless failure":
        "os.write(channel, b'[\"failed\", \"' + b'x' * 90_000 + b'\"]'); time.sleep(60)",
    "an unknown kind of answer": "os.write(channel, b'[\"done\", 1]'); time.sleep(60)",
}  # fmt: skip


@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES)
def test_forged_answer_fails_its_own_image_alone(
    take_over: Callable[..., Image], jobs: Jobs, code: str
) -> None:
    image = take_over(ANSWER + code + WRITE)
    assert (image.status, image.error_code) == ("failed", "crashed")
    originals = [jobs.storage.originals / image.job_id, *jobs.storage.originals.rglob(image.id)]
    assert sorted(files_left(jobs)) == sorted(map(str, originals))


# A trial has a second file, of what the next one reads. The first trial has one descriptor, as the
# image has; its request has the number of an output.
TRIAL = """
if "number" in request:
    write(1, b"composed")
    answer = {"bytes": len(content)}
    """


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("", 2),
        ("answer['bytes'] += 1", 0),
        ("answer = None", 0),
        ("answer = {'error': 'corrupt', 'message': 'No.'}", 0),
        ("answer['bytes'] = 6; content = b'<html>'", 0),
    ],
)
def test_forged_trial_keeps_nothing(
    take_over: Callable[..., Image], jobs: Jobs, code: str, files: int
) -> None:
    image = take_over(ANSWER + TRIAL + code + WRITE)
    recipe = Recipe((Output("a", 9, 9),)).to_json()
    trial = Trial(image.job_id, image.id, recipe, 0, "192.0.2.1")
    work_on_trial(jobs.store, jobs.storage, decoder.Decoder.from_config(jobs.config), trial)
    kept = (path for path in jobs.storage.trials.rglob("*") if path.is_file())
    assert sum(path.stat().st_size > 0 for path in kept) == files  # The note of a failure is empty.


def test_answer_for_a_thumbnail_that_is_kept_is_refused(
    take_over: Callable[..., Image], person: Person, jobs: Jobs
) -> None:
    image = take_over(HONEST)
    person.post(f"/jobs/{image.job_id}/remake", presets=["square", "avatar"])
    work_once(jobs)
    (after,) = jobs.job(image.job_id).images
    assert (after.error_code, after.thumbnails) == ("crashed", image.thumbnails)


def test_each_error_of_the_engine_crosses_to_the_parent() -> None:
    told = {error.code for error in ImageError.__subclasses__() if hasattr(error, "code")}
    assert told - decoder.CHILD_ERRORS == {"timed_out", "out_of_memory", "crashed"}


def test_error_from_a_child_is_shown_as_text(
    take_over: Callable[..., Image], person: Person
) -> None:
    image = take_over("answer = {'error': 'corrupt', 'message': '<script>alert(1)</script>'}")
    assert image.error_code == "corrupt"
    assert "<script>alert" not in person.get(f"/jobs/{image.job_id}").text


# It goes on after its answer, and sends content for the files of the next image.
GOES_ON = """
def go_on():
    own = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, os.dup(channel))
    own.recvmsg(1, 0, socket.MSG_PEEK)  # Until the next request.
    while True:
        outcome(lambda: os.write(channel, b"c" + bytes(4) + b"more"))
threading.Thread(target=go_on, daemon=True).start()
"""


def test_published_thumbnail_never_changes(
    take_over: Callable[..., Image], jobs: Jobs, server: ForkServer
) -> None:
    def attack(code: str) -> bytes:
        return make_jpeg() + attacker.MARK + code.encode()

    take_over(HONEST)  # Starts the server.
    job_id = submit(jobs, attack(HONEST + GOES_ON), attack(HONEST))
    work_once(jobs)
    assert server._kept  # It may get the next image of its job,
    work(jobs)
    first, second = jobs.job(job_id).images
    # which it can spoil; then a new child makes that one.
    for image in (first, second):
        (made,) = image.thumbnails
        content = (jobs.storage.thumbnails / made.path).read_bytes()
        assert content == b"\xff\xd8\xffas good as any"


def test_next_image_of_a_job_does_not_fail_for_the_one_before(
    take_over: Callable[..., Image], jobs: Jobs
) -> None:
    take_over(HONEST)
    spoiled = "sys.is_spoiled = True"
    refuse = """
if hasattr(sys, "is_spoiled"):
    answer = {"error": "corrupt", "message": "No."}
"""
    images = [
        make_jpeg() + attacker.MARK + code.encode() for code in (HONEST + spoiled, HONEST + refuse)
    ]
    job_id = submit(jobs, *images)
    work(jobs)
    assert [image.status for image in jobs.job(job_id).images] == ["done", "done"]


def test_zip_leaves_out_forged_file_names(
    take_over: Callable[..., Image], jobs: Jobs, person: Person
) -> None:
    # The zip checks the names again, also if a row is forged.
    image = take_over(HONEST)
    with jobs.store.db.transaction() as db:
        db.execute("UPDATE thumbnails SET file_name = '../../../secret_key'")
    (jobs.storage.thumbnails.parent / "secret_key").write_text("secret")
    answer = person.get(f"/jobs/{image.job_id}/zip")
    assert answer.status_code == 404
    assert b"secret" not in answer.data


# B2, B3: what it finds in its memory

# What is looked for is never in the child itself: each byte of it is turned, as all memory is.
SEARCH = """
turn = bytes(byte ^ 1 for byte in range(256))
found = 0
for line in SERVERS_MEMORY.splitlines():
    place, rights = line.split()[:2]
    start, end = (int(edge, 16) for edge in place.split("-"))
    if "r" in rights and "[v" not in line:
        memory = ctypes.string_at(start, end - start).translate(turn)
        found += sum(text in memory for text in WANTED)
answer = {"error": "corrupt", "message": f"{found} found"}
"""


def search_for(*texts: str) -> str:
    turned = [bytes(byte ^ 1 for byte in text.encode()) for text in texts]
    return f"WANTED = {turned}\n{SEARCH}"


def test_memory_has_no_ids_names_owners_and_secrets(
    take_over: Callable[..., Image], jobs: Jobs, stranger: Person
) -> None:
    name = "private-name-of-a-stranger"
    job = job_at(jobs, stranger.submit((make_png(), f"{name}.png")))
    assert job.owner
    work(jobs)
    code = search_for(job.id, job.images[0].id, job.owner, name, *SECRETS.values())
    assert take_over(code).error_message == "0 found"


def test_search_finds_what_is_in_memory(take_over: Callable[..., Image]) -> None:
    assert attacker.__doc__
    assert take_over(search_for(attacker.__doc__)).error_message != "0 found"


def test_memory_shares_nothing_with_other_processes(take_over: Callable[..., Image]) -> None:
    code = """
shared = [line for line in SERVERS_MEMORY.splitlines() if line.split()[1][3] == "s"]
writable = [line for line in shared if "w" in line.split()[1]]
answer = {"error": "corrupt", "message": f"{len(writable)} shared, {len(SERVERS_MEMORY) > 1000}"}
"""
    assert take_over(code).error_message == "0 shared, True"


def test_environment_is_empty_but_for_the_allocator(take_over: Callable[..., Image]) -> None:
    code = """
names = [n for n in os.environ if not n.startswith(("MALLOC_", "GLIBC_TUNABLES", "LC_CTYPE"))]
answer = {"error": "corrupt", "message": f"Names: {names}"}
"""
    assert take_over(code).error_message == "Names: []"


# What it was handed


def test_child_has_no_descriptors_but_its_own(
    take_over: Callable[..., Image],
) -> None:
    code = """
kinds = []
for number in range(512):
    try:
        kinds.append(stat.filemode(os.fstat(number).st_mode)[0])
    except OSError:
        pass
answer = {"error": "corrupt", "message": "".join(sorted(kinds))}
"""
    # The original, /dev/null three times, a socket.
    assert take_over(code).error_message == "-cccs"


def test_child_has_no_file_that_it_could_write(take_over: Callable[..., Image]) -> None:
    code = """
flags = fcntl.fcntl(descriptors[0], fcntl.F_GETFL)
answer = {"error": "corrupt", "message": str(flags & os.O_ACCMODE == os.O_RDONLY)}
"""
    assert take_over(code).error_message == "True"


@pytest.mark.parametrize(
    "action",
    [
        "os.write(descriptors[0], b'other')",
        "os.ftruncate(descriptors[0], 0)",
        "os.fchmod(descriptors[0], 0o666)",
        "os.open(f'/proc/self/fd/{descriptors[0]}', os.O_RDWR)",
        "os.open('/proc/self/maps', os.O_RDONLY)",
        "os.listdir('/')",
        "os.stat('/etc/passwd')",
        "os.chmod('/tmp', 0o777)",
        "os.utime('/tmp')",
        "os.setxattr('/tmp', 'user.a', b'1')",
        "os.symlink('/etc/passwd', '/tmp/taken-over')",
        "os.mkfifo('/tmp/taken-over')",
        "os.mkdir('/tmp/taken-over')",
        "os.kill(os.getppid(), 0)",
        "os.kill(-1, 0)",
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "os.memfd_create('a')",
        "os.eventfd(0)",
        "os.pipe()",
    ],
)
def test_action_outside_the_sandbox_is_denied(take_over: Callable[..., Image], action: str) -> None:
    code = f"""
answer = {{"error": "corrupt", "message": outcome(lambda: {action})}}
"""
    assert take_over(code).error_message in ("EPERM", "EBADF")


# What it costs others


def test_silent_child_is_killed_at_its_time_limit(take_over: Callable[..., Image]) -> None:
    assert take_over("while True: time.sleep(60)").error_code == "timed_out"


def test_file_over_the_limit_is_refused(take_over: Callable[..., Image], jobs: Jobs) -> None:
    code = "while True: os.write(channel, b'c' + bytes(4) + bytes(65_536))"
    assert take_over(code).error_code == "crashed"
    assert list(jobs.storage.tmp.iterdir()) == []


def test_image_whose_child_is_always_killed_ends(
    take_over: Callable[..., Image],
    jobs: Jobs,
    server: ForkServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As the kernel does where it has less memory than a child may have.
    def kill(*_: object) -> None:
        pid = server._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)

    take_over(HONEST)  # Starts the server.
    monkeypatch.setattr(client, "_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(Claims, "renew", kill)
    job_id = submit(jobs, make_jpeg() + attacker.MARK + b"while True: time.sleep(60)")
    for _ in range(MAX_ATTEMPTS):
        # On a busy machine, before it read its request.
        with pytest.raises(client.Failed, match=r"was killed|ended before"):
            work_once(jobs)
    claims_of(jobs).fail_exhausted()
    assert jobs.job(job_id).images[0].error_code == "worker_lost"


def test_image_of_another_job_gets_a_new_child(
    take_over: Callable[..., Image], jobs: Jobs, app: Flask
) -> None:
    # The next child sees nothing of what this one changed in its memory.
    take_over("decode_server.answer = attacker = server.confine = None\n" + HONEST)
    code = "answer = {'error': 'corrupt', 'message': str(decode_server.answer is None)}"
    assert take_over(code).error_message == "False"
