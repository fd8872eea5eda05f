"""Settings of gunicorn, which reads this file by itself."""

import contextlib
import os
import random
import resource
from collections import Counter

from webapp.config import load
from webapp.jobs.database import Database
from webapp.jobs.restore import complete_interrupted
from webapp.liveness import READY, STATUS, tell
from webapp.sandbox.libc import die_with_parent
from webapp.web.gunicorn_worker import Logger, Worker, time_out_stalled_clients

_config = load()
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
_host = f"[{_config.host}]" if ":" in _config.host else _config.host

bind = f"{_host}:{_config.port}"
workers = _config.web_workers
threads = _config.web_threads
worker_class = Worker
logger_class = Logger
keepalive = 75  # Longer than nginx keeps its connections, so that nginx closes them.
# Of any client of a proxy on this machine that passes on such names: they would change the path.
forwarder_headers = ""
graceful_timeout = 30  # Less than webapp.serve's STOP_SECONDS.
control_socket_disable = True  # Not used, and it would be created in the home folder.
# Replace processes now and then, to bound memory fragmentation. Not more often: each closes its
# connections, and a thousand clients that poll each second send this many requests in ten minutes.
max_requests = 300_000
max_requests_jitter = 30_000

if os.path.isdir("/dev/shm"):
    worker_tmp_dir = "/dev/shm"  # The heartbeat file: never on a disk that may be busy or full.

# A form without script holds all its files open, and every thread may serve one.
_, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))

# Idle ones take no thread and 10 kB. Beyond it, a client that polls connects again for each answer.
worker_connections = 2000 if _hard == resource.RLIM_INFINITY else min(2000, _hard // 2)


def on_starting(server):  # type: ignore[no-untyped-def]
    """Migrate the database before any worker starts, or do not start.

    This process too uses the instance from now on: there may be no worker for a moment.
    """
    complete_interrupted(_config.instance)
    server.database = Database(_config.instance / "jobs.db")
    server.database.migrate()


def when_ready(server):  # type: ignore[no-untyped-def]
    """Set timeouts for stalled clients, and log the address of the pages."""
    time_out_stalled_clients(server.LISTENERS, _config.stall_seconds)
    server.log.info("Thumbnails is at http://%s", bind)


def pre_fork(server, worker):  # type: ignore[no-untyped-def]
    """Choose the core that the fewest other workers have.

    Of several, any: other servers on this machine choose too.
    """
    taken = Counter(other.core for other in server.WORKERS.values())
    worker.core = min(_CORES, key=lambda core: (taken[core], random.random()))


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """End the worker with the server, and keep it on its core.

    A stalled upload would keep it alive, and its port taken. One thread of a Python process runs at
    a time: to wake the next on another core takes a third of the time of a small request.
    """
    die_with_parent(server.pid)
    with contextlib.suppress(AttributeError, OSError):  # Not on Linux, or the core is taken away.
        os.sched_setaffinity(0, {worker.core})


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Open the database before the first request; then be ready."""
    worker.wsgi.extensions["jobs"].store.db.migrate()
    tell(READY, f"{STATUS}http://{bind}")
