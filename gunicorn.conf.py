"""How gunicorn runs; it reads this file by itself."""

import os
import resource

from gunicorn import glogging

from webapp import logs
from webapp.config import load

_config = load()
_host = f"[{_config.host}]" if ":" in _config.host else _config.host

bind = f"{_host}:{_config.port}"
worker_class = "gthread"
workers = _config.web_workers
threads = _config.web_threads
keepalive = 75  # Longer than nginx keeps its connections: it must be the one that closes.
control_socket_disable = True  # We have no use for it, and it would lie in the home folder.
max_requests = 10_000  # A new process now and then bounds what memory fragments.
max_requests_jitter = 1_000

if os.path.isdir("/dev/shm"):
    worker_tmp_dir = "/dev/shm"  # The heartbeat file: never on a disk that may be busy or full.

# A form without script holds all its files open, and every thread may have one.
_, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


class Logger(glogging.Logger):  # type: ignore[misc]
    """Write gunicorn's own lines as we write ours."""

    def setup(self, cfg):  # type: ignore[no-untyped-def]
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        logs.configure(_config, "web")


logger_class = Logger


def when_ready(server):  # type: ignore[no-untyped-def]
    """Say where the pages are."""
    server.log.info("Thumbnails is at http://%s", bind)
