"""The rows of jobs."""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import inf
from operator import itemgetter
from typing import Any

from webapp.jobs.database import Database
from webapp.jobs.deliveries import Callback
from webapp.jobs.models import (
    MAX_MISSING,
    Counts,
    FirstImage,
    Image,
    Job,
    JobList,
    JobVersion,
    KeptJobs,
    ListedJob,
    MissingFile,
    NamedJob,
    Progress,
    Status,
    StoredJob,
    Thumbnail,
)
from webapp.jobs.store.deliveries import read_deliveries
from webapp.jobs.store.rows import (
    BEGUN,
    CAN_RESTORE,
    COUNTS,
    EXISTS,
    FETCHING,
    IMAGES_AND_FETCHES,
    IS_KEPT,
    MADE,
    NEXT_POSITION,
    UNDO_SECONDS,
    UNFINISHED,
    expiry,
    split_thumbnails,
    with_counts,
    with_points,
    with_times,
)
from webapp.jobs.store.usage import Usage
from webapp.recipes.outputs import OVERVIEW

STRIP_SIDE = 128  # Pixels; a picture in the list of jobs is 64 high, or 128 on fine screens.
STRIP_LENGTH = 40  # Pictures; this many fit side by side on a 4K screen.

_MADE = ", ".join(f"thumbnails.{column}" for column in MADE.split(", "))


# How jobs end: they expire, or were left open without an image, or their owners deleted them and
# can no longer restore them. There is an index for each.
_ENDS = (
    "expires <= :now",
    "open_until > 0 AND open_until <= :now"
    " AND NOT EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id)",
    f"deleted IS NOT NULL AND NOT ({CAN_RESTORE})",
)

_HAS = "EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id AND status = '{}')"
_RUNS = f"(open_until > :now OR id IN (SELECT job_id FROM images WHERE {UNFINISHED}))"

# What a job of a status has, so that not all jobs are read with their images.
_MAY_BE: Mapping[Status, str] = {
    "waiting": _RUNS,
    "working": _RUNS,
    "done": _HAS.format("done"),
    "failed": f"({_HAS.format('failed')} OR NOT EXISTS"
    " (SELECT 1 FROM images WHERE job_id = jobs.id))",
    "cancelled": _HAS.format("cancelled"),
}

# The place of an image in its job: of each in a read of all, or of one.
_NUMBERS = "row_number() OVER (ORDER BY position, created)"
_NUMBER = (
    "(SELECT count(*) FROM images AS others WHERE others.job_id = images.job_id"
    " AND (others.position, others.created) <= (images.position, images.created))"
)

PAGE = 1000  # Ids that are read at a time.
PAGE_OF_JOBS = 100  # Jobs with the counts of their images, of which each may have 500.

Place = tuple[float, int]  # In a list: a time, and the number of a row, of several of one time.
Named = Iterable[tuple[int | None, str]]  # Positions and names.


def _without(files: Sequence[MissingFile], there: Named) -> list[MissingFile]:
    """Leave out the missing files that are at their positions.

    The names are compared because two pages may give one position to two files. A page that is left
    tells only the beginning of a name.
    """
    names: dict[int | None, list[str]] = defaultdict(list)
    for position, name in sorted(there, key=itemgetter(1)):
        names[position].append(name)

    def is_there(file: MissingFile) -> bool:
        others = names[file.position]
        first = bisect_left(others, file.name)  # Others that begin with it follow.
        return first < len(others) and others[first].startswith(file.name)

    return [file for file in files if file.position is None or not is_there(file)]


def _named(files: Iterable[MissingFile | Image]) -> Named:
    return ((file.position, file.name) for file in files)


def _read_missing(text: str) -> list[MissingFile]:
    return [MissingFile(**file) for file in json.loads(text)]


def _stored(row: dict[str, Any]) -> StoredJob:
    values = {name: value for name, value in row.items() if name != "number"}
    times = {
        "created": datetime.fromtimestamp(row["created"], UTC),
        "expires": expiry(row["expires"]),
    }
    switches = {name: bool(row[name]) for name in ("is_open", "is_closing")}
    return StoredJob(**with_counts({**values, **times, **switches}))


