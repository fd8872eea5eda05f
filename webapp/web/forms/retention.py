"""For how long a job may be kept."""

from datetime import datetime, timedelta

from wtforms.fields.choices import SelectChoice

from webapp.config import Config
from webapp.jobs.models import Job
from webapp.web.app_context import current_config, current_jobs
from webapp.web.formatters import period

RETENTION_HOURS = (1.0, 24.0, 72.0, 168.0, 720.0)  # Offered up to the maximum of the settings.
_A_MINUTE = 1 / 60  # In hours; less is not offered as longer.


def offered_hours(config: Config) -> list[float]:
    """List the retentions to choose from, in hours."""
    allowed = {hours for hours in RETENTION_HOURS if hours <= config.max_retention_hours}
    return sorted(allowed | {config.retention_hours})


def later_hours(job: Job) -> list[float]:
    """List the retentions that would extend a job, in hours from now.

    Of those above the maximum, only the shortest is listed.
    """
    config, now = current_config(), current_jobs().store.now()
    left = (job.expires.timestamp() - now) / 3600
    most = (latest_expiry(job).timestamp() - now) / 3600
    later = [hours for hours in offered_hours(config) if min(hours, most) > left + _A_MINUTE]
    within = [hours for hours in later if hours < most]
    return later[: len(within) + 1]


def latest_expiry(job: Job) -> datetime:
    """Return the latest time at which a job can expire."""
    return job.created + timedelta(hours=current_config().max_retention_hours)


def retention_choices() -> list[SelectChoice]:
    """List the choices of the field `keep_hours`."""
    return [SelectChoice(f"{hours:g}", period(hours)) for hours in offered_hours(current_config())]
