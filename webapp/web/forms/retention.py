"""For how long a job may be kept."""

from datetime import UTC, datetime, timedelta

from wtforms.fields.choices import SelectChoice

from webapp.config import Config
from webapp.web.app_context import current_config
from webapp.web.formatters import period

KEEP_HOURS = (1.0, 24.0, 72.0, 168.0, 720.0)  # Offered up to the maximum of the settings.


def offered_hours(config: Config) -> list[float]:
    """List for how many hours a job may be kept, to choose from."""
    allowed = {hours for hours in KEEP_HOURS if hours <= config.max_retention_hours}
    return sorted(allowed | {config.retention_hours})


def later_hours(config: Config, created: datetime, expires: datetime) -> list[float]:
    """List the times that would keep a job longer.

    They are in hours from now. Of those beyond the maximum, only the shortest is listed.
    """
    now = datetime.now(UTC)
    left = (expires - now).total_seconds() / 3600
    most = (latest_expiry(config, created) - now).total_seconds() / 3600
    later = [hours for hours in offered_hours(config) if min(hours, most) > left + _A_MINUTE]
    within = [hours for hours in later if hours < most]
    return later[: len(within) + 1]


_A_MINUTE = 1 / 60  # In hours; less is not offered as longer.


def latest_expiry(config: Config, created: datetime) -> datetime:
    """Return the latest time at which a job can expire."""
    return created + timedelta(hours=config.max_retention_hours)


def _keep_choices() -> list[SelectChoice]:
    return [SelectChoice(f"{hours:g}", period(hours)) for hours in offered_hours(current_config())]
