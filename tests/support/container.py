"""The real image, built without an engine, and a container of it.

buildah builds the Dockerfile on a stand-in for its base image: a minimal Debian with Python, which
is kept in a cache, as are the layers. A container is a chroot in namespaces of its own, with what
the configuration of the image says: user, environment, folder, command, volumes. Like one of
compose.yaml it has a read-only root, no capabilities and no way to gain any.
"""

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from tests.support.servers import Client, children_of, descendants_of, free_port, wait_until
from webapp.config import ROOT
from webapp.sandbox.libc import die_with_parent

TOOLS = ("buildah", "mmdebstrap", "netavark", "unshare", "nsenter", "setpriv")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "thumbnails-image"
DRIVER = os.environ.get("STORAGE_DRIVER", "overlay")  # "vfs" is slow, and works everywhere.
BASE, IMAGE = "localhost/thumbnails-base", "localhost/thumbnails-test"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# Of pip's settings on this machine, those that a build needs to reach the packages.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")

# Enters a root as a container engine does. $1 is the root, the rest a command in it.
ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=64k dev "$root/dev"
for name in null zero full random urandom; do
    touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/shm"; mount -t tmpfs -o mode=1777,size=64m shm "$root/dev/shm"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done; shift
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


def missing_tools() -> str:
    """Return a sentence that says what to install, or an empty text."""
    if os.geteuid() != 0:
        return "Building an image without an engine needs root."
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/lib/podman:/usr/libexec/podman"
    if missing := [tool for tool in TOOLS if not shutil.which(tool, path=path)]:
        install = "apt-get install buildah netavark mmdebstrap util-linux"
        return f"{', '.join(missing)} not found. On Debian: {install}"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return "Building an image without an engine needs the right to mount (CAP_SYS_ADMIN)."
    return ""


