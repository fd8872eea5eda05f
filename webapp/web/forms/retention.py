"""For how long a job may be kept."""

from datetime import timedelta
from math import inf

from wtforms.fields.choices import SelectChoice

from webapp.config import Config
from webapp.jobs.models import Job
from webapp.web.app_context import current_config, current_jobs
from webapp.web.formatters import period

RETENTION_HOURS = (1.0, 24.0, 72.0, 168.0, 720.0)  # Offered up to the maximum of the settings.
_A_MINUTE = 1 / 60  # In hours; less is not offered as longer.


def _offered_hours(config: Config) -> list[float]:
    """List the retentions to choose from, in hours."""
    allowed = {hours for hours in RETENTION_HOURS if hours <= config.max_retention_hours}
    return sorted(allowed | {config.retention_hours})


def later_hours(job: Job) -> list[float]:
    """List the retentions that would extend a job, in hours from now.

    Of those above the maximum, only the shortest is listed.
    """
    if job.expires is None:
        return []
    config, now = current_config(), current_jobs().store.now()
    left = (job.expires.timestamp() - now) / 3600
    latest = job.created + timedelta(hours=config.max_retention_hours)
    most = (latest.timestamp() - now) / 3600
    later = [hours for hours in _offered_hours(config) if min(hours, most) > left + _A_MINUTE]
    within = [hours for hours in later if hours < most]
    return later[: len(within) + 1]


def can_be_kept(job: Job) -> bool:
    """Return whether a job expires, and its owner may keep it until they delete it."""
    return job.expires is not None and current_config().max_kept_mb > 0


def retention_choices() -> list[SelectChoice]:
    """List the choices of the field `keep_hours`."""
    config = current_config()
    choices = [
        SelectChoice(f"{hours:g}", f"for {period(hours)}") for hours in _offered_hours(config)
    ]
    if config.max_kept_mb:
        choices.append(SelectChoice(f"{inf}", "until I delete it"))
    return choices
