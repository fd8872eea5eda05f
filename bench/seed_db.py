"""Fill an instance with finished images, through the application's own schema.

    python -m bench.seed_db INSTANCE              a million images: about a minute, 2 GB
    python -m bench.seed_db INSTANCE 20000 files  fewer, with small originals and thumbnails

Half of the images are alone in their jobs, as those of thumbnail-api's clients are; the others are
in jobs of 2 to 500, most of them small. Each has two thumbnails. One job in ten is kept until its
owner deletes it; the others expire within the next days.
"""

import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from math import inf
from pathlib import Path

from webapp.jobs.database import Database
from webapp.jobs.storage import Storage
from webapp.recipes.presets import PRESETS

OWNERS = 50_000
MAX_IMAGES = 500
DAY = 86_400.0
RECIPE = PRESETS["square"].recipe.to_json()
PLACEHOLDER = "iVBORw0KGgo" + "A" * 689  # As long as they are.

Row = tuple[object, ...]

JOB = """INSERT INTO jobs (id, owner, recipe, created, expires, open_until, bytes)
    VALUES (?, ?, ?, ?, ?, 0, ?)"""
IMAGE = """INSERT INTO images (id, job_id, position, name, bytes, format, width, height, had_gps,
    status, attempts, created, finished, thumbhash, color, claimed, queued, version, owner,
    placeholder)
    VALUES (?, ?, ?, ?, 1800000, 'jpeg', 4000, 3000, 0, 'done', 1, ?, ?,
    'm6cNVYqQh4d4h3h5h3iIiECH9HeH', '#232c80', ?, ?, 4, ?, ?)"""
THUMBNAIL = """INSERT INTO thumbnails (image_id, number, folder, file_name, format, width, height,
    bytes, quality, digest) VALUES (?, ?, ?, ?, 'jpeg', 100, 100, 1900, 80, ?)"""
KEPT = """INSERT OR REPLACE INTO kept
    SELECT owner, count(*), sum(bytes) FROM jobs WHERE expires = 9e999 GROUP BY owner
    UNION ALL SELECT '*', count(*), coalesce(sum(bytes), 0) FROM jobs WHERE expires = 9e999"""
LATER = """SELECT type, name, sql FROM sqlite_master
    WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"""
FILES = ("square.jpg", "card.jpg")


def seed(
    instance: Path,
    images: int,
    *,
    with_files: bool = False,
    expires_in: tuple[float, float] = (DAY, 7 * DAY),
    kept_share: float = 0.1,
) -> None:
    """Write jobs of so many images; the first and last expire in seconds."""
    storage = Storage(instance)
    with closing(Database(instance / "jobs.db")) as database:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1500000"):
            database.execute(f"PRAGMA {pragma}")
        with database.transaction() as db:
            # Indexes and triggers come back when all rows are there: it takes a third of the time.
            later = db.conn.execute(LATER).fetchall()
            for kind, name, _ in later:
                db.conn.execute(f"DROP {kind} {name}")
            for job, of_job in _jobs(images, expires_in, kept_share):
                db.conn.execute(JOB, job)
                db.conn.executemany(IMAGE, of_job)
                made = list(_thumbnails(of_job))
                db.conn.executemany(THUMBNAIL, made)
                if with_files:
                    _write_files(storage, of_job, made)
            for _, _, sql in later:
                db.conn.execute(sql)
            db.conn.execute(KEPT)
            counted = "UPDATE counters SET count = ? WHERE what IN ('accepted', 'done')"
            db.conn.execute(counted, [images])
        database.execute("PRAGMA journal_mode = WAL")


def _jobs(
    images: int, expires_in: tuple[float, float], kept_share: float
) -> Iterator[tuple[Row, list[Row]]]:
    """Make the row of each job, and those of its images."""
    chance, now = random.Random(1), time.time()
    left = images
    for number in count():
        if not left:
            return
        # As many images alone as in larger jobs: those have 90 on average.
        alone = chance.random() < 0.99
        size = min(left, 1 if alone else round(2 * (MAX_IMAGES / 2) ** chance.random()))
        left -= size
        created = now - 7 * DAY * chance.random()
        expires = inf if chance.random() < kept_share else now + chance.uniform(*expires_in)
        job_id, owner = _uuid(chance), f"owner-{chance.randrange(OWNERS)}"
        yield (
            (job_id, owner, RECIPE, created, expires, size * (1_800_000 + 2 * 1900)),
            [
                (
                    *(_uuid(chance), job_id, position, f"IMG_{number}_{position}.jpg", created),
                    *(created + 0.1, created, created, owner, PLACEHOLDER),
                )
                for position in range(1, size + 1)
            ],
        )


def _thumbnails(images: list[Row]) -> Iterator[Row]:
    for image_id, job_id, *_ in images:
        for number, name in enumerate(FILES):
            yield (
                image_id,
                number,
                f"{job_id}/{image_id}-1",
                name,
                "30ff577caafa017e38f18cfc0b0bfaf9",
            )


def _write_files(storage: Storage, images: list[Row], thumbnails: list[Row]) -> None:
    for image_id, job_id, *_ in images:
        original = storage.original(str(job_id), str(image_id))
        original.parent.mkdir(exist_ok=True)
        original.write_bytes(b"original")
    for _, _, folder, name, _ in thumbnails:
        (storage.thumbnails / str(folder)).mkdir(parents=True, exist_ok=True)
        (storage.thumbnails / str(folder) / str(name)).write_bytes(b"thumbnail")


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def main() -> None:
    """Fill the instance of the command line."""
    instance = Path(sys.argv[1])
    images = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    began = time.perf_counter()
    seed(instance, images, with_files=sys.argv[3:] == ["files"])
    megabytes = (instance / "jobs.db").stat().st_size / 1e6
    print(f"{images:,} images, {megabytes:,.0f} MB, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
