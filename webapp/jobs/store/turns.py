"""SQL that chooses the next image fairly, and counts the images ahead of a job."""

from typing import Any

from webapp.jobs.models import HourLimits
from webapp.jobs.store.rows import LEASE_IS_OVER, QUICK, UNFINISHED, WAITING
from webapp.jobs.store.usage import WINDOW_MINUTES

# How claim() finds the next image. Few clients and owners have images in workers' hands, as there
# are few workers; the others are in the order of their turns in an index. So however many wait, it
# looks at one more of each than there are workers.
_CLAIMED = f"""
in_hand AS MATERIALIZED (SELECT client, owner, count(*) AS images FROM images
    WHERE status = 'working' AND NOT {LEASE_IS_OVER} GROUP BY client, owner),
busy AS MATERIALIZED (SELECT client, sum(images) AS images FROM in_hand GROUP BY client)"""

# Whether a client of client_turns is over its limits. At most 60 rows are read of each.
_IS_OVER_LIMIT = """((SELECT total(amount) FROM usage WHERE client = client_turns.client
    AND what = 'work' AND minute > :over) >= :max_work_ms
    OR (SELECT total(amount) FROM usage WHERE client = client_turns.client
    AND what = 'bytes' AND minute > :over) >= :max_bytes)"""


def _next_turn(has_turn: str, which: str) -> str:
    """Return SQL of tables; the last one has whose turn it is.

    `has_turn` counts the images of a client or owner that are `which`. Both are written as in the
    partial indexes.
    """
    return f"""{_CLAIMED},
next_client AS MATERIALIZED (SELECT coalesce(
    (SELECT client FROM client_turns WHERE {has_turn}
        AND client NOT IN (SELECT client FROM busy) AND NOT {_IS_OVER_LIMIT}
        ORDER BY served LIMIT 1),
    (SELECT client_turns.client FROM busy JOIN client_turns USING (client)
        WHERE {has_turn} AND NOT {_IS_OVER_LIMIT} ORDER BY images, served LIMIT 1)) AS client),
next_owner AS MATERIALIZED (SELECT client, coalesce(
    (SELECT owner FROM owner_turns WHERE client = next_client.client AND {has_turn}
        AND owner NOT IN (SELECT owner FROM in_hand WHERE client = next_client.client)
        ORDER BY served LIMIT 1),
    (SELECT owner FROM in_hand JOIN owner_turns USING (client, owner)
        WHERE client = next_client.client AND {has_turn} ORDER BY images, served LIMIT 1))
    AS owner FROM next_client),
next_image AS (SELECT (SELECT rowid FROM images WHERE {which}
    AND images.client = next_owner.client AND images.owner = next_owner.owner
    ORDER BY queued LIMIT 1) AS image FROM next_owner)"""


# Left by a dead worker. Those that cost two are late.
_LEFT = f"status = 'working' AND {LEASE_IS_OVER} AND attempts - released <= 1"

# Only asked where no client has a turn: few are left that could be over their limits.
_LATE = f"""(SELECT rowid FROM images WHERE {UNFINISHED}
    AND (status = 'waiting' OR {LEASE_IS_OVER}) AND attempts - released < :max_attempts
    AND client NOT IN (SELECT client FROM over_limit)
    ORDER BY attempts - released > 1, queued LIMIT 1)"""

NEXT_IMAGE = f"""WITH {_next_turn("waiting > 0", WAITING)},
over_limit AS MATERIALIZED (SELECT client FROM client_turns
    WHERE waiting > 0 AND {_IS_OVER_LIMIT})
SELECT coalesce((SELECT rowid FROM images WHERE {_LEFT} ORDER BY queued LIMIT 1), image, {_LATE})
    AS image FROM next_image"""

# While workers have as many slow images as they may. Those that cost two workers are slow, too.
NEXT_QUICK_IMAGE = f"""WITH {_next_turn("quick > 0", QUICK)}
SELECT coalesce((SELECT rowid FROM images WHERE {_LEFT} AND NOT slow ORDER BY queued LIMIT 1),
    image) AS image FROM next_image"""

SLOW_IN_HAND = f"""SELECT count(*) AS images FROM images
    WHERE status = 'working' AND slow AND NOT {LEASE_IS_OVER}"""


def most_slow(workers: int) -> int:
    """Return how many slow images workers may have at a time.

    Half of them, so that small images need not wait.
    """
    return max(1, workers // 2)


def hour_values(limits: HourLimits, now: float) -> dict[str, Any]:
    """Return the values of these queries that bound a client's hour."""
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
IMAGES_AHEAD = f"""WITH {_CLAIMED},
job AS MATERIALIZED (SELECT client, owner, count(*) AS waiting, sum(slow) AS slow,
    min(queued) AS first, max(queued) AS last FROM images WHERE job_id = :id AND {WAITING}
    GROUP BY client, owner ORDER BY first LIMIT 1),
ends AS (SELECT client, owner, first AS queued, 0 AS own FROM job
    UNION SELECT client, owner, last, waiting - 1 FROM job),
of_owner AS MATERIALIZED (SELECT client, owner, own, served, coalesce(images, 0) AS in_hand,
    (SELECT count(*) FROM images WHERE {WAITING} AND images.client = ends.client
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
    + (SELECT count(*) FROM images WHERE status = 'working' AND job_id != :id
        AND NOT {LEASE_IS_OVER}) AS images, (SELECT slow FROM job) AS slow
    FROM of_client AS mine ORDER BY own"""
