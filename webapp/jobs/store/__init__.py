"""The rows, which are the truth. SQL is only here and in the migrations.

Times are seconds since 1970, UTC.
"""

from collections.abc import Callable
from pathlib import Path
from time import time

from webapp.jobs.database import Database
from webapp.jobs.store.deliveries import Deliveries
from webapp.jobs.store.fetches import Fetches
from webapp.jobs.store.idempotency import IdempotencyKeys
from webapp.jobs.store.jobs import JobRows
from webapp.jobs.store.operations import Operations
from webapp.jobs.store.queue import ImageQueue
from webapp.jobs.store.reuse import ReusedImages
from webapp.jobs.store.tokens import ApiTokens
from webapp.jobs.store.usage import Usage
from webapp.jobs.store.webhook_secrets import WebhookSecrets


class Store:
    """Open the database of jobs, whose times are those of the clock `now`."""

    def __init__(self, path: Path, now: Callable[[], float] = time) -> None:
        self.now = now
        self.db = Database(path)
        self.usage = Usage(self.db, now)
        self.jobs = JobRows(self.db, self.usage, now)
        self.queue = ImageQueue(self.db, self.usage, now)
        self.reuse = ReusedImages(self.db, self.usage, now)
        self.idempotency = IdempotencyKeys(self.db, now)
        self.fetches = Fetches(self.db, self.queue, now)
        self.deliveries = Deliveries(self.db, now)
        self.webhook_secrets = WebhookSecrets(self.db, now)
        self.operations = Operations(self.db, now)
        self.tokens = ApiTokens(self.db, now)
