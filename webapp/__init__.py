"""Thumbnails: a web app that turns images into thumbnails."""

from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

    from webapp.config import Config


def create_app(config: "Config | None" = None, now: Callable[[], float] = time) -> "Flask":
    """Create the application, by default with the settings of the environment."""
    # Imported here, because the consumer and the decode server import this package without Flask.
    from flask import Flask

    from webapp import cli
    from webapp.config import MB, ROOT, load
    from webapp.jobs.lifecycle import Jobs
    from webapp.jobs.limits import ClientLimits
    from webapp.jobs.restore import complete_interrupted
    from webapp.jobs.storage import Storage
    from webapp.jobs.store import Store
    from webapp.jobs.tasks import create_huey
    from webapp.jobs.work import Claims
    from webapp.web import (
        addresses,
        api,
        clients,
        compression,
        cors,
        errors,
        formatters,
        limits,
        proxies,
        request_log,
        security,
        static_files,
        users,
        views,
    )

    class App(Flask):
        """Call views and hooks as they are: none is a coroutine, and to ask takes time."""

        def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
            return func

    config = config or load()
    app = App(
        __name__,
        static_folder=static_files.FOLDER,
        static_url_path=static_files.url_path(),
        template_folder=ROOT / "templates",
        instance_path=str(config.instance.resolve()),
    )
    complete_interrupted(config.instance)
    storage = Storage(config.instance, config.min_free_mb * MB, now)
    store = Store(config.instance / "jobs.db", now)
    app.extensions["config"] = config
    app.extensions["jobs"] = Jobs(store, storage, ClientLimits(store, config), config)
    app.extensions["huey"] = create_huey(config, Claims(store, storage, config))
    request_log.init_app(app, config)
    limits.init_app(app)  # First, to refuse requests before they are read.
    proxies.init_app(app, config)
    security.init_app(app, config)
    cors.init_app(app, config)
    users.init_app(app)
    clients.init_app(app)
    static_files.init_app(app)
    compression.init_app(app)
    errors.init_app(app)
    formatters.init_app(app)
    addresses.init_app(app)
    views.init_app(app, config)
    api.init_app(app)
    cli.init_app(app)
    return app
