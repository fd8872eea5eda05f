"""The rows, which are the truth. SQL is only here and in the migrations.

Times are seconds since 1970, UTC.
"""

from pathlib import Path

from webapp.jobs.database import Database
from webapp.jobs.store.jobs import JobRows
from webapp.jobs.store.operations import Operations
from webapp.jobs.store.queue import ImageQueue
from webapp.jobs.store.usage import Usage


class Store:
    """Open the database of jobs."""

    def __init__(self, path: Path) -> None:
        self.db = Database(path)
        self.jobs = JobRows(self.db)
        self.queue = ImageQueue(self.db)
        self.operations = Operations(self.db)
        self.usage = Usage(self.db)
