"""Rows of jobs, images, workers and clients: the only SQL of the application beside its schema.

The rows are the truth. Every change of an image's state is one atomic statement or one immediate
transaction, guarded by the claim that allows it, so any number of processes may try at once.
Times are seconds since 1970, UTC.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import ceil
from typing import Any

from webapp.jobs.database import Database
from webapp.jobs.models import (
    Bucket,
    Claim,
    Counter,
    HourLimits,
    Image,
    Job,
    JobList,
    ListedJob,
    MissingFile,
    NewImage,
    Progress,
    Queue,
    Thumbnail,
)
from webapp.jobs.store.rows import _BEGUN, _UNFINISHED, _sort_out, _with_focus, _with_times
from webapp.recipes.outputs import WHOLE, Point

STRIP_SIDE = 128  # Pixels; a picture in the list of jobs is 64 high, or twice that.
STRIP_LENGTH = 40  # Pictures; so many are side by side on a screen 4K wide.
WINDOW_MINUTES = 60  # Of the limits of one client.


class JobStore(Database):
    """Read and write the rows of jobs, images, workers and clients."""

    # Jobs

    def add_job(
        self,
        job_id: str,
        owner: str | None,
        recipe: str,
        now: float,
        expires: float,
        open_until: float,
    ) -> None:
        """Write the row of a new job."""
        self._change(
            "INSERT INTO jobs (id, owner, recipe, created, expires, open_until)"
            " VALUES (:id, :owner, :recipe, :now, :expires, :open_until)",
            id=job_id,
            owner=owner,
            recipe=recipe,
            now=now,
            expires=expires,
            open_until=open_until,
        )

    def job(self, job_id: str, now: float) -> Job | None:
        """Read a job with its images and their thumbnails; None where there is none at `now`."""
        with self.snapshot():
            rows = self._rows(
                f"SELECT *, {_BEGUN} FROM jobs WHERE id = :id AND expires > :now",
                id=job_id,
                now=now,
            )
            if not rows:
                return None
            images = self._images(job_id)
        row = rows[0]
        return Job(
            id=row["id"],
            owner=row["owner"],
            recipe=row["recipe"],
            created=datetime.fromtimestamp(row["created"], UTC),
            expires=datetime.fromtimestamp(row["expires"], UTC),
            begun=datetime.fromtimestamp(row["begun"], UTC),
            version=row["version"],
            is_open=row["open_until"] > now,
            images=images,
            missing_files=tuple(MissingFile(**file) for file in json.loads(row["missing_files"])),
        )

    def owned_jobs(self, owner: str | None, now: float, before: float, limit: int) -> JobList:
        """List the newest jobs of one owner that were created before a time."""
        with self.snapshot():
            rows = self._job_rows(
                "owner = :owner AND expires > :now AND created < :before"
                " ORDER BY created DESC LIMIT :limit + 1",
                owner=owner,
                now=now,
                before=before,
                limit=limit,
            )
            listed = self._listed(rows[:limit])
        older = rows[limit - 1]["created"] if len(rows) > limit else None
        return JobList(listed, older)

    def listed_job(self, job_id: str, now: float) -> ListedJob | None:
        """Read what a list shows of one job; None where there is none at `now`."""
        with self.snapshot():
            rows = self._job_rows("id = :id AND expires > :now", id=job_id, now=now)
            return next(iter(self._listed(rows)), None)

    def _job_rows(self, which: str, **values: Any) -> list[dict[str, Any]]:
        return self._rows(
            "SELECT jobs.id, jobs.version, jobs.created, expires, open_until > :now AS is_open,"
            " (SELECT name FROM images WHERE job_id = jobs.id ORDER BY position, created LIMIT 1)"
            " AS name, count(state) AS total,"
            f" count(*) FILTER (WHERE NOT {_UNFINISHED}) AS finished,"
            " count(*) FILTER (WHERE state = 'done') AS done,"
            " count(*) FILTER (WHERE state = 'failed') AS failed,"
            " count(*) FILTER (WHERE state = 'cancelled') AS cancelled,"
            " json_array_length(missing_files) AS missing"
            f" FROM (SELECT * FROM jobs WHERE {which}) AS jobs"
            " LEFT JOIN images ON job_id = jobs.id GROUP BY jobs.id ORDER BY jobs.created DESC",
            **values,
        )

    def _listed(self, rows: Sequence[dict[str, Any]]) -> tuple[ListedJob, ...]:
        previews = self._previews([row["id"] for row in rows])
        return tuple(
            ListedJob(**_with_times(row), previews=tuple(previews.get(row["id"], ())))
            for row in rows
        )

    def _previews(self, job_ids: Sequence[str]) -> dict[str, list[Thumbnail]]:
        """Give of each job a small picture of each of its first images that have one."""
        previews: dict[str, list[Thumbnail]] = {}
        for row in self._rows(
            "WITH strip AS (SELECT id, job_id, bytes, name,"
            " row_number() OVER (PARTITION BY job_id ORDER BY position, created) AS place"
            " FROM images WHERE job_id IN (SELECT value FROM json_each(:job_ids))"
            " AND EXISTS (SELECT 1 FROM thumbnails WHERE image_id = images.id))"
            " SELECT job_id, thumbnails.*, strip.bytes AS source_bytes, name AS source_name"
            " FROM strip JOIN thumbnails ON thumbnails.rowid ="
            # The smallest that is high enough, or else the highest.
            " (SELECT rowid FROM thumbnails WHERE image_id = strip.id AND file_name != :whole"
            " ORDER BY height < :side, abs(height - :side), number LIMIT 1)"
            " WHERE place <= :length ORDER BY job_id, place",
            job_ids=json.dumps(job_ids),
            whole=WHOLE.file_name,
            side=STRIP_SIDE,
            length=STRIP_LENGTH,
        ):
            del row["number"]
            previews.setdefault(row.pop("job_id"), []).append(Thumbnail(**row))
        return previews

    def _images(self, job_id: str) -> tuple[Image, ...]:
        thumbnails: dict[str, list[Thumbnail]] = {}
        for row in self._rows(
            "SELECT thumbnails.*, images.bytes AS source_bytes, name AS source_name"
            " FROM thumbnails JOIN images ON images.id = image_id"
            " WHERE job_id = :id ORDER BY image_id, thumbnails.number",
            id=job_id,
        ):
            del row["number"]
            thumbnails.setdefault(row["image_id"], []).append(Thumbnail(**row))
        rows = self._rows(
            "SELECT id, job_id, position, name, bytes, format, width, height, had_gps, state,"
            " error_code, error_message, thumbhash, color, attempts, version, focus_x, focus_y,"
            " row_number() OVER (ORDER BY position, created) AS number FROM images"
            " WHERE job_id = :id ORDER BY number",
            id=job_id,
        )
        return tuple(
            Image(**_with_focus(row), **_sort_out(row, thumbnails.get(row["id"], ())))
            for row in rows
        )

    def job_ids(self, now: float, owner: str | None = None) -> list[str]:
        """List the ids of one owner's jobs, or of all, newest first."""
        whose = "" if owner is None else " AND owner = :owner"
        rows = self._rows(
            f"SELECT id FROM jobs WHERE expires > :now{whose} ORDER BY created DESC",
            now=now,
            owner=owner,
        )
        return [row["id"] for row in rows]

    def is_owner(self, job_id: str, owner: str | None, now: float) -> bool | None:
        """Say whether somebody submitted a job; None where there is no such job."""
        rows = self._rows(
            "SELECT coalesce(owner = :owner, 0) AS is_owner FROM jobs"
            " WHERE id = :id AND expires > :now",
            id=job_id,
            owner=owner,
            now=now,
        )
        return bool(rows[0]["is_owner"]) if rows else None

    def progress(self, job_id: str, now: float) -> Progress | None:
        """Say how far a job is; None where there is none at `now`."""
        rows = self._rows(
            "SELECT version, open_until > :now AS is_open, (SELECT count(*) FROM images"
            f" WHERE job_id = jobs.id AND {_UNFINISHED}) AS left, {_BEGUN}"
            " FROM jobs WHERE id = :id AND expires > :now",
            id=job_id,
            now=now,
        )
        if not rows:
            return None
        row = rows[0]
        begun = datetime.fromtimestamp(row["begun"], UTC)
        return Progress(job_id, row["version"], bool(row["is_open"]), row["left"], begun)

    def close_job(self, job_id: str, missing_files: Sequence[MissingFile] = ()) -> None:
        """Take no more images: also none that was on its way, whatever its clock says.

        Files at the position of an image that arrived are not missing; nor are those any more that
        were the last time, but are not named now.
        """
        self._change(
            "UPDATE jobs SET open_until = 0, version = version + 1,"
            " missing_files = (SELECT json_group_array(json(value)) FROM json_each(:missing_files)"
            " WHERE value ->> 'position' IS NULL OR value ->> 'position' NOT IN"
            " (SELECT position FROM images WHERE job_id = :id)) WHERE id = :id",
            id=job_id,
            missing_files=json.dumps([asdict(file) for file in missing_files]),
        )

    def reopen_job(self, job_id: str, now: float, open_until: float, max_images: int) -> bool:
        """Let a job take images again until a time, unless it is gone or full."""
        return bool(
            self._change(
                "UPDATE jobs SET open_until = :open_until, version = version + 1 WHERE id = :id"
                " AND expires > :now"
                " AND (SELECT count(*) FROM images WHERE job_id = :id) < :max_images",
                id=job_id,
                now=now,
                open_until=open_until,
                max_images=max_images,
            )
        )

    def delete_job(self, job_id: str, now: float) -> None:
        """Remove a job's rows."""
        with self.transaction():
            self._charge_work("job_id = :job_id", now, job_id=job_id)
            self._change("DELETE FROM jobs WHERE id = :id", id=job_id)

    def delete_expired_job(self, job_id: str, now: float) -> None:
        """Remove a job's rows; where its time is over, remember that it was."""
        with self.transaction():
            self._change(
                "INSERT INTO expired_jobs SELECT id, :now FROM jobs"
                " WHERE id = :id AND expires <= :now ON CONFLICT DO NOTHING",
                id=job_id,
                now=now,
            )
            self.delete_job(job_id, now)

    def extend_job(self, job_id: str, expires: float, max_seconds: float) -> None:
        """Keep a job until then, or for `max_seconds` in all; never shorten its time."""
        self._change(
            "UPDATE jobs SET expires = min(:expires, created + :max_seconds), version = version + 1"
            " WHERE id = :id AND expires < min(:expires, created + :max_seconds)",
            id=job_id,
            expires=expires,
            max_seconds=max_seconds,
        )

    def set_recipe(self, job_id: str, recipe: str, now: float, client: str) -> None:
        """Give a job another recipe, and put all its images back into the queue for it.

        What was made stays until it is replaced. Who works on an image loses it. What was cancelled
        before it was ever made stays so.
        """
        with self.transaction():
            self._change(
                "UPDATE jobs SET recipe = :recipe, version = version + 1 WHERE id = :id",
                id=job_id,
                recipe=recipe,
            )
            self._queue_again(
                f"job_id = :job_id AND {_TO_REMAKE}",
                now,
                client,
                job_id=job_id,
            )

    def expired_job_ids(self, now: float) -> list[str]:
        """List the jobs whose time is over, or that were left open and never got an image."""
        rows = self._rows(
            "SELECT id FROM jobs WHERE expires <= :now OR (open_until <= :now"
            " AND NOT EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id))",
            now=now,
        )
        return [row["id"] for row in rows]

    def has_job(self, job_id: str) -> bool:
        """Say whether a job has a row, expired or not."""
        return bool(self._rows("SELECT 1 FROM jobs WHERE id = :id", id=job_id))

    def has_expired(self, job_id: str, now: float) -> bool:
        """Say whether there was a job whose time is over, as far as it is remembered."""
        return bool(
            self._rows(
                "SELECT 1 FROM jobs WHERE id = :id AND expires <= :now"
                " UNION ALL SELECT 1 FROM expired_jobs WHERE id = :id",
                id=job_id,
                now=now,
            )
        )

    def forget_expired_jobs(self, before: float) -> None:
        """Remove what is remembered of jobs that were deleted before a time."""
        self._change("DELETE FROM expired_jobs WHERE deleted < :before", before=before)

    # Images

    def add_image(
        self,
        job_id: str,
        image: NewImage,
        now: float,
        open_until: float,
        max_images: int,
        client: str,
    ) -> bool:
        """Write the row of a new image, unless the job is gone, closed or full.

        `client` is the address that sent it.
        """
        with self.transaction():
            added = self._change(
                "INSERT INTO images"
                " (id, job_id, position, name, bytes, format, width, height, had_gps, created,"
                " queued, client, owner)"
                " SELECT :id, :job_id, coalesce(:position, (SELECT count(*) + 1 FROM images"
                " WHERE job_id = :job_id)), :name, :bytes, :format, :width, :height, :had_gps,"
                " :now, :now, :client, coalesce(owner, '')"
                " FROM jobs WHERE id = :job_id AND expires > :now AND open_until > :now"
                " AND (SELECT count(*) FROM images WHERE job_id = :job_id) < :max_images",
                **vars(image),
                job_id=job_id,
                now=now,
                max_images=max_images,
                client=client,
            )
            if added:
                self._change(
                    "UPDATE jobs SET open_until = :open_until WHERE id = :job_id",
                    job_id=job_id,
                    open_until=open_until,
                )
        return bool(added)

    def same_image(self, job_id: str, image: NewImage) -> str | None:
        """Find the image of a job that has the same place, name and size; give its id."""
        rows = self._rows(
            "SELECT id FROM images WHERE job_id = :job_id AND position = :position"
            " AND name = :name AND bytes = :bytes",
            job_id=job_id,
            position=image.position,
            name=image.name,
            bytes=image.bytes,
        )
        return rows[0]["id"] if rows else None

    def claim(
        self, worker: str, now: float, lease: float, max_attempts: int, limits: HourLimits
    ) -> Claim | None:
        """Take the next image that waits or whose lease ran out, in one transaction.

        It is of the client that has the fewest images in workers' hands, or of those clients of the
        one that was not served for the longest time; of its owners, of the one chosen likewise; and
        of that owner's images the oldest. What a dead worker left comes before all, once. Images
        that cost two workers already come last: a poison image cannot hold up clean ones.
        The time that a dead worker had the image is charged to its client.
        """
        with self.transaction():
            chosen = self._rows(_NEXT_IMAGE, max_attempts=max_attempts, **_within(limits, now))[0][
                "image"
            ]
            if chosen is None:
                return None
            self._charge_work("rowid = :image", now, image=chosen)
            rows = self._rows(
                "UPDATE images SET state = 'working', attempts = attempts + 1,"
                " claimed_by = :worker, claimed = :now, lease = :lease WHERE rowid = :image"
                " RETURNING id AS image_id, job_id, claimed_by AS worker, attempts AS attempt,"
                " :now - queued AS waited, focus_x, focus_y,"
                " (SELECT recipe FROM jobs WHERE jobs.id = job_id) AS recipe",
                worker=worker,
                now=now,
                lease=lease,
                image=chosen,
            )
        return Claim(**_with_focus(rows[0]))

    def has_claimable(self, now: float, max_attempts: int, limits: HourLimits) -> bool:
        """Return whether there is an image that could be claimed."""
        chosen = self._rows(_NEXT_IMAGE, max_attempts=max_attempts, **_within(limits, now))
        return chosen[0]["image"] is not None

    def has_unfinished(self, count: int) -> bool:
        """Say whether at least so many images wait or are in a worker's hands."""
        sql = f"SELECT 1 FROM images WHERE {_UNFINISHED} LIMIT 1 OFFSET :before"
        return bool(self._rows(sql, before=count - 1))

    def has_unfinished_of(self, client: str, count: int) -> bool:
        """Say whether a client has at least so many images that wait or are claimed."""
        rows = self._rows(
            "SELECT coalesce((SELECT waiting FROM client_turns WHERE client = :client), 0)"
            " + (SELECT count(*) FROM images WHERE state = 'working' AND client = :client)"
            " AS images",
            client=client,
        )
        return bool(rows[0]["images"] >= count)

    def renew(self, claim: Claim, lease: float) -> bool:
        """Prolong a claim; False where it is lost."""
        return bool(
            self._change(
                f"UPDATE images SET lease = :lease WHERE {_HELD}", lease=lease, **_held(claim)
            )
        )

    def finish(
        self,
        claim: Claim,
        facts: dict[str, Any],
        folder: str,
        thumbnails: Sequence[dict[str, Any]],
        now: float,
    ) -> bool:
        """Mark an image done and write its thumbnails' rows; False where the claim is lost.

        `facts` has what decoding told of the image: width, height, had_gps, thumbhash and color.
        `thumbnails` has, for each file in the recipe's order, its file_name, format, width, height,
        bytes and quality.
        """
        with self.transaction() as db:
            self._charge_work(_HELD, now, **_held(claim))
            self._charge(
                "SELECT client, 'bytes', :minute, :amount FROM images WHERE " + _HELD,
                now,
                amount=sum(thumbnail["bytes"] for thumbnail in thumbnails),
                **_held(claim),
            )
            held = self._change(
                f"UPDATE images SET state = 'done', finished = :now, {_LET_GO},"
                " width = :width, height = :height, had_gps = :had_gps,"
                f" thumbhash = :thumbhash, color = :color WHERE {_HELD}",
                now=now,
                **facts,
                **_held(claim),
            )
            if not held:
                return False
            self._change("DELETE FROM thumbnails WHERE image_id = :id", id=claim.image_id)
            place = {"image_id": claim.image_id, "folder": folder}
            db.table("thumbnails").insert_all(
                {**place, "number": number, **thumbnail}
                for number, thumbnail in enumerate(thumbnails, 1)
            )
        return True

    def count_thumbnails(self, job_id: str) -> int:
        """Count the thumbnails of a job that were asked for."""
        rows = self._rows(
            "SELECT count(*) AS thumbnails FROM images JOIN thumbnails ON image_id = images.id"
            " WHERE job_id = :id AND file_name != :whole",
            id=job_id,
            whole=WHOLE.file_name,
        )
        return int(rows[0]["thumbnails"])

    def has_thumbnails(self, job_id: str) -> bool:
        """Say whether a job has a thumbnail that was asked for."""
        rows = self._rows(
            "SELECT EXISTS (SELECT 1 FROM images JOIN thumbnails ON image_id = images.id"
            " WHERE job_id = :id AND file_name != :whole) AS has_some",
            id=job_id,
            whole=WHOLE.file_name,
        )
        return bool(rows[0]["has_some"])

    def thumbnails_folder(self, image_id: str) -> str | None:
        """Name the folder of an image's thumbnails; None where it has none."""
        sql = "SELECT folder FROM thumbnails WHERE image_id = :id LIMIT 1"
        rows = self._rows(sql, id=image_id)
        return rows[0]["folder"] if rows else None

    def fail(self, claim: Claim, code: str, message: str, now: float) -> bool:
        """Mark an image failed for a reason; False where the claim is lost."""
        with self.transaction():
            self._charge_work(_HELD, now, **_held(claim))
            held = self._change(
                "UPDATE images SET state = 'failed', error_code = :code, error_message = :message,"
                f" finished = :now, {_LET_GO} WHERE {_HELD}",
                code=code,
                message=message,
                now=now,
                **_held(claim),
            )
        return bool(held)

    def release(self, claim: Claim, now: float) -> bool:
        """Put an image back among the waiting, as if nobody had tried; False where it is lost.

        Its number of attempts stays: no two claims ever have the same token.
        """
        with self.transaction():
            self._charge_work(_HELD, now, **_held(claim))
            held = self._change(
                "UPDATE images SET state = 'waiting', released = released + 1, claimed_by = NULL,"
                f" lease = NULL WHERE {_HELD}",
                **_held(claim),
            )
        return bool(held)

    def expire_lease(self, claim: Claim, now: float) -> bool:
        """End a claim now, as if its worker had died; False if it is lost."""
        with self.transaction():
            self._charge_work(_HELD, now, **_held(claim))
            held = self._change(
                f"UPDATE images SET claimed = :now, lease = :now WHERE {_HELD}",
                now=now,
                **_held(claim),
            )
        return bool(held)

    def set_focus(
        self, job_id: str, image_id: str, focus: Point | None, now: float, client: str
    ) -> bool:
        """Choose an image's focal point, or none, and have it made again; False where it is not."""
        x, y = focus or (None, None)
        with self.transaction():
            found = self._change(
                "UPDATE images SET focus_x = :x, focus_y = :y"
                " WHERE job_id = :job_id AND id = :image_id",
                job_id=job_id,
                image_id=image_id,
                x=x,
                y=y,
            )
            self._queue_again(
                f"job_id = :job_id AND id = :image_id AND {_TO_REMAKE}",
                now,
                client,
                job_id=job_id,
                image_id=image_id,
            )
        return bool(found)

    def retry(self, job_id: str, image_id: str | None, now: float, client: str) -> int:
        """Put what failed or was cancelled back into the queue: one image, or many of a job.

        Those are all that failed; where none did, all that were cancelled.
        """
        return self._queue_again(
            "job_id = :job_id AND state IN ('failed', 'cancelled')"
            # By the alphabet, 'failed' is the larger of the two.
            " AND iif(:image_id IS NULL, state = (SELECT max(state) FROM images"
            " WHERE job_id = :job_id AND state IN ('failed', 'cancelled')), id = :image_id)",
            now,
            client,
            job_id=job_id,
            image_id=image_id,
        )

    def _queue_again(self, which: str, now: float, client: str, **values: Any) -> int:
        """Queue images again with fresh attempts.

        Their fencing tokens stay used up. `client` is the address that asks for it. The time that
        workers had the images so far is charged.
        """
        with self.transaction():
            self._charge_work(which, now, **values)
            return self._change(
                "UPDATE images SET state = 'waiting', queued = :now, released = attempts,"
                " claimed_by = NULL, lease = NULL, client = :client, finished = NULL,"
                f" error_code = NULL, error_message = NULL WHERE {which}",
                now=now,
                client=client,
                **values,
            )

    def cancel(self, job_id: str, image_id: str | None, now: float) -> int:
        """Take waiting images out of the queue: one, or all of a job.

        One that was only to be made again keeps what was made before.
        """
        return self._change(
            f"UPDATE images SET state = 'cancelled', finished = :now, {_LET_GO}"
            " WHERE job_id = :job_id AND (:image_id IS NULL OR id = :image_id)"
            " AND state = 'waiting'",
            job_id=job_id,
            image_id=image_id,
            now=now,
        )

    def count_ahead(self, job_id: str, now: float) -> tuple[int, int]:
        """Estimate how many images of others come before a job's first and last.

        Of its images, those that wait. Of the others', those that are claimed, and those whose turn
        is earlier. Exact if there is one worker and no more images come.
        """
        with self.snapshot():
            rows = self._rows(_AHEAD, id=job_id, now=now)
            if not rows:  # All others come before what cost two workers.
                rows = self._rows(
                    "SELECT total(waiting) AS images FROM client_turns WHERE EXISTS"
                    " (SELECT 1 FROM images WHERE job_id = :id AND state = 'waiting')",
                    id=job_id,
                )
        return int(rows[0]["images"]), int(rows[-1]["images"])

    def mean_work_seconds(self) -> float | None:
        """Give the time that one of the last images took; None where none was made yet."""
        rows = self._rows(
            "SELECT avg(finished - claimed) AS mean FROM (SELECT finished, claimed FROM images"
            " WHERE state = 'done' AND finished IS NOT NULL ORDER BY finished DESC LIMIT 50)"
        )
        return rows[0]["mean"]  # type: ignore[no-any-return]

    def fail_lost(
        self, code: str, message: str, now: float, max_attempts: int
    ) -> list[tuple[str, str]]:
        """Mark failed what cost its last worker; give the ids of the jobs and images.

        The time that this worker had an image is charged to the image's client.
        """
        lost = f"state = 'working' AND {_LEASE_IS_OVER} AND attempts - released >= :max_attempts"
        with self.transaction():
            self._charge_work(lost, now, max_attempts=max_attempts)
            rows = self._rows(
                "UPDATE images SET state = 'failed', error_code = :code, error_message = :message,"
                f" finished = :now, {_LET_GO} WHERE {_UNFINISHED} AND {lost} RETURNING job_id, id",
                code=code,
                message=message,
                now=now,
                max_attempts=max_attempts,
            )
        return [(row["job_id"], row["id"]) for row in rows]

    def image_places(self) -> list[tuple[str, str, str | None]]:
        """List what must have files: job and image, and the folder of its thumbnails if it is done.

        Images that a worker has are left out: it sees for itself.
        """
        rows = self._rows(
            "SELECT DISTINCT job_id, id, folder FROM images"
            " LEFT JOIN thumbnails ON image_id = images.id WHERE state IN ('waiting', 'done')"
        )
        return [(row["job_id"], row["id"], row["folder"]) for row in rows]

    def places(self) -> set[str]:
        """List all that may lie on the disk: `job/image` and the folders of thumbnails."""
        rows = self._rows(
            "SELECT job_id || '/' || id AS place FROM images UNION SELECT folder FROM thumbnails"
        )
        return {row["place"] for row in rows}

    def fail_without_files(self, image_id: str, code: str, message: str, now: float) -> bool:
        """Mark an image failed whose files are gone, with what was made of it."""
        with self.transaction():
            failed = self._change(
                "UPDATE images SET state = 'failed', error_code = :code, error_message = :message,"
                f" finished = :now, {_LET_GO} WHERE id = :id AND state IN ('waiting', 'done')",
                id=image_id,
                code=code,
                message=message,
                now=now,
            )
            if failed:
                self._change("DELETE FROM thumbnails WHERE image_id = :id", id=image_id)
        return bool(failed)

    # Workers

    def beat(self, worker: str, now: float) -> None:
        """Note that a worker is alive."""
        self._change(
            "INSERT INTO workers (name, beat) VALUES (:name, :now)"
            " ON CONFLICT (name) DO UPDATE SET beat = excluded.beat",
            name=worker,
            now=now,
        )

    def count_workers(self, alive_since: float) -> int:
        """Count the workers that were there since then."""
        sql = f"SELECT count(*) AS workers FROM workers WHERE {_IS_ALIVE}"
        return int(self._rows(sql, alive_since=alive_since)[0]["workers"])

    def forget_workers(self, before: float) -> None:
        """Remove the rows of workers that are no more."""
        self._change("DELETE FROM workers WHERE beat < :before", before=before)

    # For the operator

    def queue(self, alive_since: float) -> Queue:
        """Say how much there is to do and who was there since then.

        From the index alone: 40 ms where a million images wait, nothing where a thousand do.
        """
        waiting = (
            f"SELECT queued FROM images WHERE {_UNFINISHED}"
            " AND state = 'waiting' AND (attempts - released > 1) = {} ORDER BY queued LIMIT 1"
        )
        rows = self._rows(
            f"SELECT (SELECT count(*) FROM images WHERE {_UNFINISHED}) AS depth,"
            f" (SELECT min(queued) FROM (SELECT * FROM ({waiting.format(0)})"
            f" UNION ALL SELECT * FROM ({waiting.format(1)}))) AS oldest,"
            f" (SELECT count(*) FROM workers WHERE {_IS_ALIVE}) AS workers,"
            " (SELECT max(beat) FROM workers) AS last_beat",
            alive_since=alive_since,
        )
        return Queue(**rows[0])

    def count_refused(self, code: str) -> None:
        """Count an upload that was not taken; all else is counted by triggers."""
        with self._hasty():
            self._change(
                "INSERT INTO counters VALUES ('refused', :code, 1)"
                " ON CONFLICT DO UPDATE SET count = count + 1",
                code=code,
            )

    def counters(self) -> list[Counter]:
        """Read all counters."""
        return [Counter(**row) for row in self._rows("SELECT * FROM counters ORDER BY what, code")]

    def durations(self, what: str) -> list[Bucket]:
        """Read the histogram of the images' `wait` or `work`, its buckets in order."""
        rows = self._rows("SELECT * FROM durations WHERE what = :what ORDER BY up_to", what=what)
        return [Bucket(**row) for row in rows]

    # Usage

    def spend(self, client: str, what: str, amount: int, limit: int, now: float) -> int:
        """Count an amount towards a client's limit within an hour, if it still fits.

        Give 0, or else the seconds until it will.
        """
        minute = int(now // 60)
        with self._hasty(), self.transaction():
            rows = self._rows(
                "SELECT minute, amount FROM usage WHERE client = :client AND what = :what"
                " AND minute > :over ORDER BY minute",
                client=client,
                what=what,
                over=minute - WINDOW_MINUTES,
            )
            excess = sum(row["amount"] for row in rows) + amount - limit
            if excess <= 0:
                if amount:
                    usage = "VALUES (:client, :what, :minute, :amount)"
                    self._charge(usage, now, client=client, what=what, amount=amount)
                return 0
        last = minute
        for row in rows:
            excess -= row["amount"]
            if excess <= 0:
                last = row["minute"]
                break
        return ceil((last + WINDOW_MINUTES) * 60 - now)

    def _charge_work(self, which: str, now: float, **values: Any) -> None:
        """Charge the time that workers had some images to the clients' limits.

        In milliseconds. The time of a worker that died ends with its lease.
        """
        self._charge(
            "SELECT client, 'work', :minute,"
            " sum(CAST(1000 * max(min(:now, lease) - claimed, 0) AS INTEGER))"
            f" FROM images WHERE state = 'working' AND {which} GROUP BY client",
            now,
            **values,
        )

    def _charge(self, usage: str, now: float, **values: Any) -> None:
        """Count rows of usage, whatever the limits are."""
        self._change(
            f"INSERT INTO usage {usage}"
            " ON CONFLICT DO UPDATE SET amount = usage.amount + excluded.amount",
            now=now,
            minute=int(now // 60),
            **values,
        )

    def forget_usage(self, now: float) -> None:
        """Remove what no longer counts: clients are kept for an hour and no longer.

        Except those with waiting images. Where the clock was set back, no turn stays in the future.
        """
        over = int(now // 60) - WINDOW_MINUTES
        self._change("DELETE FROM usage WHERE minute <= :over", over=over)
        for turns in ("client_turns", "owner_turns"):
            self._change(
                f"DELETE FROM {turns} WHERE waiting <= 0 AND served < :over", over=over * 60
            )
            self._change(f"UPDATE {turns} SET served = :now WHERE served > :now", now=now)


_TO_REMAKE = (
    "(state IN ('working', 'done', 'failed') OR state = 'cancelled'"
    " AND EXISTS (SELECT 1 FROM thumbnails WHERE image_id = images.id))"
)

# A lease lasts for seconds. Where one ends more than a minute from now, the clock was set back
# since: it counts as over, or its image would wait for as long as the clock went back.
_LEASE_IS_OVER = "(lease < :now OR lease > :now + 60)"

# A worker lets go of an image, and nothing more is done on it: its client's address is forgotten.
_LET_GO = "claimed_by = NULL, lease = NULL, client = ''"

# As the partial index images_turns says it, word for word. What cost two workers is left out.
_WAITING = "state = 'waiting' AND attempts - released <= 1"

# How claim() finds the next image. Few clients and owners have images in workers' hands, as there
# are few workers; the others are in the order of their turns in an index. So however many wait, it
# looks at one more of each than there are workers.
_CLAIMED = f"""
in_hand AS MATERIALIZED (SELECT client, owner, count(*) AS images FROM images
    WHERE state = 'working' AND NOT {_LEASE_IS_OVER} GROUP BY client, owner),
busy AS MATERIALIZED (SELECT client, sum(images) AS images FROM in_hand GROUP BY client)"""

# Whether a client of client_turns is over its limits. At most 60 rows are read of each.
_IS_OVER_LIMIT = """((SELECT total(amount) FROM usage WHERE client = client_turns.client
    AND what = 'work' AND minute > :over) >= :max_work_ms
    OR (SELECT total(amount) FROM usage WHERE client = client_turns.client
    AND what = 'bytes' AND minute > :over) >= :max_bytes)"""

_NEXT_TURN = f"""{_CLAIMED},
over_limit AS MATERIALIZED (SELECT client FROM client_turns
    WHERE waiting > 0 AND {_IS_OVER_LIMIT}),
next_client AS MATERIALIZED (SELECT coalesce(
    (SELECT client FROM client_turns WHERE waiting > 0
        AND client NOT IN (SELECT client FROM busy) AND NOT {_IS_OVER_LIMIT}
        ORDER BY served LIMIT 1),
    (SELECT client_turns.client FROM busy JOIN client_turns USING (client)
        WHERE waiting > 0 AND NOT {_IS_OVER_LIMIT} ORDER BY images, served LIMIT 1)) AS client),
next_owner AS MATERIALIZED (SELECT client, coalesce(
    (SELECT owner FROM owner_turns WHERE client = next_client.client AND waiting > 0
        AND owner NOT IN (SELECT owner FROM in_hand WHERE client = next_client.client)
        ORDER BY served LIMIT 1),
    (SELECT owner FROM in_hand JOIN owner_turns USING (client, owner)
        WHERE client = next_client.client AND waiting > 0 ORDER BY images, served LIMIT 1))
    AS owner FROM next_client)"""

_LEFT = f"""(SELECT rowid FROM images WHERE state = 'working' AND {_LEASE_IS_OVER}
    AND attempts - released <= 1 ORDER BY queued LIMIT 1)"""

_NEXT = f"""(SELECT (SELECT rowid FROM images WHERE {_WAITING}
    AND images.client = next_owner.client AND images.owner = next_owner.owner
    ORDER BY queued LIMIT 1) FROM next_owner)"""

# Only asked where no client has a turn: few are left that could be over their limits.
_LATE = f"""(SELECT rowid FROM images WHERE {_UNFINISHED}
    AND (state = 'waiting' OR {_LEASE_IS_OVER}) AND attempts - released < :max_attempts
    AND client NOT IN (SELECT client FROM over_limit)
    ORDER BY attempts - released > 1, queued LIMIT 1)"""

_NEXT_IMAGE = f"WITH {_NEXT_TURN} SELECT coalesce({_LEFT}, {_NEXT}, {_LATE}) AS image"


def _within(limits: HourLimits, now: float) -> dict[str, Any]:
    """Return the values of _NEXT_IMAGE that bound a client's hour."""
    return {
        "now": now,
        "over": int(now // 60) - WINDOW_MINUTES,
        "max_work_ms": limits.work_ms,
        "max_bytes": limits.bytes,
    }


def _others_ahead(turns: str, in_hand: str, key: str, others: str) -> str:
    """Write SQL that counts the images of others claimed before one of `mine`.

    `turns` is the table of turns, and `in_hand` the table of claimed images. Until mine is claimed,
    each other client (or owner) has as many turns as mine, less its claimed images, and less one if
    it was served later. A second sum subtracts the claimed images: a join with all takes twice the
    time.
    """
    most = "mine.ahead + mine.in_hand + 1 - (others.served > mine.served)"
    return f"""(SELECT total(min(waiting, {most})) FROM {turns} AS others WHERE {others})
    - (SELECT total(min(waiting, {most}) - max(0, min(waiting, {most} - images)))
        FROM {turns} AS others JOIN {in_hand} USING ({key}) WHERE {others})"""


# How count_ahead() counts: one row for the first waiting image of a job, and one for its last if
# that is another. First the images of its owner that are before it, then those of other owners of
# its client, then those of other clients.
_AHEAD = f"""WITH {_CLAIMED},
job AS MATERIALIZED (SELECT client, owner, count(*) AS waiting, min(queued) AS first,
    max(queued) AS last FROM images WHERE job_id = :id AND {_WAITING}
    GROUP BY client, owner ORDER BY first LIMIT 1),
ends AS (SELECT client, owner, first AS queued, 0 AS own FROM job
    UNION SELECT client, owner, last, waiting - 1 FROM job),
of_owner AS MATERIALIZED (SELECT client, owner, own, served, coalesce(images, 0) AS in_hand,
    (SELECT count(*) FROM images WHERE {_WAITING} AND images.client = ends.client
        AND images.owner = ends.owner AND images.queued < ends.queued) AS ahead
    FROM ends CROSS JOIN owner_turns USING (client, owner) LEFT JOIN in_hand USING (client, owner)),
of_client AS MATERIALIZED (SELECT client, own, client_turns.served,
    coalesce(images, 0) AS in_hand, ahead + {
    _others_ahead(
        "owner_turns", "in_hand", "client, owner", "client = mine.client AND owner != mine.owner"
    )
} AS ahead
    FROM of_owner AS mine CROSS JOIN client_turns USING (client) LEFT JOIN busy USING (client))
SELECT ahead - own + {_others_ahead("client_turns", "busy", "client", "client != mine.client")}
    + (SELECT count(*) FROM images WHERE state = 'working' AND job_id != :id
        AND NOT {_LEASE_IS_OVER}) AS images
    FROM of_client AS mine ORDER BY own"""

# Likewise, a beat of before the clock was set back says nothing.
_IS_ALIVE = "beat > :alive_since AND beat < :alive_since + 60"

# What guards every change by a worker: nobody else has claimed the image since.
_HELD = "id = :image_id AND state = 'working' AND claimed_by = :worker AND attempts = :attempt"


def _held(claim: Claim) -> dict[str, Any]:
    return {"image_id": claim.image_id, "worker": claim.worker, "attempt": claim.attempt}
