"""SQL and conversions that several tables share."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from math import inf
from typing import Any

from webapp.jobs.models import PREVIEW_SIDE, Counts, Thumbnail, have_same_ratio
from webapp.recipes.outputs import OVERVIEW

BEGUN = "coalesce((SELECT max(queued) FROM images WHERE job_id = jobs.id), jobs.created) AS begun"

# Whether a row of `jobs` is a job that its owner and others see.
EXISTS = "expires > :now AND deleted IS NULL"

# A job that is kept until its owner deletes it expires at infinity.
IS_KEPT = "expires = 9e999"

# Whether the owner of a deleted job can still undo it. If the clock was set back by more, not.
UNDO_SECONDS = 60.0
CAN_RESTORE = f"deleted BETWEEN :now - {UNDO_SECONDS} AND :now + {UNDO_SECONDS} AND expires > :now"

# Word for word as in the partial indexes images_claimable and fetches_pending: else SQLite does not
# use them.
UNFINISHED = "status IN ('waiting', 'working')"

# Word for word as in the partial index images_turns. Images that cost two workers are left out.
WAITING = "status = 'waiting' AND attempts - released <= 1"

# Word for word as in the partial index images_quick_turns.
QUICK = f"{WAITING} AND NOT slow"

# A lease lasts for seconds. If it ends more than a minute from now, the clock was set back:
# it counts as over then, or its image would wait for as long as the clock went back.
LEASE_IS_OVER = "(lease < :now OR lease > :now + 60)"

# One after those of a job's images, of its fetches, and of the files that it misses.
NEXT_POSITION = (
    "1 + max(coalesce((SELECT max(position) FROM images WHERE job_id = :job_id), 0),"
    " coalesce((SELECT max(position) FROM fetches WHERE job_id = :job_id), 0),"
    " coalesce((SELECT max(value ->> 'position') FROM jobs, json_each(missing_files)"
    " WHERE jobs.id = :job_id), 0))"
)

# That of the missing file which an image is, by its bytes and the beginning of its name; or NULL.
MISSING_POSITION = (
    "(SELECT value ->> 'position' FROM jobs, json_each(missing_files) WHERE jobs.id = :job_id"
    " AND value ->> 'bytes' = :bytes AND instr(:name, value ->> 'name') = 1"
    " AND NOT EXISTS (SELECT 1 FROM images WHERE job_id = :job_id"
    " AND position = value ->> 'position' AND name = :name) LIMIT 1)"
)

# How many images a job has, with those that are still to be fetched.
IMAGES_AND_FETCHES = (
    "((SELECT count(*) FROM images WHERE job_id = :job_id)"
    f" + (SELECT count(*) FROM fetches WHERE job_id = :job_id AND {UNFINISHED}))"
)

# How many fetches of a job are pending, and whether it closes after them.
FETCHING = (
    f"(SELECT count(*) FROM fetches WHERE job_id = jobs.id AND {UNFINISHED}) AS fetching,"
    " jobs.closes AS is_closing"
)

# What is read of a thumbnail, and kept of a replaced one.
MADE = "image_id, folder, file_name, format, width, height, bytes, quality"

# How many images of a job have each status; for queries that join them.
COUNTS = ", ".join(
    f"count(*) FILTER (WHERE status = '{field.name}') AS {field.name}" for field in fields(Counts)
)


def expiry(expires: float) -> datetime | None:
    """Convert when a job expires; None if it is kept until its owner deletes it."""
    return None if expires == inf else datetime.fromtimestamp(expires, UTC)


def with_times(row: dict[str, Any]) -> dict[str, Any]:
    """Convert timestamps to datetime and 0/1 to bool."""
    times = {name: datetime.fromtimestamp(row[name], UTC) for name in ("created", "begun")}
    times_and_expiry = {**times, "expires": expiry(row["expires"])}
    switches = {name: bool(row[name]) for name in ("is_open", "is_closing")}
    return {**row, **times_and_expiry, **switches}


def with_counts(row: dict[str, Any]) -> dict[str, Any]:
    """Replace the columns of COUNTS by one value."""
    counts = {field.name: row.pop(field.name) for field in fields(Counts)}
    return {**row, "counts": Counts(**counts)}


def with_points(row: dict[str, Any]) -> dict[str, Any]:
    """Replace the two columns of each point by one value."""
    for kind in [name.removesuffix("_x") for name in row if name.endswith("_x")]:
        x, y = row.pop(f"{kind}_x"), row.pop(f"{kind}_y")
        row[f"{kind}_point"] = None if x is None else (x, y)
    return row


def split_thumbnails(image: dict[str, Any], made: Sequence[Thumbnail]) -> dict[str, Any]:
    """Separate the thumbnails of the recipe from the overview."""
    asked = tuple(one for one in made if one.file_name != OVERVIEW.file_name)
    size = (image["width"], image["height"])
    uncropped = [one for one in made if have_same_ratio(one.size, size)]
    by_need = sorted(
        uncropped, key=lambda one: (max(one.width, one.height) < PREVIEW_SIDE, one.bytes)
    )
    return {"thumbnails": asked, "overview": next(iter(by_need), None)}
