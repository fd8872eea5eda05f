"""What this server offers: presets, formats and limits."""

from flask import Response

from webapp.engine.header import READ_FORMATS
from webapp.recipes.outputs import FORMATS
from webapp.recipes.presets import offered_presets
from webapp.web.api import schemas
from webapp.web.api.answers import answer
from webapp.web.api.operations import Answer, operation
from webapp.web.api.reading import MAX_WAIT_SECONDS
from webapp.web.api.recipes import describe_recipe
from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import client_name


@operation("GET", "/presets", tag="Server", answers=(Answer(200, "The presets.", schemas.Presets),))
def list_presets() -> Response:
    """List the presets.

    They are those that the limits of this server allow.
    """
    presets = [
        schemas.Preset(
            name=one.name,
            title=one.title,
            description=one.description,
            outputs=describe_recipe(one.recipe),
        )
        for one in offered_presets(current_jobs().recipe_limits)
    ]
    return answer(schemas.Presets(presets=presets))


@operation("GET", "/formats", tag="Server", answers=(Answer(200, "The formats.", schemas.Formats),))
def list_formats() -> Response:
    """List the formats that are read and written."""
    return answer(schemas.Formats(reads=sorted(READ_FORMATS), writes=list(FORMATS)))


@operation("GET", "/limits", tag="Server", answers=(Answer(200, "The limits.", schemas.Limits),))
def list_limits() -> Response:
    """List the limits.

    They are those of this server, and what you may use in an hour. An API token may have jobs and
    megabytes of its own.
    """
    config, client, own = current_config(), client_name(), current_jobs().limits
    limits = {
        name: getattr(config, name)
        for name in schemas.Limits.__struct_fields__
        if hasattr(config, name)
    }
    limits["max_jobs_per_hour"] = own.jobs_per_hour(client)
    limits["max_mb_per_hour"] = own.mb_per_hour(client)
    return answer(
        schemas.Limits(
            **limits,
            can_keep_until_deleted=config.max_kept_mb > 0,
            max_wait_seconds=MAX_WAIT_SECONDS,
        )
    )
