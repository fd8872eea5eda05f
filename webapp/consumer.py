"""What huey_consumer loads."""

from webapp import logs
from webapp.config import load, read_environment, without_secrets
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tasks import create_huey

config = load(without_secrets(read_environment()))
logs.configure(config, "consumer")
huey = create_huey(config, Jobs(config))
