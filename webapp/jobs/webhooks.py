"""Tell owners' servers that jobs are finished, by Standard Webhooks 1.0.0.

A job that has a callback awaits its end in its row. What finds it finished writes a delivery and
marks the job as told, in one transaction; what queues one of its images again, or opens it, lets it
await its end again. So a process that dies loses no delivery, and a job without a callback costs
nothing. A sender claims a delivery for a while; if it dies, another one sends it again. For an API
token that is not valid any more, no delivery is written, and those that were end without a request.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from math import floor
from urllib.parse import urlsplit
from uuid import uuid4

from standardwebhooks import Webhook

from webapp.config import Config
from webapp.jobs.deliveries import DeliveryClaim, DeliveryTry
from webapp.jobs.errors import TOKEN_REVOKED
from webapp.jobs.models import FinishedJob
from webapp.jobs.outbound_errors import RequestFailed, RequestRefused
from webapp.jobs.store import Store

logger = logging.getLogger(__name__)

FINISHED = "job.finished"
SECONDS = 20.0  # That one try may take in all.
LEASE_SECONDS = 60.0
RETRIES_AT = (5.0, 300.0, 1800.0, 7200.0)  # After the first try began.
ANSWERED = "webhook_answered"  # With a status that is none of success.
GONE = 410  # The receiver wants no more.


class Webhooks:
    """Find finished jobs, and send their deliveries."""

    def __init__(
        self, store: Store, config: Config, is_stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._store = store
        self._config = config
        self._is_stopping = is_stopping

    def take(self) -> Callable[[], None] | None:
        """Claim the next delivery that is due, and return what sends it; None if none is."""
        for job_id in self._store.deliveries.finished_ids():
            self._write(job_id)
        claim = self._store.deliveries.claim(LEASE_SECONDS)
        return partial(self._send, claim) if claim else None

    def _write(self, job_id: str) -> None:
        with self._store.db.transaction():
            job = self._store.deliveries.take_finished(job_id)
            if job and not self._store.tokens.is_revoked(job.owner or ""):
                body = describe(job, self._moment())
                delivery_id = f"msg_{uuid4().hex}"
                self._store.deliveries.add(delivery_id, job, FINISHED, body, len(RETRIES_AT))

    def _send(self, claim: DeliveryClaim) -> None:
        """Make one try, and record it."""
        began, moment = time.perf_counter(), self._moment()
        answer, retry_after, error = self._post(claim, moment)
        if error and answer is None and self._is_stopping():  # That ended it.
            self._store.deliveries.release(claim)
            return
        ms = round((time.perf_counter() - began) * 1000)
        code, message = error or (None, None)
        ended = DeliveryTry(moment, ms, answer, code, message)
        status, wait = _what_next(claim, ended, retry_after, self._store.now())
        with self._store.db.transaction():
            if error and self._store.tokens.is_revoked(claim.owner):  # Perhaps meanwhile.
                status, wait = "stopped", None
            held = self._store.deliveries.end(claim, ended, status, wait)
        facts = {
            "job_id": claim.job_id,
            "delivery_id": claim.id,
            "host": urlsplit(claim.url).hostname,
            "attempt": claim.number,
            "answer": answer,
            "code": code,
            "ms": ms,
            "next_try_s": wait,
        }
        event = f"webhook {status}" if held else "webhook lost to another sender, or deleted"
        logger.log(logging.WARNING if error else logging.INFO, event, extra=facts)

    def _post(
        self, claim: DeliveryClaim, moment: datetime
    ) -> tuple[int | None, int | None, tuple[str, str] | None]:
        """Return the status of the answer, its Retry-After, and what failed.

        Its body is not read. No error may escape: the delivery would be tried again and again when
        its lease ends.
        """
        if self._store.tokens.is_revoked(claim.owner):
            return None, None, TOKEN_REVOKED
        from webapp.jobs.outbound import send  # With the first one: it takes memory.

        headers = sign(claim, self._store.webhook_secrets.valid(claim.owner), moment)
        body = claim.body.encode()
        try:
            with send(
                self._config,
                "POST",
                claim.url,
                seconds=SECONDS,
                silent_seconds=SECONDS,  # A receiver may do its work before it answers.
                headers=headers,
                body=body,
                is_stopping=self._is_stopping,
            ) as answer:
                error = None if 200 <= answer.status < 300 else (ANSWERED, _explain(answer.status))
                return answer.status, answer.retry_after, error
        except (RequestRefused, RequestFailed) as failure:
            return None, None, (failure.code, str(failure))
        except Exception:
            logger.exception("cannot send a webhook", extra={"job_id": claim.job_id})
            return None, None, ("internal_error", "Something went wrong on our side.")

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._store.now(), UTC)


def describe(job: FinishedJob, moment: datetime) -> str:
    """Write as JSON, in the words of the API, what is told of a finished job."""
    url = f"{job.origin}/api/v1/jobs/{job.id}"
    data = {
        "id": job.id,
        "title": job.title,
        "name": job.name,
        "status": job.status,
        "created": _iso(job.created),
        "expires": job.expires and _iso(job.expires),
        "counts": {**asdict(job.counts), "total": job.counts.total, "missing": job.missing},
        "links": {
            "job": url,
            "page": f"{job.origin}/jobs/{job.id}",
            "zip": f"{url}/thumbnails.zip",
        },
    }
    event = {"type": FINISHED, "timestamp": _iso(moment), "data": data}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def sign(claim: DeliveryClaim, secrets: list[str], moment: datetime) -> dict[str, str]:
    """Return the headers of a delivery, with a signature by each of the secrets."""
    signatures = [Webhook(secret).sign(claim.id, moment, claim.body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "webhook-id": claim.id,
        "webhook-timestamp": str(floor(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _what_next(
    claim: DeliveryClaim, ended: DeliveryTry, retry_after: int | None, now: float
) -> tuple[str, float | None]:
    """Return the status of a delivery after a try, and the seconds until the next."""
    if not ended.error_code:
        return "delivered", None
    if ended.answer == GONE:
        return "stopped", None
    if not claim.retries_left:
        return "failed", None
    return "waiting", max(_pause(claim, ended, now), retry_after or 0)


def _pause(claim: DeliveryClaim, ended: DeliveryTry, now: float) -> float:
    """Return the seconds until the next try is planned.

    If that moment is over, as after a stop of this server, they are those between the two in the
    plan: a receiver that is down is not tried several times in a row.
    """
    number = len(RETRIES_AT) - claim.retries_left
    planned, previous = RETRIES_AT[number], RETRIES_AT[number - 1] if number else 0
    first = ended.began.timestamp() if claim.first_try is None else claim.first_try
    left = round(first + planned - now, 3)
    return left if 0 < left <= planned else planned - previous  # More, if the clock was set back.


def _explain(answer: int) -> str:
    if answer == GONE:
        return "The receiver answered 410: it wants no more."
    if 300 <= answer < 400:
        return f"The receiver answered {answer}. Redirects are not followed: give the last address."
    return f"The receiver answered {answer}."


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
