"""What huey_consumer loads."""

from webapp.config import load
from webapp.jobs import Jobs
from webapp.tasks import create_huey

config = load()
huey = create_huey(config, Jobs(config))