def _totals(rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
    return rows[0]["jobs"], rows[0]["bytes"] or 0


class JobRows:
    """Read and write the rows of jobs."""

    def __init__(self, db: Database, usage: Usage, now: Callable[[], float]) -> None:
        self._db = db
        self._usage = usage
        self._now = now

    def add(
        self,
        job_id: str,
        owner: str | None,
        recipe: str,
        keep_seconds: float,
        open_seconds: float,
        callback: Callback | None = None,
    ) -> None:
        """Write the row of a new job."""
        now = self._now()
        self._db.execute(
            "INSERT INTO jobs (id, owner, recipe, created, expires, open_until, callback_url,"
            " callback_origin, callback_status) VALUES (:id, :owner, :recipe, :now, :expires,"
            " :open_until, :callback_url, :callback_origin, :callback_status)",
            id=job_id,
            owner=owner,
            recipe=recipe,
            now=now,
            expires=now + keep_seconds,
            open_until=now + open_seconds,
            callback_url=callback and callback.url,
            callback_origin=callback and callback.origin,
            callback_status=callback and callback.status,
        )

    def read(self, job_id: str) -> Job | None:
        """Read a job with its images and their thumbnails, or None."""
        now = self._now()
        with self._db.snapshot():
            rows = self._db.query(
                f"SELECT *, {BEGUN}, {FETCHING} FROM jobs WHERE id = :id AND {EXISTS}",
                id=job_id,
                now=now,
            )
            if not rows:
                return None
            row = rows[0]
            images = self._images(job_id)
            callback = self._callback(row)
        return Job(
            id=row["id"],
            version=row["version"],
            is_open=row["open_until"] > now,
            is_closing=bool(row["is_closing"]),
            fetching=row["fetching"],
            counts=Counts.of(images),
            owner=row["owner"],
            name=row["name"],
            recipe=row["recipe"],
            created=datetime.fromtimestamp(row["created"], UTC),
            expires=expiry(row["expires"]),
            is_too_large=bool(row["too_large"]),
            begun=datetime.fromtimestamp(row["begun"], UTC),
            callback=callback,
            images=images,
            missing_files=tuple(_without(_read_missing(row["missing_files"]), _named(images))),
        )

    def _callback(self, job: dict[str, Any]) -> Callback | None:
        if job["callback_url"] is None:
            return None
        deliveries = read_deliveries(self._db, job["id"])
        return Callback(
            job["callback_url"], job["callback_origin"], job["callback_status"], deliveries
        )

    def page(
        self, owner: str | None, before: Place, limit: int
    ) -> tuple[tuple[NamedJob, ...], Place | None]:
        """List the newest jobs of an owner before a place, and return the next place."""
        rows, place = self._page(owner, before, limit)
        return tuple(NamedJob(**with_counts(with_times(row))) for row in rows), place

    def owned(self, owner: str | None, before: Place, limit: int) -> JobList:
        """List the newest jobs of an owner before a place, and the deleted ones."""
        with self._db.snapshot():
            rows, place = self._page(owner, before, limit)
            listed = self._listed(rows)
            # By the index of deleted jobs: an owner may have many.
            deleted = self._job_rows(f"+owner = :owner AND {CAN_RESTORE}", owner=owner)
            deleted.sort(key=lambda row: row["undo_seconds"], reverse=True)
            restorable = self._listed(deleted)
        return JobList(listed, restorable, place)

    def _page(
        self, owner: str | None, before: Place, limit: int
    ) -> tuple[list[dict[str, Any]], Place | None]:
        rows = self._job_rows(
            f"owner = :owner AND {EXISTS} AND (created, rowid) < (:created, :number)"
            " ORDER BY created DESC, rowid DESC LIMIT :limit + 1",
            owner=owner,
            created=before[0],
            number=before[1],
            limit=limit,
        )
        place = (rows[limit - 1]["created"], rows[limit - 1]["number"]) if rows[limit:] else None
        return rows[:limit], place

    def listed(self, owner: str | None, job_ids: Sequence[str]) -> tuple[ListedJob, ...]:
        """Read some jobs of an owner as the list shows them.

        Deleted ones too, as long as they can be restored.
        """
        with self._db.snapshot():
            rows = self._job_rows(
                "id IN (SELECT value FROM json_each(:ids)) AND owner = :owner"
                f" AND (({EXISTS}) OR ({CAN_RESTORE}))",
                ids=json.dumps(job_ids),
                owner=owner,
            )
            return self._listed(rows)

    def _job_rows(self, which: str, **values: Any) -> list[dict[str, Any]]:
        return self._db.query(
            "SELECT jobs.id, jobs.number, jobs.version, jobs.created, expires,"
            f" open_until > :now AS is_open, {BEGUN}, {FETCHING}, jobs.name,"
            " (SELECT name FROM images WHERE job_id = jobs.id"
            " ORDER BY position, created LIMIT 1) AS first_image, deleted + :undo - :now"
            f" AS undo_seconds, {COUNTS}, json_array_length(missing_files) AS missing"
            f" FROM (SELECT rowid AS number, * FROM jobs WHERE {which}) AS jobs"
            " LEFT JOIN images ON job_id = jobs.id GROUP BY jobs.id"
            " ORDER BY jobs.created DESC, jobs.number DESC",
            now=self._now(),
            undo=UNDO_SECONDS,
            **values,
        )

    def _listed(self, rows: Sequence[dict[str, Any]]) -> tuple[ListedJob, ...]:
        job_ids = [row["id"] for row in rows]
        previews, files = self._previews(job_ids), self._files(job_ids)
        return tuple(
            ListedJob(
                **with_counts(with_times(row)),
                **files.get(row["id"], {"files": 0, "bytes": 0}),
                previews=tuple(previews.get(row["id"], ())),
            )
            for row in rows
        )

    def _files(self, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the number and the bytes of the thumbnails of each job."""
        rows = self._db.query(
            "SELECT job_id, count(*) AS files, sum(thumbnails.bytes) AS bytes"
            " FROM images JOIN thumbnails ON image_id = images.id"
            " WHERE job_id IN (SELECT value FROM json_each(:job_ids)) AND file_name != :overview"
            " GROUP BY job_id",
            job_ids=json.dumps(job_ids),
            overview=OVERVIEW.file_name,
        )
        return {row.pop("job_id"): row for row in rows}

    def _previews(self, job_ids: Sequence[str]) -> dict[str, list[Thumbnail]]:
        """Return small thumbnails of the first images of each job."""
        previews: dict[str, list[Thumbnail]] = {}
        for row in self._db.query(
            "WITH strip AS (SELECT id, job_id, bytes, name,"
            " row_number() OVER (PARTITION BY job_id ORDER BY position, created) AS place"
            " FROM images WHERE job_id IN (SELECT value FROM json_each(:job_ids))"
            " AND EXISTS (SELECT 1 FROM thumbnails WHERE image_id = images.id))"
            f" SELECT job_id, {_MADE}, strip.bytes AS source_bytes, name AS source_name"
            " FROM strip JOIN thumbnails ON thumbnails.rowid ="
            # The smallest that is high enough, or else the highest.
            " (SELECT rowid FROM thumbnails WHERE image_id = strip.id AND file_name != :overview"
            " ORDER BY height < :side, abs(height - :side), number LIMIT 1)"
            " WHERE place <= :length ORDER BY job_id, place",
            job_ids=json.dumps(job_ids),
            overview=OVERVIEW.file_name,
            side=STRIP_SIDE,
            length=STRIP_LENGTH,
        ):
            previews.setdefault(row.pop("job_id"), []).append(Thumbnail(**row))
        return previews

    def image(self, job_id: str, image_id: str) -> Image | None:
        """Read one image of a job, without all others, or None."""
        with self._db.snapshot():
            is_there = self.version(job_id)
            images = self._images(job_id, image_id) if is_there else ()
        return next(iter(images), None)

    def _images(self, job_id: str, image_id: str | None = None) -> tuple[Image, ...]:
        """Read all images of a job in order, or one of them."""
        which = "job_id = :id" + (" AND images.id = :image_id" if image_id else "")
        thumbnails: dict[str, list[Thumbnail]] = {}
        for row in self._db.query(
            f"SELECT {_MADE}, images.bytes AS source_bytes, name AS source_name"
            " FROM thumbnails JOIN images ON images.id = image_id"
            f" WHERE {which} ORDER BY image_id, thumbnails.number",
            id=job_id,
            image_id=image_id,
        ):
            thumbnails.setdefault(row["image_id"], []).append(Thumbnail(**row))
        rows = self._db.query(
            "SELECT id, job_id, position, name, bytes, format, width, height, had_gps, status,"
            " error_code, error_message, thumbhash, placeholder, color, attempts, version, focal_x,"
            " focal_y, found_x, found_y, alt, reused AS is_reused,"
            f" coalesce(replaces, id) AS first_id, {_NUMBER if image_id else _NUMBERS} AS number"
            f" FROM images WHERE {which} ORDER BY number",
            id=job_id,
            image_id=image_id,
        )
        return tuple(
            Image(**with_points(row), **split_thumbnails(row, thumbnails.get(row["id"], ())))
            for row in rows
        )

    def set_alt(self, job_id: str, image_id: str, alt: str | None) -> bool:
        """Set the alternative text of an image, or remove it; return False if not found."""
        with self._db.transaction():
            found = self._db.execute(
                "UPDATE images SET alt = :alt,"
                " version = (SELECT version + 1 FROM jobs WHERE jobs.id = job_id)"
                " WHERE id = :image_id AND job_id = :job_id",
                alt=alt,
                image_id=image_id,
                job_id=job_id,
            )
            if found:
                self._db.execute("UPDATE jobs SET version = version + 1 WHERE id = :id", id=job_id)
        return bool(found)

    def ids(self, owner: str | None = None) -> Iterator[str]:
        """Read the ids of one owner's jobs, or of all, newest first.

        A page at a time: a reader may be slow, and keeps neither memory nor a snapshot.
        """
        place = {"created": inf, "number": 0}
        whose = "" if owner is None else " AND owner = :owner"
        while rows := self._db.query(
            f"SELECT id, created, rowid AS number FROM jobs WHERE {EXISTS}{whose}"
            " AND (created, rowid) < (:created, :number)"
            " ORDER BY created DESC, rowid DESC LIMIT :page",
            now=self._now(),
            owner=owner,
            page=PAGE,
            **place,
        ):
            yield from (row["id"] for row in rows)
            place = {"created": rows[-1]["created"], "number": rows[-1]["number"]}

    def newest(self, owner: str | None = None, status: Status | None = None) -> Iterator[StoredJob]:
        """Read one owner's jobs, or those of all, of any status or one, newest first.

        A page at a time, as `ids` does.
        """
        place = {"created": inf, "number": 0}
        which = f"{EXISTS} AND (created, rowid) < (:created, :number)"
        which += "" if owner is None else " AND owner = :owner"
        which += f" AND {_MAY_BE[status]}" if status else ""
        while rows := self._stored_rows(
            f"{which} ORDER BY created DESC, rowid DESC LIMIT {PAGE_OF_JOBS}", owner=owner, **place
        ):
            place = {"created": rows[-1]["created"], "number": rows[-1]["number"]}
            yield from (job for job in map(_stored, rows) if status in (None, job.status))

    def stored(self, job_id: str) -> StoredJob | None:
        """Read a job as operators list it, expired or deleted or not; or None."""
        rows = self._stored_rows("id = :id", id=job_id)
        return _stored(rows[0]) if rows else None

    def _stored_rows(self, which: str, **values: Any) -> list[dict[str, Any]]:
        return self._db.query(
            "SELECT jobs.id, number, jobs.version, jobs.owner, jobs.created, expires, jobs.name,"
            " jobs.bytes, open_until > :now AS is_open, (SELECT name FROM images"
            " WHERE job_id = jobs.id ORDER BY position, created LIMIT 1) AS first_image,"
            f" {FETCHING}, {COUNTS}"
            f" FROM (SELECT *, rowid AS number FROM jobs WHERE {which}) AS jobs"
            " LEFT JOIN images ON job_id = jobs.id"
            " GROUP BY jobs.id ORDER BY jobs.created DESC, number DESC",
            now=self._now(),
            **values,
        )

    def find(self, prefix: str) -> list[str]:
        """List at most two ids that begin with some letters."""
        rows = self._db.query(
            "SELECT id FROM jobs WHERE id >= :first AND id < :first || '~' ORDER BY id LIMIT 2",
            first=prefix,
        )
        return [row["id"] for row in rows]

    def totals(self) -> tuple[int, int]:
        """Count all jobs, and the bytes of their originals and thumbnails."""
        return _totals(self._db.query("SELECT count(*) AS jobs, sum(bytes) AS bytes FROM jobs"))

    def ended_totals(self) -> tuple[int, int]:
        """Count the jobs that have ended, and their bytes."""
        ended = " UNION ALL ".join(f"SELECT rowid FROM jobs WHERE {end}" for end in _ENDS)
        sql = f"SELECT count(*) AS jobs, sum(bytes) AS bytes FROM jobs WHERE rowid IN ({ended})"
        return _totals(self._db.query(sql, now=self._now()))

    def made_before(
        self, before: float, *, finished_only: bool, with_kept: bool
    ) -> Iterator[tuple[str, int]]:
        """Read the ids and bytes of jobs made before a time, oldest first, in pages.

        Those that are kept until their owners delete them are left out unless asked for.
        """
        place = {"created": -inf, "number": 0}
        which = "" if with_kept else f" AND NOT {IS_KEPT}"
        if finished_only:
            which += (
                " AND open_until <= :now AND NOT EXISTS"
                f" (SELECT 1 FROM images WHERE job_id = jobs.id AND {UNFINISHED})"
            )
        while rows := self._db.query(
            "SELECT id, bytes, created, rowid AS number FROM jobs WHERE created <= :before"
            f" AND (created, rowid) > (:created, :number){which}"
            " ORDER BY created, rowid LIMIT :page",
            before=before,
            now=self._now(),
            page=PAGE,
            **place,
        ):
            yield from ((row["id"], row["bytes"]) for row in rows)
            place = {"created": rows[-1]["created"], "number": rows[-1]["number"]}

    def owner(self, job_id: str) -> str | None:
        """Return the owner of a job, empty if it has none; None if there is no such job."""
        rows = self._db.query(
            f"SELECT coalesce(owner, '') AS owner FROM jobs WHERE id = :id AND {EXISTS}",
            id=job_id,
            now=self._now(),
        )
        return rows[0]["owner"] if rows else None

    def owner_and_recipe(self, job_id: str) -> tuple[str, str] | None:
        """Return the owner and the recipe of a job; None if it has no owner, or is none."""
        rows = self._db.query(
            f"SELECT owner, recipe FROM jobs WHERE id = :id AND owner != '' AND {EXISTS}",
            id=job_id,
            now=self._now(),
        )
        return (rows[0]["owner"], rows[0]["recipe"]) if rows else None

    def version(self, job_id: str) -> JobVersion | None:
        """Read the version of a job, or None."""
        rows = self._db.query(
            f"SELECT version, open_until > :now AS is_open FROM jobs WHERE id = :id AND {EXISTS}",
            id=job_id,
            now=self._now(),
        )
        return JobVersion(job_id, rows[0]["version"], bool(rows[0]["is_open"])) if rows else None

    def progress(self, job_id: str) -> Progress | None:
        """Read the progress of a job, or None."""
        rows = self._db.query(
            f"SELECT jobs.version, open_until > :now AS is_open, {BEGUN}, {FETCHING},"
            f" {COUNTS}"
            " FROM jobs LEFT JOIN images ON job_id = jobs.id"
            f" WHERE jobs.id = :id AND {EXISTS} GROUP BY jobs.id",
            id=job_id,
            now=self._now(),
        )
        if not rows:
            return None
        row = with_counts(rows[0])
        begun = datetime.fromtimestamp(row["begun"], UTC)
        return Progress(
            id=job_id,
            version=row["version"],
            is_open=bool(row["is_open"]),
            is_closing=bool(row["is_closing"]),
            fetching=row["fetching"],
            counts=row["counts"],
            begun=begun,
        )

    def versions(self, job_ids: Collection[str]) -> dict[str, int]:
        """Read the versions of those jobs that exist."""
        rows = self._db.query(
            "SELECT id, version FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))"
            f" AND {EXISTS}",
            ids=json.dumps(list(job_ids)),
            now=self._now(),
        )
        return {row["id"]: row["version"] for row in rows}

    def had_finished_image(self, job_id: str, version: int) -> bool:
        """Return whether a job had a finished image at a version.

        One that changed since does not count.
        """
        return bool(
            self._db.query(
                "SELECT 1 FROM images WHERE job_id = :id AND version <= :version"
                f" AND NOT {UNFINISHED} LIMIT 1",
                id=job_id,
                version=version,
            )
        )

    def first_image(self, job_id: str, file_name: str) -> FirstImage | None:
        """Read the first image of a job, and the path of a thumbnail of it; or None."""
        rows = self._db.query(
            "SELECT jobs.version, recipe, status, error_message,"
            " (SELECT folder || '/' || file_name FROM thumbnails"
            " WHERE image_id = images.id AND file_name = :file_name) AS path"
            " FROM jobs JOIN images ON job_id = jobs.id"
            f" WHERE jobs.id = :id AND {EXISTS} ORDER BY position, images.created LIMIT 1",
            id=job_id,
            file_name=file_name,
            now=self._now(),
        )
        return FirstImage(**rows[0]) if rows else None

    def pending_image(self, job_id: str, image_id: str) -> tuple[int, datetime] | None:
        """Return the version of an image that waits or is claimed, or None.

        Also returns when the last image of its job was queued.
        """
        rows = self._db.query(
            f"SELECT images.version, {BEGUN} FROM images JOIN jobs ON jobs.id = job_id"
            f" WHERE images.id = :image_id AND job_id = :job_id AND {UNFINISHED}"
            f" AND {EXISTS}",
            job_id=job_id,
            image_id=image_id,
            now=self._now(),
        )
        if not rows:
            return None
        return rows[0]["version"], datetime.fromtimestamp(rows[0]["begun"], UTC)

    def exists(self, job_id: str) -> bool:
        """Return whether a job has a row, expired or deleted or not."""
        return bool(self._db.query("SELECT 1 FROM jobs WHERE id = :id", id=job_id))

    def has_expired(self, job_id: str) -> bool:
        """Return whether a job has expired, as far as it is remembered."""
        return bool(
            self._db.query(
                "SELECT 1 FROM jobs WHERE id = :id AND expires <= :now"
                " UNION ALL SELECT 1 FROM expired_jobs WHERE id = :id",
                id=job_id,
                now=self._now(),
            )
        )

    def ended_ids(self, skip: int) -> list[str]:
        """List some jobs that have ended, but leave out so many of the first."""
        ended = " UNION ALL ".join(f"SELECT id FROM jobs WHERE {end}" for end in _ENDS)
        rows = self._db.query(
            f"{ended} LIMIT :page OFFSET :skip", now=self._now(), page=PAGE, skip=skip
        )
        return [row["id"] for row in rows]

    def has_ended(self, job_id: str) -> bool:
        """Return whether a job has ended, and its rows are still there.

        It was perhaps extended or restored since it was listed.
        """
        ended = " OR ".join(f"({end})" for end in _ENDS)
        sql = f"SELECT 1 FROM jobs WHERE id = :id AND ({ended})"
        return bool(self._db.query(sql, id=job_id, now=self._now()))

    def close_left_open(self) -> int:
        """Close some jobs whose time for more images is over; return their number.

        They are closed for all already. So the index of open jobs has no others.
        """
        return self._db.execute(
            "UPDATE jobs SET open_until = 0 WHERE id IN (SELECT id FROM jobs WHERE open_until > 0"
            " AND open_until <= :now AND EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id)"
            " LIMIT :page)",
            now=self._now(),
            page=PAGE,
        )

    def is_deleted(self, job_id: str) -> bool:
        """Return whether a job is deleted, and its rows are still there."""
        sql = "SELECT 1 FROM jobs WHERE id = :id AND deleted IS NOT NULL"
        return bool(self._db.query(sql, id=job_id))

    def deleted_ids(self) -> list[str]:
        """List the deleted jobs whose rows are still there."""
        rows = self._db.query("SELECT id FROM jobs WHERE deleted IS NOT NULL")
        return [row["id"] for row in rows]

    def mark_deleted(self, job_id: str) -> bool:
        """Mark a job as deleted; return False if there is none."""
        return bool(
            self._db.execute(
                "UPDATE jobs SET deleted = :now, version = version + 1"
                f" WHERE id = :id AND {EXISTS}",
                id=job_id,
                now=self._now(),
            )
        )

    def restore(self, job_id: str, owner: str | None) -> bool:
        """Undo that an owner deleted a job; return False if it is too late."""
        return bool(
            self._db.execute(
                "UPDATE jobs SET deleted = NULL, version = version + 1"
                f" WHERE id = :id AND owner = :owner AND {CAN_RESTORE}",
                id=job_id,
                owner=owner,
                now=self._now(),
            )
        )

    def close(self, job_id: str, missing_files: Sequence[MissingFile] = ()) -> None:
        """Close a job, also for images that are being uploaded.

        If fetches are pending, the last one closes it, and until then it takes no more.

        `missing_files` are added to those of the last time, or replace them: by their positions and
        names, or where a file of the same name is refused again for the same reason.
        """
        with self._db.transaction():
            rows = self._db.query("SELECT missing_files FROM jobs WHERE id = :id", id=job_id)
            refused = {(file.name, file.reason) for file in missing_files if file.bytes is None}
            before = [
                file
                for row in rows
                for file in _read_missing(row["missing_files"])
                if file.bytes is not None or (file.name, file.reason) not in refused
            ]
            before = _without(before, _named(missing_files))
            new = _without(missing_files, _named(before))  # What was told in full before.
            images = self._db.query(
                "SELECT position, name FROM images WHERE job_id = :id", id=job_id
            )
            named = ((row["position"], row["name"]) for row in images)
            missing = _without([*before, *new][:MAX_MISSING], named)
            self._db.execute(
                "UPDATE jobs SET closes = open_until = 9e999,"
                " open_until = iif(open_until = 9e999, open_until, 0), version = version + 1,"
                " missing_files = :missing_files WHERE id = :id",
                id=job_id,
                missing_files=json.dumps([asdict(file) for file in missing]),
            )

    def reopen(self, job_id: str, open_seconds: float, max_images: int) -> int | None:
        """Open a job again for some time, unless it does not exist or is full.

        Returns the position of its next image, or None.
        """
        now = self._now()
        rows = self._db.query(
            "UPDATE jobs SET open_until = iif(open_until = 9e999, open_until, :open_until),"
            f" closes = 0, version = version + 1 WHERE id = :job_id AND {EXISTS}"
            f" AND {IMAGES_AND_FETCHES} < :max_images"
            f" RETURNING {NEXT_POSITION} AS position",
            job_id=job_id,
            now=now,
            open_until=now + open_seconds,
            max_images=max_images,
        )
        return rows[0]["position"] if rows else None

    def extend(self, job_id: str, keep_seconds: float, max_seconds: float) -> float | None:
        """Keep a job for some time from now, but at most for `max_seconds` in all.

        A longer retention stays. Returns when it expires, or None if it does not exist.
        """
        now = self._now()
        rows = self._db.query(
            "UPDATE jobs SET expires = max(expires, min(:expires, created + :max_seconds)),"
            " too_large = too_large AND :expires != 9e999, version = version + 1"
            f" WHERE id = :id AND {EXISTS} RETURNING expires",
            id=job_id,
            now=now,
            expires=now + keep_seconds,
            max_seconds=max_seconds,
        )
        return rows[0]["expires"] if rows else None

    def let_expire(self, job_id: str, max_seconds: float, new_seconds: float) -> bool:
        """Let a new job expire that is too large to be kept; return False if it is older."""
        return bool(
            self._db.execute(
                "UPDATE jobs SET expires = created + :max_seconds, too_large = 1,"
                f" version = version + 1 WHERE id = :id AND {IS_KEPT} AND created > :before",
                id=job_id,
                max_seconds=max_seconds,
                before=self._now() - new_seconds,
            )
        )

    def bytes_kept_with(self, job_id: str) -> int | None:
        """Sum the bytes of an owner's kept jobs; None unless this job is one.

        Deleted ones count until their files are removed: they can be restored.
        """
        rows = self._db.query(
            "SELECT kept.bytes FROM jobs JOIN kept ON kept.owner = jobs.owner"
            f" WHERE id = :id AND {IS_KEPT}",
            id=job_id,
        )
        return rows[0]["bytes"] if rows else None

    def kept(self) -> KeptJobs:
        """Count all jobs that owners keep until they delete them."""
        return KeptJobs(**self._db.query("SELECT jobs, bytes FROM kept WHERE owner = '*'")[0])

    def rename(self, job_id: str, name: str) -> bool:
        """Name a job; empty, its images name it. Return False if there is none."""
        return bool(
            self._db.execute(
                "UPDATE jobs SET name = nullif(:name, ''), version = version + 1"
                f" WHERE id = :id AND {EXISTS}",
                id=job_id,
                name=name,
                now=self._now(),
            )
        )

    def end(self, job_id: str) -> None:
        """Mark a job as deleted for good: no one can restore it."""
        self._db.execute("UPDATE jobs SET deleted = 0 WHERE id = :id", id=job_id)

    def delete_images(self, job_id: str, count: int) -> bool:
        """Delete the rows of so many images of a job; return whether it may have more.

        Those that workers have stay.
        """
        deleted = self._db.execute(
            "DELETE FROM images WHERE rowid IN (SELECT rowid FROM images WHERE job_id = :id"
            " AND status != 'working' LIMIT :count)",
            id=job_id,
            count=count,
        )
        return deleted == count

    def delete(self, job_id: str) -> None:
        """Delete a job's rows; remember it if it has expired and no one deleted it."""
        with self._db.transaction():
            now = self._now()
            self._db.execute(
                "INSERT INTO expired_jobs SELECT id, :now FROM jobs"
                " WHERE id = :id AND expires <= :now AND deleted IS NULL ON CONFLICT DO NOTHING",
                id=job_id,
                now=now,
            )
            self._usage.charge_work("job_id = :job_id", now, job_id=job_id)
            self._db.execute("DELETE FROM jobs WHERE id = :id", id=job_id)

    def forget_expired(self, before: float) -> int:
        """Forget some expired jobs that were deleted before a time; return their number."""
        return self._db.execute(
            "DELETE FROM expired_jobs WHERE id IN (SELECT id FROM expired_jobs"
            " WHERE deleted < :before LIMIT :page)",
            before=before,
            page=PAGE,
        )

    def count_thumbnails(self, job_id: str) -> int:
        """Count the thumbnails of a job that its recipe asked for."""
        rows = self._db.query(
            "SELECT count(*) AS thumbnails FROM images JOIN thumbnails ON image_id = images.id"
            " WHERE job_id = :id AND file_name != :overview"
            f" AND EXISTS (SELECT 1 FROM jobs WHERE id = job_id AND {EXISTS})",
            id=job_id,
            overview=OVERVIEW.file_name,
            now=self._now(),
        )
        return int(rows[0]["thumbnails"])

    def has_thumbnails(self, job_id: str) -> bool:
        """Return whether a job has a thumbnail of its recipe."""
        rows = self._db.query(
            "SELECT EXISTS (SELECT 1 FROM images JOIN thumbnails ON image_id = images.id"
            " WHERE job_id = :id AND file_name != :overview) AS has_some",
            id=job_id,
            overview=OVERVIEW.file_name,
        )
        return bool(rows[0]["has_some"])
