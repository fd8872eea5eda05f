"""A decode child under attack may make few system calls."""

import contextlib
import errno
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hostile.samples import ENDINGS, sample
from tests.support.images import make_animation, make_image, make_jpeg
from webapp.config import ROOT, Config
from webapp.engine.limits import ImageLimits
from webapp.recipes.outputs import Output, Recipe
from webapp.sandbox import landlock, seccomp
from webapp.sandbox.client import ChildCrashed, ForkServer, RunLimits

pytestmark = pytest.mark.slow

LIMITS = RunLimits(
    memory_bytes=1_000_000_000, wall_seconds=10.0, cpu_seconds=10.0, file_bytes=1_000_000
)

needs_seccomp = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the filter is written for x86_64 and aarch64",
)

# uretprobe and uprobe of x86_64, which the kernel never filters: only its own code may call them.
PROBES = {335, 336}

Attack = Callable[[str], Any]


@pytest.fixture(scope="module")
def attack() -> Iterator[Attack]:
    """Run code in a child under attack, and return its answer."""
    server = ForkServer("tests.support.attacker")
    yield lambda code: server.run(code, [], LIMITS)
    server.stop()


def numbers_of(calls: dict[str, tuple[int, int]]) -> dict[str, int]:
    column = ["x86_64", "aarch64"].index(platform.machine())
    return {name: numbers[column] for name, numbers in calls.items()}


def allowed_numbers() -> set[int]:
    """List the calls that the filter allows, with any or some arguments."""
    column = ["x86_64", "aarch64"].index(platform.machine())
    some = [call[0] for call in seccomp.ALLOWED_WITH.values()]
    every = [*seccomp.ALLOWED_CALLS.values(), *some, seccomp.CLONE]
    return {call[column] for call in every}


@needs_seccomp
def test_every_other_system_call_is_refused(attack: Attack) -> None:
    others = sorted(set(range(600)) - allowed_numbers() - PROBES)
    answers = attack(f"answer = [[n, -syscall(n, 0, 0, 0, 0, 0, 0)] for n in {others}]")
    refused = {number: errno.errorcode[answer] for number, answer in answers}
    assert refused.pop(seccomp.CLONE3[0]) == "ENOSYS"  # The C library takes clone then.
    assert set(refused.values()) == {"EPERM"}
    assert len(refused) > 500


@needs_seccomp
@pytest.mark.skipif(platform.machine() != "x86_64", reason="it has a second ABI")
def test_calls_of_another_abi_are_refused(attack: Attack) -> None:
    assert attack("answer = syscall(0x40000000, 0, 0, 0)") == -1


@needs_seccomp
@pytest.mark.parametrize(
    "code",
    [
        "syscall({clone}, signal.SIGCHLD)",  # A process, not a thread.
        "syscall({prlimit64}, os.getppid(), resource.RLIMIT_CORE)",
        "syscall({prctl}, 1, 0)",  # PR_SET_PDEATHSIG: to outlive the server.
        "syscall({prctl}, 4, 1)",  # PR_SET_DUMPABLE
        "syscall({fcntl}, channel, 8, os.getppid())",  # F_SETOWN: whom a signal goes to.
        "syscall({fcntl}, channel, 1026, 1)",  # F_NOTIFY
    ],
)
def test_argument_that_reaches_other_processes_is_refused(attack: Attack, code: str) -> None:
    numbers = {
        "clone": seccomp.CLONE,
        **{name: call[0] for name, call in seccomp.ALLOWED_WITH.items()},
    }
    assert attack(f"answer = {code.format(**numbers_of(numbers))}") == -1


def test_decoders_may_start_threads(attack: Attack) -> None:
    code = """
ran = threading.Event()
thread = threading.Thread(target=ran.set)
thread.start()
thread.join()
answer = ran.is_set()
"""
    assert attack(code) is True


def test_number_of_threads_is_limited(attack: Attack) -> None:
    code = """
threading.stack_size(65536)
answer = 0
try:
    while answer < 3000:
        threading._start_new_thread(time.sleep, (60,))
        answer += 1
except RuntimeError:
    pass
"""
    assert attack(code) < 1100


def test_limits_can_be_lowered_and_not_raised(attack: Attack) -> None:
    code = """
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (21, 21))
except ValueError as error:
    answer = str(error)
"""
    assert attack(code) == "not allowed to raise maximum limit"


@pytest.mark.skipif(landlock.VERSION < 1, reason="needs a kernel with Landlock")
def test_landlock_alone_denies_every_path() -> None:
    # Landlock protects architectures that the filter does not know.
    script = """
import os, sys
from webapp.sandbox import confinement, seccomp
seccomp.PROGRAM = None
confinement.confine()
for action in (lambda: open("/etc/hostname"), lambda: os.listdir("/"), lambda: open("/tmp/x", "w")):
    try:
        action()
    except PermissionError:
        print("denied")
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["denied"] * 3


def test_child_of_root_is_nobody_and_has_no_capability() -> None:
    # Its server reads its status, because the child itself cannot.
    server = ForkServer("tests.support.attacker")
    child = server.run("answer = os.getpid()", [], LIMITS, group="kept")
    status = dict(
        line.split(":\t") for line in Path(f"/proc/{child}/status").read_text().splitlines()
    )
    server.stop()
    assert {status[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split()


@needs_seccomp
def test_no_image_needs_a_call_that_is_refused(tmp_path: Path) -> None:
    # Decode and write each format; the kernel kills a child at any other call.
    strict = ForkServer("tests.support.strict_decoder")
    recipe = Recipe(
        (
            Output("cropped", 90, 60, "cover", "jpeg", focus="smart", keep_copyright=True),
            Output("padded", 50, 50, "pad", "png"),
            Output("large", 600, None, format="avif", enlarge=True),
            Output("small", 64, 64, format="webp", max_bytes=1500, animated=True),
            Output("moving", 64, 64, format="gif", animated=True),
        )
    )
    images = {ending: sample(ending) for ending in ENDINGS}
    images["wide.jpg"] = make_jpeg((3000, 2000), progressive=True)  # Resized by libvips.
    images["wide.png"] = make_image("RGB", (1500, 1000), "PNG")  # Read by it.
    images["wide.webp"] = make_image("RGB", (1500, 1000), "WEBP")
    images["moving.gif"] = make_animation("gif")
    images["cut.jpg"] = images["wide.jpg"][:5000]
    answers = {name: decode(strict, image, recipe, tmp_path) for name, image in images.items()}
    strict.stop()
    refused = answers.pop("cut.jpg")
    assert refused["error"] == "truncated"
    assert {name for name, answer in answers.items() if len(answer["thumbnails"]) != 5} == set()


def test_strict_decoder_ends_at_a_call_that_is_refused(tmp_path: Path) -> None:
    strict = ForkServer("tests.support.strict_decoder")
    with pytest.raises(ChildCrashed, match=f"by signal {signal.SIGSYS:d}"):
        strict.run("listdir", [], LIMITS)
    strict.stop()


def decode(server: ForkServer, image: bytes, recipe: Recipe, folder: Path) -> Any:
    """Make thumbnails in a child as webapp.engine.decoder does."""
    (folder / "source").write_bytes(image)
    with contextlib.ExitStack() as opened:
        source = opened.enter_context((folder / "source").open("rb"))
        made = [opened.enter_context(tempfile.TemporaryFile()) for _ in recipe.outputs]
        limits = vars(ImageLimits.from_config(Config()))
        request = {"recipe": recipe.to_json(), "kept": [], "limits": limits}
        files = dict(enumerate(made))
        return server.run(request, [source.fileno()], LIMITS, files=files)
