"""The queue of image rows: who works on which image. The only fencing SQL.

Every change of an image's status is one atomic statement or one immediate transaction, guarded by
the claim that allows it, so any number of processes may try at the same time.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any

from webapp.engine.errors import TimedOut
from webapp.jobs.database import Database
from webapp.jobs.errors import MAY_PASS
from webapp.jobs.models import Claim, HourLimits, NewImage
from webapp.jobs.store.rows import (
    EXISTS,
    IMAGES_AND_FETCHES,
    LEASE_IS_OVER,
    MADE,
    MISSING_POSITION,
    NEXT_POSITION,
    UNFINISHED,
    with_points,
)
from webapp.jobs.store.turns import (
    IMAGES_AHEAD,
    NEXT_IMAGE,
    NEXT_QUICK_IMAGE,
    SLOW_IN_HAND,
    hour_values,
)
from webapp.jobs.store.usage import Usage
from webapp.recipes.outputs import Point

# The status is final: the claim ends, and the client's address is forgotten.
_LET_GO = "claimed_by = NULL, lease = NULL, client = ''"

# An image of a deleted job that was not finished: it waits again if the job is restored.
_IS_HELD_BACK = "status = 'cancelled' AND error_code = 'job_deleted'"

# Guards every change by a worker: no other claim of the image followed.
_HELD = "id = :image_id AND status = 'working' AND claimed_by = :worker AND attempts = :attempt"

_REPLACED = "image_id = :id AND folder = :folder AND file_name = :file_name"

_NEW_IMAGE = (
    "INSERT INTO images (id, job_id, position, name, bytes, format, width, height, had_gps, slow,"
    f" sha256, created, queued, client, owner) SELECT :id, :job_id,"
    f" coalesce(:position, {MISSING_POSITION}, {NEXT_POSITION}), :name, :bytes, :format, :width,"
    " :height, :had_gps, :is_slow, :sha256, :now, :now, :client, coalesce(owner, '') FROM jobs"
    " WHERE id = :job_id"
)

_TO_REMAKE = (
    "(status IN ('working', 'done', 'failed') OR status = 'cancelled'"
    " AND EXISTS (SELECT 1 FROM thumbnails WHERE image_id = images.id))"
)


class ImageQueue:
    """Add, claim and finish images."""

    def __init__(self, db: Database, usage: Usage, now: Callable[[], float]) -> None:
        self._db = db
        self._usage = usage
        self._now = now

    def add(
        self,
        job_id: str,
        image: NewImage,
        open_seconds: float | None,
        max_images: int,
        client: str,
    ) -> bool:
        """Write the row of a new image, unless the job is deleted, closed or full.

        Without a position, it takes that of the missing file which it is, or else the last. The job
        then stays open for some time from now; None closes it. `client` is the address that sent
        the image.
        """
        with self._db.transaction():
            now = self._now()
            added = self._db.execute(
                f"{_NEW_IMAGE} AND {EXISTS} AND open_until > :now AND NOT closes"
                f" AND {IMAGES_AND_FETCHES} < :max_images",
                **vars(image),
                job_id=job_id,
                now=now,
                max_images=max_images,
                client=client,
            )
            if added:
                self._db.execute(
                    "UPDATE jobs SET open_until = :open_until"
                    " WHERE id = :job_id AND open_until != 9e999",  # Else it waits for fetches.
                    job_id=job_id,
                    open_until=0 if open_seconds is None else now + open_seconds,
                )
        return bool(added)

    def add_fetched(self, job_id: str, image: NewImage, client: str) -> None:
        """Write the row of an image that was fetched, also if its job is closed by now."""
        self._db.execute(_NEW_IMAGE, **vars(image), job_id=job_id, now=self._now(), client=client)

    def replace(self, job_id: str, image_id: str, image: NewImage, client: str) -> bool:
        """Write a new image in the place of one that failed; return False if none did.

        The row of the failed one is deleted with all that was made of it; a sweep deletes those
        files.
        """
        with self._db.transaction():
            replaced = self._db.execute(
                "INSERT INTO images (id, job_id, position, replaces, name, bytes, format, width,"
                " height, had_gps, slow, created, queued, client, owner)"
                " SELECT :id, job_id, position, coalesce(replaces, id), :name, :bytes, :format,"
                " :width, :height, :had_gps, :is_slow, :now, :now, :client, owner FROM images"
                " WHERE id = :image_id AND job_id = :job_id AND status = 'failed'"
                f" AND EXISTS (SELECT 1 FROM jobs WHERE id = :job_id AND {EXISTS})",
                **vars(image),
                image_id=image_id,
                job_id=job_id,
                now=self._now(),
                client=client,
            )
            if replaced:
                # First: a trigger subtracts their bytes from those of the image's job.
                self._db.execute("DELETE FROM thumbnails WHERE image_id = :id", id=image_id)
                self._db.execute("DELETE FROM images WHERE id = :id", id=image_id)
        return bool(replaced)

    def find_same(self, job_id: str, image: NewImage) -> str | None:
        """Return the id of a job's image with the same position, name and size, or None.

        Where both have a hash, that is the same too.
        """
        rows = self._db.query(
            "SELECT id FROM images WHERE job_id = :job_id AND position = :position"
            " AND name = :name AND bytes = :bytes AND coalesce(sha256 = :sha256, 1)",
            sha256=image.sha256,
            job_id=job_id,
            position=image.position,
            name=image.name,
            bytes=image.bytes,
        )
        return rows[0]["id"] if rows else None

    def claim(
        self,
        worker: str,
        lease_seconds: float,
        max_attempts: int,
        limits: HourLimits,
        max_slow: int,
    ) -> Claim | None:
        """Claim the next image that waits or whose lease ended, in one transaction.

        It belongs to the client with the fewest claimed images; if there are several, to the one
        that was not served for the longest time. Its owner is chosen in the same way; of the
        owner's images it is the oldest. Images of dead workers come first, once. Images that cost
        two workers come last: a poison image cannot hold up sound ones. The time that a dead worker
        had the image is charged to its client.

        While `max_slow` slow images are claimed, the same is true among the others. An image is
        slow if its header says so, if it timed out, or if it cost two workers.

        While an operator pauses the work, there is none.
        """
        with self._db.transaction():
            now = self._now()
            chosen = self._choose(now, max_attempts, limits, max_slow)
            if chosen is None:
                return None
            self._usage.charge_work("rowid = :image", now, image=chosen)
            rows = self._db.query(
                "UPDATE images SET slow = slow OR attempts - released > 1,"
                " status = 'working', attempts = attempts + 1,"
                " claimed_by = :worker, claimed = :now, lease = :lease WHERE rowid = :image"
                " RETURNING id AS image_id, job_id, claimed_by AS worker, attempts AS attempt,"
                " :now - queued AS waited, slow AS is_slow, focal_x, focal_y,"
                " (SELECT recipe FROM jobs WHERE jobs.id = job_id) AS recipe",
                worker=worker,
                now=now,
                lease=now + lease_seconds,
                image=chosen,
            )
        return Claim(**{**with_points(rows[0]), "is_slow": bool(rows[0]["is_slow"])})

    def has_claimable(self, max_attempts: int, limits: HourLimits, max_slow: int) -> bool:
        """Return whether an image can be claimed."""
        with self._db.snapshot():
            return self._choose(self._now(), max_attempts, limits, max_slow) is not None

    def _choose(
        self, now: float, max_attempts: int, limits: HourLimits, max_slow: int
    ) -> int | None:
        """Return the row of the image that claim() takes next, or None."""
        if self._db.query("SELECT 1 FROM pause"):
            return None
        slow = self._db.query(SLOW_IN_HAND, now=now)[0]["images"]
        sql = NEXT_IMAGE if slow < max_slow else NEXT_QUICK_IMAGE
        values = {"max_attempts": max_attempts} if slow < max_slow else {}
        rows = self._db.query(sql, **hour_values(limits, now), **values)
        return rows[0]["image"]  # type: ignore[no-any-return]

    def renew(self, claim: Claim, lease_seconds: float) -> bool:
        """Extend the lease of a claim from now; return False if it is lost."""
        return bool(
            self._db.execute(
                f"UPDATE images SET lease = :lease WHERE {_HELD}",
                lease=self._now() + lease_seconds,
                **_held(claim),
            )
        )

    def finish(
        self,
        claim: Claim,
        facts: Mapping[str, Any],
        folder: str,
        thumbnails: Sequence[dict[str, Any]],
        kept: Mapping[int, tuple[str, str]] = MappingProxyType({}),
    ) -> bool:
        """Mark an image as done, with its thumbnails; return False if the claim is lost.

        `facts` has what decoding found: width, height, had_gps, thumbhash, placeholder, color and
        perhaps a point; it is empty if nothing had to be decoded. `thumbnails` has, for each new
        file in `folder`, its number in the recipe, file_name, format, width, height, bytes, quality
        and digest.
        `kept` has the path and digest of those that stay, by their numbers; some may have been
        replaced before. The others are replaced. Raises LookupError if one that stays was deleted
        meanwhile.
        """
        with self._db.transaction() as db:
            now = self._now()
            self._usage.charge_work(_HELD, now, **_held(claim))
            self._usage.charge(
                "SELECT client, 'bytes', :minute, :amount FROM images WHERE " + _HELD,
                now,
                amount=sum(thumbnail["bytes"] for thumbnail in thumbnails),
                **_held(claim),
            )
            held = self._db.execute(
                f"UPDATE images SET status = 'done', finished = :now, {_LET_GO}"
                + "".join(f", {fact} = :{fact}" for fact in facts)
                + f" WHERE {_HELD}",
                now=now,
                **facts,
                **_held(claim),
            )
            if not held:
                return False
            self._replace_thumbnails(claim.image_id, now)
            for number, (path, digest) in kept.items():
                self._restore_thumbnail(claim.image_id, number, path, digest)
            place = {"image_id": claim.image_id, "folder": folder}
            db.table("thumbnails").insert_all({**place, **thumbnail} for thumbnail in thumbnails)
        return True

    def _replace_thumbnails(self, image_id: str, now: float) -> None:
        self._db.execute(
            f"INSERT INTO replaced_thumbnails ({MADE}, digest, replaced)"
            f" SELECT {MADE}, digest, :now FROM thumbnails WHERE image_id = :id",
            id=image_id,
            now=now,
        )
        self._db.execute("DELETE FROM thumbnails WHERE image_id = :id", id=image_id)

    def _restore_thumbnail(self, image_id: str, number: int, path: str, digest: str) -> None:
        folder, _, file_name = path.rpartition("/")
        which = {"id": image_id, "folder": folder, "file_name": file_name}
        restored = self._db.execute(
            f"INSERT INTO thumbnails (number, digest, {MADE}) SELECT :number, :digest, {MADE}"
            f" FROM replaced_thumbnails WHERE {_REPLACED}",
            number=number,
            digest=digest,
            **which,
        )
        if not restored:
            raise LookupError(f"{path} was deleted meanwhile")
        self._db.execute(f"DELETE FROM replaced_thumbnails WHERE {_REPLACED}", **which)

    def fail(self, claim: Claim, code: str, message: str) -> bool:
        """Mark an image as failed; return False if the claim is lost."""
        with self._db.transaction():
            now = self._now()
            self._usage.charge_work(_HELD, now, **_held(claim))
            held = self._db.execute(
                "UPDATE images SET status = 'failed', error_code = :code, error_message = :message,"
                f" slow = slow OR :code = :timed_out, finished = :now, {_LET_GO} WHERE {_HELD}",
                code=code,
                timed_out=TimedOut.code,
                message=message,
                now=now,
                **_held(claim),
            )
        return bool(held)

    def release(self, claim: Claim) -> bool:
        """Put an image back into the queue; return False if the claim is lost.

        It does not count as an attempt, but keeps its number: no two claims have the same token.
        """
        with self._db.transaction():
            self._usage.charge_work(_HELD, self._now(), **_held(claim))
            held = self._db.execute(
                "UPDATE images SET status = 'waiting', released = released + 1, claimed_by = NULL,"
                f" lease = NULL WHERE {_HELD}",
                **_held(claim),
            )
        return bool(held)

    def end_lease(self, claim: Claim) -> bool:
        """End a lease now, as if the worker had died; return False if the claim is lost."""
        with self._db.transaction():
            now = self._now()
            self._usage.charge_work(_HELD, now, **_held(claim))
            held = self._db.execute(
                f"UPDATE images SET claimed = :now, lease = :now WHERE {_HELD}",
                now=now,
                **_held(claim),
            )
        return bool(held)

    def fail_exhausted(self, code: str, message: str, max_attempts: int) -> list[tuple[str, str]]:
        """Mark as failed the images that used up their attempts.

        Returns the ids of their jobs and their own. The time that the last worker had an image is
        charged to its client.
        """
        lost = f"status = 'working' AND {LEASE_IS_OVER} AND attempts - released >= :max_attempts"
        with self._db.transaction():
            now = self._now()
            self._usage.charge_work(lost, now, max_attempts=max_attempts)
            rows = self._db.query(
                "UPDATE images SET status = 'failed', error_code = :code, error_message = :message,"
                f" finished = :now, {_LET_GO} WHERE {UNFINISHED} AND {lost} RETURNING job_id, id",
                code=code,
                message=message,
                now=now,
                max_attempts=max_attempts,
            )
        return [(row["job_id"], row["id"]) for row in rows]

    def set_recipe(self, job_id: str, recipe: str, client: str) -> None:
        """Set the recipe of a job, and queue its images again.

        Thumbnails stay until they are replaced. A worker loses its claim. Images that were
        cancelled before they had thumbnails stay cancelled.
        """
        with self._db.transaction():
            self._db.execute(
                "UPDATE jobs SET recipe = :recipe, version = version + 1 WHERE id = :id",
                id=job_id,
                recipe=recipe,
            )
            self._queue_again(
                f"job_id = :job_id AND {_TO_REMAKE}",
                client,
                job_id=job_id,
            )

    def set_focal_point(
        self, job_id: str, image_id: str | None, point: Point | None, client: str
    ) -> bool:
        """Set or remove the focal point of an image, or of all images of a job, and queue them.

        Returns False if none was found.
        """
        x, y = point or (None, None)
        which = "job_id = :job_id AND iif(:image_id IS NULL, 1, id = :image_id)"
        with self._db.transaction():
            found = self._db.execute(
                "UPDATE images SET focal_x = :x, focal_y = :y,"
                " version = (SELECT version + 1 FROM jobs WHERE jobs.id = job_id)"
                f" WHERE {which}",
                job_id=job_id,
                image_id=image_id,
                x=x,
                y=y,
            )
            if found:  # Also of an image that is not queued again.
                self._db.execute("UPDATE jobs SET version = version + 1 WHERE id = :id", id=job_id)
            self._queue_again(
                f"{which} AND {_TO_REMAKE}",
                client,
                job_id=job_id,
                image_id=image_id,
            )
        return bool(found)

    def retry(self, job_id: str, image_id: str | None, client: str) -> int:
        """Queue images again that were cancelled or whose failure may pass.

        One image; or of a job all whose failure may pass, or if there are none, all cancelled ones.
        """
        passing = (
            "job_id = :job_id AND (status = 'cancelled' OR"
            " status = 'failed' AND error_code IN (SELECT value FROM json_each(:codes)))"
        )
        return self._queue_again(
            f"{passing} AND iif(:image_id IS NULL,"
            # max() prefers 'failed' to 'cancelled', in the order of the alphabet.
            f" status = (SELECT max(status) FROM images WHERE {passing}), id = :image_id)",
            client,
            job_id=job_id,
            image_id=image_id,
            codes=json.dumps(sorted(MAY_PASS)),
        )

    def _queue_again(self, which: str, client: str, **values: Any) -> int:
        """Queue images again with new attempts, and return their number.

        Fencing tokens are not used again. `client` is the address of the request. The time that
        workers had the images so far is charged to their clients.
        """
        with self._db.transaction():
            now = self._now()
            self._usage.charge_work(which, now, **values)
            return self._db.execute(
                "UPDATE images SET status = 'waiting', queued = :now, released = attempts,"
                " claimed_by = NULL, lease = NULL, client = :client, finished = NULL, reused = 0,"
                f" error_code = NULL, error_message = NULL WHERE {which}"
                " AND EXISTS (SELECT 1 FROM jobs WHERE id = job_id AND deleted IS NULL)",
                now=now,
                client=client,
                **values,
            )

    def cancel(self, job_id: str, image_id: str | None = None) -> int:
        """Cancel one waiting image, or all of a job, and return their number.

        Thumbnails that were made before stay.
        """
        return self._db.execute(
            f"UPDATE images SET status = 'cancelled', finished = :now, {_LET_GO}"
            " WHERE job_id = :job_id AND (:image_id IS NULL OR id = :image_id)"
            " AND status = 'waiting'",
            job_id=job_id,
            image_id=image_id,
            now=self._now(),
        )

    def hold_back(self, job_id: str) -> None:
        """Cancel the images of a deleted job that are not finished, until it is restored.

        A worker loses its claim, as if it had released it.
        """
        with self._db.transaction():
            self._usage.charge_work("job_id = :job_id", self._now(), job_id=job_id)
            self._db.execute(
                "UPDATE images SET released = released + (status = 'working'),"
                " status = 'cancelled', error_code = 'job_deleted', claimed_by = NULL, lease = NULL"
                f" WHERE job_id = :job_id AND {UNFINISHED}",
                job_id=job_id,
            )

    def queue_held_back(self, job_id: str, client: str) -> None:
        """Queue the images of a restored job where they were in the queue."""
        self._db.execute(
            "UPDATE images SET status = 'waiting', error_code = NULL, client = :client"
            f" WHERE job_id = :job_id AND {_IS_HELD_BACK}",
            job_id=job_id,
            client=client,
        )

    def cancel_held_back(self, job_id: str) -> None:
        """Leave the images of a restored job cancelled, so that its owner can retry them."""
        self._db.execute(
            f"UPDATE images SET error_code = NULL, finished = :now, {_LET_GO}"
            f" WHERE job_id = :job_id AND {_IS_HELD_BACK}",
            job_id=job_id,
            now=self._now(),
        )

    def has_unfinished(self, count: int) -> bool:
        """Return whether `count` images wait, are claimed, or are to be fetched."""
        sql = (
            f"SELECT 1 FROM images WHERE {UNFINISHED}"
            f" UNION ALL SELECT 1 FROM fetches WHERE {UNFINISHED} LIMIT 1 OFFSET :before"
        )
        return bool(self._db.query(sql, before=count - 1))

    def has_unfinished_of(self, client: str, count: int) -> bool:
        """Return whether at least `count` images of a client wait or are claimed.

        Those that are to be fetched count, too, but not of deleted jobs.
        """
        rows = self._db.query(
            "SELECT coalesce((SELECT waiting FROM client_turns WHERE client = :client), 0)"
            " + (SELECT count(*) FROM images WHERE status = 'working' AND client = :client)"
            f" + (SELECT count(*) FROM fetches WHERE {UNFINISHED} AND client = :client AND EXISTS"
            " (SELECT 1 FROM jobs WHERE jobs.id = job_id AND deleted IS NULL)) AS images",
            client=client,
        )
        return bool(rows[0]["images"] >= count)

    def count_ahead(self, job_id: str) -> tuple[int, int, int]:
        """Estimate how many images of others come before a job's first and last.

        Also returns how many of its own are slow. Only its waiting images count, and of the others'
        those that are claimed or have an earlier turn. Exact if there is one worker, no image is
        added, and none is slow.
        """
        with self._db.snapshot():
            rows = self._db.query(IMAGES_AHEAD, id=job_id, now=self._now())
            if not rows:  # Images that cost two workers come after all others.
                rows = self._db.query(
                    "SELECT total(waiting) AS images, 0 AS slow FROM client_turns WHERE EXISTS"
                    " (SELECT 1 FROM images WHERE job_id = :id AND status = 'waiting')",
                    id=job_id,
                )
        return int(rows[0]["images"]), int(rows[-1]["images"]), rows[0]["slow"]

    def mean_work_seconds(self) -> float | None:
        """Return the mean work of the last 50 images, or None."""
        rows = self._db.query(
            "SELECT avg(finished - claimed) AS mean FROM (SELECT finished, claimed FROM images"
            " WHERE status = 'done' AND NOT reused AND finished IS NOT NULL"
            " ORDER BY finished DESC LIMIT 50)"
        )
        return rows[0]["mean"]  # type: ignore[no-any-return]

    def made_before(self, image_id: str) -> list[tuple[str, str | None]]:
        """List the paths and digests of an image's thumbnails, newest first.

        Those that were replaced come last.
        """
        rows = self._db.query(
            "SELECT digest, folder || '/' || file_name AS path FROM"
            " (SELECT digest, folder, file_name, replaced FROM replaced_thumbnails"
            " WHERE image_id = :id UNION ALL SELECT digest, folder, file_name, :never"
            " FROM thumbnails WHERE image_id = :id) ORDER BY replaced DESC",
            id=image_id,
            never=inf,
        )
        return [(row["path"], row["digest"]) for row in rows]

    def images_with_replaced(self, before: float, skip: int = 0) -> list[str]:
        """List some images of which a thumbnail was replaced before a time.

        Leaves out so many of the first, and those of deleted jobs, whose files are hidden.
        """
        rows = self._db.query(
            "SELECT DISTINCT image_id FROM replaced_thumbnails JOIN images ON images.id = image_id"
            " JOIN jobs ON jobs.id = job_id WHERE replaced < :before AND deleted IS NULL"
            " LIMIT 1000 OFFSET :skip",
            before=before,
            skip=skip,
        )
        return [row["image_id"] for row in rows]

    def forget_replaced(self, image_id: str, before: float) -> list[str]:
        """Delete an image's rows that were replaced before a time; return the paths.

        Those of a deleted job stay: their files are hidden.
        """
        rows = self._db.query(
            "DELETE FROM replaced_thumbnails WHERE image_id = :id AND replaced < :before"
            " AND EXISTS (SELECT 1 FROM images JOIN jobs ON jobs.id = job_id"
            " WHERE images.id = :id AND deleted IS NULL)"
            " RETURNING folder || '/' || file_name AS path",
            id=image_id,
            before=before,
        )
        return [row["path"] for row in rows]

    def ids(self) -> Iterator[str]:
        """Read the ids of all images, a page at a time."""
        after = 0
        while rows := self._db.query(
            "SELECT rowid AS number, id FROM images WHERE rowid > :after ORDER BY rowid LIMIT 1000",
            after=after,
        ):
            yield from (row["id"] for row in rows)
            after = rows[-1]["number"]

    def expected_files(self, image_id: str) -> list[tuple[str, str | None]]:
        """List the files that an image must have, each with its job's id.

        The path is None before there are any: then it must have its original. A claimed image has
        none: its worker looks. Nor has one of a deleted job, whose thumbnails are hidden.
        """
        rows = self._db.query(
            "SELECT job_id, folder || '/' || file_name AS path FROM images"
            " LEFT JOIN thumbnails ON image_id = images.id"
            " WHERE images.id = :id AND status IN ('waiting', 'done')"
            f" AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_id AND {EXISTS})",
            id=image_id,
            now=self._now(),
        )
        return [(row["job_id"], row["path"]) for row in rows]

    def known_paths(self, job_id: str) -> set[str]:
        """List the paths that rows of a job have: `job/image`, and folders of thumbnails."""
        rows = self._db.query(
            "SELECT job_id || '/' || id AS place FROM images WHERE job_id = :job_id"
            " UNION SELECT folder FROM images JOIN thumbnails ON image_id = id"
            " WHERE job_id = :job_id"
            " UNION SELECT folder FROM images JOIN replaced_thumbnails ON image_id = id"
            " WHERE job_id = :job_id",
            job_id=job_id,
        )
        return {row["place"] for row in rows}

    def fail_without_files(self, image_id: str, code: str, message: str) -> bool:
        """Mark an image as failed whose files are lost; those that are left are replaced."""
        with self._db.transaction():
            now = self._now()
            failed = self._db.execute(
                "UPDATE images SET status = 'failed', error_code = :code, error_message = :message,"
                f" finished = :now, reused = 0, {_LET_GO}"
                " WHERE id = :id AND status IN ('waiting', 'done')",
                id=image_id,
                code=code,
                message=message,
                now=now,
            )
            if failed:
                self._replace_thumbnails(image_id, now)
        return bool(failed)


def _held(claim: Claim) -> dict[str, Any]:
    return {"image_id": claim.image_id, "worker": claim.worker, "attempt": claim.attempt}
