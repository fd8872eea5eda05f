"""The instance that huey_consumer loads, with settings but without their secrets."""

from webapp import logs
from webapp.config import MB, load, read_environment, without_secrets
from webapp.jobs.restore import complete_interrupted
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.tasks import create_huey
from webapp.jobs.work import Claims

config = load(without_secrets(read_environment()))
logs.configure(config, "consumer")
complete_interrupted(config.instance)
storage = Storage(config.instance, config.min_free_mb * MB)
store = Store(config.instance / "jobs.db")
store.db.migrate()
huey = create_huey(config, Claims(store, storage, config))
