"""Send the API what its document allows and forbids, and check the answers.

make fuzz-api                                   to servers of its own
make fuzz-api BASE_URL=http://127.0.0.1:8000    to these, with their limits
make fuzz-api SEED=7                            as in an earlier run
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.images import make_jpeg
from tests.support.people import part
from tests.support.servers import BIN, Client, running
from webapp.config import ROOT

# Far more than a run sends: it is not the limits that are tested.
LIMITS: dict[str, Any] = {
    "max_jobs_per_hour": 1_000_000,
    "max_mb_per_hour": 1_000_000,
    "max_packed_per_hour": 1_000_000,
    "max_waiting": 100_000,
    "max_work_seconds_per_hour": 1_000_000,
}
LOG = ROOT / "artifacts/fuzz-api.log"
PHASES = "examples,coverage,fuzzing,stateful"


def configure(job_id: str, image_id: str) -> str:
    """Return the settings of schemathesis, where a job of ours is known."""
    return f"""
{(ROOT / "schemathesis.toml").read_text()}

[dictionaries.job_id]
values = ["{job_id}"]

[dictionaries.image_id]
values = ["{image_id}"]

[parameters]
"path.job_id" = {{ dictionary = "job_id", probability = 0.5 }}
"path.image_id" = {{ dictionary = "image_id", probability = 0.5 }}
# An open job ends no wait.
"query.wait" = 0
"""


def main() -> None:
    """Run the command of schemathesis, and end as it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--examples", type=int, default=25)
    options = parser.parse_args()
    print(f"SEED={options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Stop the servers too.
    with tempfile.TemporaryDirectory() as folder, _served(folder, options.base_url) as url:
        job_id, image_id, cookie = _seed_job(url)
        settings = Path(folder) / "schemathesis.toml"
        settings.write_text(configure(job_id, image_id))
        command = [
            str(BIN / "st"),
            f"--config-file={settings}",
            "run",
            f"{url}/api/v1/openapi.json",
            f"--header=Cookie: session={cookie}",
            f"--phases={PHASES}",
            f"--seed={options.seed}",
            f"--max-examples={options.examples}",
            "--continue-on-failure",
        ]
        ended = subprocess.run(command, cwd=folder)
    sys.exit(ended.returncode)


@contextmanager
def _served(folder: str, base_url: str | None) -> Iterator[str]:
    if base_url:
        yield base_url.rstrip("/")
        return
    with running(Path(folder) / "instance", workers=1, **LIMITS) as servers:
        yield servers.url
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text(servers.output())
        print(f"The log of the servers: {LOG}")


def _seed_job(url: str) -> tuple[str, str, str]:
    """Create a job; return its id, that of its image, and the session of its owner."""
    place = urlsplit(url)
    with closing(Client(place.hostname or "", place.port or 80)) as client:
        image = part(make_jpeg(), "a.jpg")
        job = client.post("/api/v1/jobs?wait=10", files=image, preset="square").json
        return job["id"], job["images"][0]["id"], client.cookies["session"]


if __name__ == "__main__":
    main()
