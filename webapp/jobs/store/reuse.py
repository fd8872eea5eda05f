"""Images whose thumbnails were made before, of the same bytes."""

import json
from collections.abc import Callable, Mapping

from webapp.jobs.database import Database
from webapp.jobs.models import MadeBefore
from webapp.jobs.store.rows import EXISTS, MADE
from webapp.jobs.store.usage import Usage

# What decoding finds; the same in each image of the same bytes.
_FACTS = "width, height, had_gps, thumbhash, placeholder, color, found_x, found_y"

# A hostile image can change the thumbnails of those that follow in its decode child, which are of
# the same job. So all that workers had before must be in the new job too: then they are for the
# same people. Rows of images that failed and were replaced are gone. The folder 0 has thumbnails of
# another job, of whose images nothing is known here.
_IS_TRUSTED = (
    "NOT EXISTS (SELECT 1 FROM images AS other WHERE other.job_id = images.job_id"
    " AND (other.replaces IS NOT NULL OR other.id != images.id"
    " AND iif(other.first_claimed IS NULL, other.attempts, other.first_claimed <= images.claimed)"
    " AND (other.sha256 IS NULL OR NOT EXISTS (SELECT 1 FROM images AS own"
    " WHERE own.owner = :owner AND own.sha256 = other.sha256 AND own.job_id = :job_id))))"
    " AND NOT EXISTS (SELECT 1 FROM thumbnails WHERE image_id = images.id AND folder LIKE '%-0')"
)

# Thumbnails of another recipe would be wrong.
_CAN_FINISH = (
    "id = :id AND status = 'waiting' AND (SELECT recipe FROM jobs WHERE jobs.id = job_id) = :recipe"
)

MAX_COMPARED = 100  # Images of one owner with the same bytes, the newest first.


class ReusedImages:
    """Find thumbnails of the same bytes, and finish images with them."""

    def __init__(self, db: Database, usage: Usage, now: Callable[[], float]) -> None:
        self._db = db
        self._usage = usage
        self._now = now

    def find(
        self, job_id: str, owner: str, sha256: str, recipe: str, numbers: Mapping[str, int]
    ) -> MadeBefore | None:
        """Find a finished image with some bytes and all thumbnails of a recipe.

        None if there is none. Its job is neither expired nor deleted. `numbers` are those of the
        outputs, by their digests. A thumbnail has the digest of its output with the focal point
        that its owner chose.
        """
        with self._db.snapshot():
            rows = self._db.query(
                f"SELECT id, {_FACTS} FROM (SELECT * FROM images"
                " WHERE owner = :owner AND sha256 = :sha256 ORDER BY created DESC LIMIT :most)"
                " AS images WHERE status = 'done'"
                f" AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_id AND {EXISTS})"
                " AND (SELECT count(DISTINCT digest) FROM thumbnails WHERE image_id = images.id"
                " AND digest IN (SELECT value FROM json_each(:digests))) = :count"
                f" AND {_IS_TRUSTED} LIMIT 1",
                job_id=job_id,
                owner=owner,
                sha256=sha256,
                most=MAX_COMPARED,
                digests=json.dumps(list(numbers)),
                count=len(numbers),
                now=self._now(),
            )
            if not rows:
                return None
            image_id = rows[0].pop("id")
            made = self._db.query(
                f"SELECT {MADE}, digest FROM thumbnails WHERE image_id = :id", id=image_id
            )
        thumbnails = [
            {**row, "number": numbers[row["digest"]]} for row in made if row["digest"] in numbers
        ]
        return MadeBefore(image_id, recipe, rows[0], thumbnails)

    def finish(self, image_id: str, folder: str, made: MadeBefore) -> bool:
        """Mark an image as done, whose thumbnails are in a folder of its own.

        Returns False if it does not wait any more, or its job got another recipe. They count as
        bytes of the client, as if they were new.
        """
        with self._db.transaction() as db:
            now = self._now()
            self._usage.charge(
                f"SELECT client, 'bytes', :minute, :amount FROM images WHERE {_CAN_FINISH}",
                now,
                amount=sum(made.sizes.values()),
                id=image_id,
                recipe=made.recipe,
            )
            facts = "".join(f", {fact} = :{fact}" for fact in made.facts)
            finished = self._db.execute(
                "UPDATE images SET status = 'done', finished = :now, client = '', reused = 1"
                f"{facts} WHERE {_CAN_FINISH}",
                id=image_id,
                now=now,
                recipe=made.recipe,
                **made.facts,
            )
            if finished:
                place = {"image_id": image_id, "folder": folder}
                db.table("thumbnails").insert_all({**one, **place} for one in made.thumbnails)
        return bool(finished)
