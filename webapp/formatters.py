"""How pages write numbers, times and names."""

from datetime import datetime

from flask import Flask

from webapp.file_names import download_name


def filesize(count: int) -> str:
    """Write a number of bytes as people read it: `512 B`, `31 kB`, `4.1 MB`."""
    if count < 1000:
        return f"{count} B"
    if count < 999_500:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB"


def saving(part: float) -> str:
    """Write the part of the bytes that was saved: `−94 %`, or `+12 %` where a file grew."""
    percent = round(part * 100)
    return f"−{percent} %" if percent >= 0 else f"+{-percent} %"


def period(hours: float) -> str:
    """Write a number of hours as people say it: `1 hour`, `36 hours`, `7 days`."""
    is_days = hours > 24 and hours % 24 == 0
    count, unit = (hours / 24, "day") if is_days else (hours, "hour")
    return f"{count:g} {unit}{'s' if count != 1 else ''}"


def date_and_time(moment: datetime) -> str:
    """Write a moment: `25 Nov 07:30 UTC`."""
    return f"{moment:%-d %b %H:%M} UTC"


def format_name(format: str) -> str:
    """Write an image format by its proper name: `WebP`."""
    return {"webp": "WebP", "jp2": "JPEG 2000"}.get(format, format.upper())


def init_app(app: Flask) -> None:
    """Give the templates these filters."""
    app.jinja_env.filters.update(
        filesize=filesize,
        saving=saving,
        datetime=date_and_time,
        format_name=format_name,
        download_name=download_name,
    )
