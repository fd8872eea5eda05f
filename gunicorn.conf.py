"""How gunicorn runs; it reads this file by itself."""

from webapp.config import load

_config = load()

bind = f"{_config.host}:{_config.port}"
worker_class = "gthread"
workers = _config.web_workers
threads = _config.web_threads
worker_tmp_dir = "/dev/shm"  # The heartbeat file: never on a disk that may be busy or full.
control_socket_disable = True  # We have no use for it, and it would lie in the home folder.
max_requests = 10_000  # A new process now and then bounds what memory fragments.
max_requests_jitter = 1_000


def when_ready(server):  # type: ignore[no-untyped-def]
    """Say where the pages are."""
    server.log.info("Thumbnails is at http://%s:%s", _config.host, _config.port)