def buildah(*arguments: str | Path, stdin: str | None = None) -> str:
    """Run buildah on a storage of our own, and return what it printed."""
    storage = ("--root", CACHE / "storage", "--runroot", CACHE / "run")
    command = ["buildah", *storage, "--storage-driver", DRIVER, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, (
        f"buildah {arguments[0]}: {done.stdout[-5000:]}{done.stderr[-5000:]}"
    )
    return done.stdout.strip()


@contextlib.contextmanager
def storage() -> Iterator[None]:
    """Have the storage alone, and leave no container or mount in it.

    A run that is killed leaves those of its build. The next one removes them.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AssertionError(f"Another run uses {CACHE}. Wait for its end.") from None
        buildah("rm", "--all")
        try:
            yield
        finally:
            buildah("rm", "--all")


def build_image(**arguments: str) -> "Image":
    """Build the Dockerfile with these build arguments, on the stand-in for its base."""
    if BASE not in buildah("images", "--format", "{{.Name}}").splitlines():
        _build_base()
    given = [f"--build-arg={name}={value}" for name, value in {"BASE": BASE, **arguments}.items()]
    # An address of packages may contain a password, so the file lives as long as the build.
    with NamedTemporaryFile("w") as pip:
        pip.write(_pip_configuration())
        pip.flush()
        mounts = {CERTIFICATES: CERTIFICATES, pip.name: "/etc/pip.conf"}
        volumes = [f"--volume={here}:{mounts[here]}:ro" for here in mounts if Path(here).exists()]
        _build("--layers", "--file", ROOT / "Dockerfile", *volumes, *given, "--tag", IMAGE, ROOT)
    return Image(json.loads(buildah("inspect", "--type", "image", IMAGE)))


def _build(*arguments: str | Path) -> None:
    # Without network namespaces and limits of its own, which a sandbox may not allow.
    limits = [f"--ulimit={name}={_limit(name)}" for name in ("nofile", "nproc")]
    # Docker's format: that of OCI has no health check.
    how = ("--isolation", "chroot", "--network", "host", "--format", "docker", *limits)
    buildah("build", *how, *arguments)


def _limit(name: str) -> str:
    soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
    return f"{soft}:{hard}"


def _build_base() -> None:
    """Make the stand-in from the archive that this machine installs from."""
    context = CACHE / "base"
    context.mkdir(exist_ok=True)
    archive = context / "debian.tar"
    if not archive.exists():
        part = archive.with_suffix(".part")
        release, *mirror = _debian()
        command = ["mmdebstrap", "--variant=minbase", "--format=tar", f"--include={PACKAGES}"]
        done = subprocess.run([*command, release, part, *mirror], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-5000:]
        part.rename(archive)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    (context / "Dockerfile").write_text(f"FROM scratch\nADD debian.tar /\nENV PATH={path}\n")
    _build("--tag", BASE, context)
    archive.unlink()  # The storage has it now.


def _debian() -> list[str]:
    """Return the release and the mirror of Debian that apt uses here, or only a release."""
    listed = ["apt-get", "indextargets", "--format", "$(COMPONENT) $(CODENAME) $(REPO_URI)"]
    for line in subprocess.run(listed, capture_output=True, text=True).stdout.splitlines():
        component, release, address = line.split(" ", 2)
        is_whole = not any(part in release for part in ("-", "/"))  # No updates, no security.
        if component == "main" and is_whole and address.startswith("http"):
            return [release, address]
    return ["trixie"]


def _pip_configuration() -> str:
    """Return the part of pip's settings on this machine that a build needs."""
    listed = subprocess.run(["pip", "config", "list"], capture_output=True, text=True).stdout
    lines = [line.split("=", 1) for line in listed.splitlines()]
    settings = {name.rpartition(".")[2]: value.strip("'\"") for name, value in lines}
    known = [f"{name} = {settings[name]}\n" for name in PIP_SETTINGS if name in settings]
    return "".join(["[global]\n", *known])


@dataclass
class Image:
    """What buildah tells of an image."""

    inspected: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that an engine reads."""
        return self.inspected["Docker"]["config"]  # type: ignore[no-any-return]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the image."""
        return self.config["Labels"]  # type: ignore[no-any-return]

    def layers(self) -> list[tuple[str, int]]:
        """List the layers, base first: what made each, and its bytes before compression."""
        stored = json.loads((CACHE / f"storage/{DRIVER}-layers/layers.json").read_text())
        sizes = {layer["diff-digest"]: layer["diff-size"] for layer in stored}
        history = self.inspected["OCIv1"]["history"]
        made_by = [step["created_by"] for step in history if not step.get("empty_layer")]
        digests = self.inspected["OCIv1"]["rootfs"]["diff_ids"]
        return [
            (step.removeprefix("/bin/sh -c ").removeprefix("#(nop) "), sizes[digest])
            for step, digest in zip(made_by, digests, strict=True)
        ]

    def mount(self) -> Path:
        """Give the root folder of a container that is not started; `storage` removes it."""
        container = buildah("from", "--isolation", "chroot", "--network", "host", IMAGE)
        return Path(buildah("mount", container))


class Container:
    """Run the command of an image, or others beside it, in a root folder."""

    def __init__(self, image: Image, root: Path, volumes: Path, **environ: str) -> None:
        self._config, self._root = image.config, root
        self._log = volumes.with_suffix(".log")
        self.port = free_port()
        uid, gid = self._config["User"].split(":")
        users = (root / "etc/passwd").read_text().splitlines()
        homes = {line.split(":")[2]: line.split(":")[5] for line in users}
        self._environ = {
            **dict(pair.split("=", 1) for pair in self._config["Env"]),
            "HOME": homes.get(uid, "/"),
            "HOST": "127.0.0.1",  # It shares the network of this machine.
            "PORT": str(self.port),
            **environ,
        }
        # As `docker run --cap-drop ALL --security-opt no-new-privileges`.
        self._as_user = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        self._as_user += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        # Another user has lost the death signal that unshare has set.
        self._as_user += ["--pdeathsig=KILL"]
        self._volumes = [
            (self._make_volume(volumes, name), name) for name in self._config["Volumes"]
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.startup_seconds = 0.0

    def _make_volume(self, volumes: Path, name: str) -> Path:
        """Make a named volume as Docker does: with the owner and mode of the image's folder."""
        folder, covered = volumes / name.strip("/"), (self._root / name.strip("/")).stat()
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, covered.st_uid, covered.st_gid)
        folder.chmod(covered.st_mode & 0o7777)
        return folder

    def _inside(self, command: Sequence[str]) -> list[str]:
        variables = [f"{name}={value}" for name, value in self._environ.items()]
        workdir = f"--chdir={self._config['WorkingDir']}"
        return [*self._as_user, "env", "--ignore-environment", workdir, *variables, *command]

    def _created_for(self, command: Sequence[str]) -> list[str]:
        """Return what creates the namespaces and runs a command in them."""
        mounts = [str(part) for volume in self._volumes for part in volume]
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        enter = ["sh", "-c", ENTER, "enter", str(self._root), *mounts, "--"]
        return [*unshare, *enter, *self._inside(command)]

    def run(self, *command: str, stdin: bytes = b"") -> bytes:
        """Run a command alone on the volumes, as `docker run` does; return what it printed."""
        done = subprocess.run(self._created_for(command), input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def start(self) -> None:
        """Run the command of the image, and wait until it is healthy."""
        command = [*(self._config["Entrypoint"] or ()), *self._config["Cmd"]]
        started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._created_for(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        with contextlib.closing(self.client()) as client:
            wait_until(lambda: self._is_healthy(client), what="a healthy container")
        self.startup_seconds = time.monotonic() - started

    def _is_healthy(self, client: Client) -> bool:
        assert self._process
        assert self._process.poll() is None, self.output()
        return client.is_healthy()

    @property
    def pid(self) -> int:
        """The process that is the first in the container."""
        assert self._process
        return children_of(self._process.pid)[0]

    def memory(self) -> int:
        """Return the bytes of all processes, with what they share counted once."""
        pids = (self.pid, *descendants_of(self.pid))
        facts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
        return sum(int(fact.split("\nPss:")[1].split()[0]) * 1024 for fact in facts)

    def client(self) -> Client:
        """Make a client of the server in the container."""
        return Client("127.0.0.1", self.port)

    def execute(self, *command: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a command beside the server, as `docker exec` does."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "chroot", str(self._root)]
        return subprocess.run([*enter, *self._inside(command)], capture_output=True)

    def check_health(self) -> int:
        """Run the health check of the image; return its exit code."""
        kind, *command = self._config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.execute(*command).returncode

    def stop(self, seconds: float) -> int:
        """Send the stop signal of the image; return the exit code."""
        assert self._process
        os.kill(self.pid, getattr(signal, self._config["StopSignal"]))
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End all processes of the container at once."""
        if self._process and self._process.poll() is None:
            for pid in children_of(self._process.pid):
                os.kill(pid, signal.SIGKILL)  # The first of its namespace: all others end with it.
            self._process.wait()

    def output(self) -> str:
        """Read all that the container printed."""
        return self._log.read_text(errors="replace")
