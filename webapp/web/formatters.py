"""How pages write numbers, times and names, and draw what is not loaded yet."""

from datetime import datetime
from math import ceil
from zlib import crc32

from flask import Flask
from markupsafe import Markup

from webapp.config import MB
from webapp.exports.file_names import download_name
from webapp.jobs.models import Pause, Thumbnail
from webapp.jobs.names import JOB_NAME_LENGTH
from webapp.web.app_context import current_jobs

# Numbers of bytes up to which each unit is used, its bytes and its digits.
FILE_SIZES = ((1000, 1, 0, "B"), (999_500, 1000, 0, "kB"), (10**15, MB, 1, "MB"))


def filesize(count: int) -> str:
    """Write a number of bytes as people read it: `512 B`, `31 kB`, `4.1 MB`."""
    _, size, digits, unit = next(one for one in FILE_SIZES if count < one[0])
    return f"{count / size:.{digits}f} {unit}"


def saving(part: float) -> str:
    """Format the fraction of bytes saved: `−94 %`, or `+12 %` if a file grew."""
    percent = min(round(part * 100), 99)  # No file has 0 bytes.
    sign = "−" if percent > 0 else "+" if percent < 0 else ""
    return f"{sign}{abs(percent)} %"


def period(hours: float) -> str:
    """Write a number of hours as people say it: `1 hour`, `36 hours`, `7 days`."""
    is_days = hours > 24 and hours % 24 == 0
    count, unit = (hours / 24, "day") if is_days else (hours, "hour")
    return f"{count:g} {unit}{'s' if count != 1 else ''}"


def round_time(seconds: float) -> int:
    """Round an estimated time to the precision that pages show."""
    if seconds <= 5:
        return 5
    if seconds <= 50:
        return ceil(seconds / 10) * 10
    if seconds <= 5400:
        return max(1, round(seconds / 60)) * 60
    return round(seconds / 3600) * 3600


def about(seconds: float) -> str:
    """Format an estimated time with its precision: `about 20 seconds`."""
    rounded = round_time(seconds)
    if rounded <= 5:
        return "a few seconds"
    if rounded < 60:
        return f"about {rounded} seconds"
    if rounded == 60:
        return "about a minute"
    if rounded <= 5400:
        return f"about {rounded // 60} minutes"
    return f"about {rounded // 3600} hours"


def smaller(part: float) -> str:
    """Write the fraction of bytes saved in words: `96 % smaller`; empty for none."""
    percent = min(round(part * 100), 99)
    if not percent:
        return ""
    return f"{abs(percent)} % {'smaller' if percent > 0 else 'larger'}"


def date_and_time(moment: datetime) -> str:
    """Write a moment: `25 Nov 07:30 UTC`."""
    return f"{moment:%-d %b %H:%M} UTC"


def time_left(moment: datetime) -> str:
    """Write how long it is until a moment, such as `23 hours left`."""
    minutes = _seconds_until(moment) / 60
    if minutes < 1:
        return "less than a minute left"
    count, unit = (minutes, "minute") if minutes < 60 else (minutes / 60, "hour")
    if count >= 48 and unit == "hour":
        count, unit = count / 24, "day"
    return f"{round(count)} {unit}{'s' if round(count) != 1 else ''} left"


def is_soon(moment: datetime) -> bool:
    """Return whether a moment is less than an hour away."""
    return _seconds_until(moment) < 3600


def _seconds_until(moment: datetime) -> float:
    return moment.timestamp() - current_jobs().store.now()


def replaced_minutes() -> float:
    """Return for how long the links to replaced thumbnails work."""
    return current_jobs().storage.replaced_seconds() / 60


def format_name(format: str) -> str:
    """Write an image format by its proper name: `WebP`."""
    return {"webp": "WebP", "jp2": "JPEG 2000"}.get(format, format.upper())


def placeholder_url(thumbnail: Thumbnail, placeholder: str) -> Markup:
    """Return the data URL of a placeholder as large as a thumbnail, some 700 bytes."""
    return Markup(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'"
        f" width='{thumbnail.width}' height='{thumbnail.height}'%3E%3Cimage width='100%25'"
        " height='100%25' preserveAspectRatio='none'"
        f" href='data:image/png;base64,{placeholder}'/%3E%3C/svg%3E"
    )


def pause_fingerprint(pause: Pause | None) -> str:
    """Return a fingerprint of what a page shows of a pause; empty for none."""
    return f"{crc32(pause.reason.encode()):08x}" if pause else ""


def init_app(app: Flask) -> None:
    """Register the filters, and trim the lines that only templates need."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        about=about,
        filesize=filesize,
        fingerprint=pause_fingerprint,
        period=period,
        placeholder_url=placeholder_url,
        saving=saving,
        smaller=smaller,
        time_left=time_left,
        datetime=date_and_time,
        format_name=format_name,
        download_name=download_name,
    )
    app.jinja_env.tests["soon"] = is_soon
    app.jinja_env.globals["replaced_minutes"] = replaced_minutes
    app.jinja_env.globals["job_name_length"] = JOB_NAME_LENGTH
