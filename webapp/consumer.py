"""What huey_consumer loads."""

from webapp import logs
from webapp.config import load
from webapp.jobs import Jobs
from webapp.tasks import create_huey

config = load()
logs.configure(config, "consumer")
huey = create_huey(config, Jobs(config))
