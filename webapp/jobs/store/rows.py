"""SQL and conversions that several tables share."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from webapp.jobs.models import PREVIEW_SIDE, Thumbnail, have_same_ratio
from webapp.recipes.outputs import WHOLE


def with_times(row: dict[str, Any]) -> dict[str, Any]:
    """Make Python's own of a job's two times, and of the number that SQLite has for a truth."""
    times = {name: datetime.fromtimestamp(row[name], UTC) for name in ("created", "expires")}
    return {**row, **times, "is_open": bool(row["is_open"])}


def with_focal_point(row: dict[str, Any]) -> dict[str, Any]:
    """Make one value of the two columns of a focal point."""
    x, y = row.pop("focus_x"), row.pop("focus_y")
    return {**row, "focus": None if x is None else (x, y)}


def split_thumbnails(image: dict[str, Any], made: Sequence[Thumbnail]) -> dict[str, Any]:
    """Tell what was asked for from what only shows all of an image."""
    asked = tuple(one for one in made if one.file_name != WHOLE.file_name)
    whole = (image["width"], image["height"])
    uncropped = [one for one in made if have_same_ratio(one.size, whole)]
    by_need = sorted(
        uncropped, key=lambda one: (max(one.width, one.height) < PREVIEW_SIDE, one.bytes)
    )
    return {"thumbnails": asked, "whole": next(iter(by_need), None)}


BEGUN = "coalesce((SELECT max(queued) FROM images WHERE job_id = jobs.id), jobs.created) AS begun"

# As the partial index images_claimable says it, word for word: else SQLite does not use it.
UNFINISHED = "state IN ('waiting', 'working')"

# As the partial index images_turns says it, word for word. What cost two workers is left out.
WAITING = "state = 'waiting' AND attempts - released <= 1"

# A lease lasts for seconds. Where one ends more than a minute from now, the clock was set back
# since: it counts as over, or its image would wait for as long as the clock went back.
LEASE_IS_OVER = "(lease < :now OR lease > :now + 60)"
