"""The worker's side of a job: claim, renew, finish, fail and release images."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from webapp.config import MB, Config
from webapp.engine.result import ENGINE_VERSION, Result
from webapp.jobs.errors import WORKER_LOST, ClaimLost, TooMuchKept
from webapp.jobs.events import log_failed
from webapp.jobs.limits import within_kept_limit
from webapp.jobs.models import Claim, HourLimits
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.store.turns import most_slow
from webapp.jobs.wake_up import WakeUps
from webapp.jobs.watch import WATCHERS
from webapp.recipes.outputs import CENTRE, Output, Recipe

MAX_ATTEMPTS = 5  # Workers that one image may cost before it fails.
# Do not claim if less is free: a claim that fails for lack of disk uses up an attempt.
ROOM_FOR_WORK = 20 * MB


@dataclass(frozen=True)
class Plan:
    """What to make of a claimed image, and what of it exists."""

    recipe: Recipe
    kept: Mapping[int, str]  # The paths of thumbnails that stay, by the numbers of their outputs.
    others: Sequence[str]  # The paths of those that may be replaced, newest first.

    @property
    def is_made(self) -> bool:
        """True if every output has its thumbnail."""
        return len(self.kept) == len(self.recipe.outputs)


def digest_of(output: Output) -> str:
    """Return a digest of all that decides what a thumbnail of an original is.

    A focal point decides of crops alone.
    """
    if output.fit != "cover":
        output = replace(output, focus=CENTRE)
    parts = json.dumps([ENGINE_VERSION, asdict(output)], sort_keys=True)
    return sha256(parts.encode()).hexdigest()[:32]


class Claims:
    """Hand out images to workers, store their results, and send wake-ups."""

    def __init__(self, store: Store, storage: Storage, config: Config) -> None:
        self.store = store
        self.storage = storage
        self._lease_seconds = config.lease_seconds
        self._config = config
        self._max_slow = most_slow(config.workers)
        self._rests = False
        self._watchers = WakeUps(config.instance / WATCHERS)
        # Thumbnails count on top of uploads, so a client gets the bytes of its uploads twice.
        self._hour_limits = HourLimits(
            work_ms=config.max_work_seconds_per_hour * 1000,
            bytes=2 * config.max_mb_per_hour * MB,
        )

    def claim(self, worker: str) -> Claim | None:
        """Claim the next image; None if none waits, or the disk has no room for it."""
        if not self._has_room():
            return None
        claim = self._claim(worker, 0) if self._rests else None
        claim = claim or self._claim(worker, self._max_slow)
        # A worker that is alone takes another image between two slow ones, if there is one.
        self._rests = self._config.workers == 1 and claim is not None and claim.is_slow
        return claim

    def has_work(self) -> bool:
        """Return whether an image can be claimed, and there is room to work on it."""
        return self._has_room() and self.store.queue.has_claimable(
            MAX_ATTEMPTS, self._hour_limits, self._max_slow
        )

    def renew(self, claim: Claim) -> None:
        """Extend the lease of a claim while its work goes on. Raises ClaimLost."""
        self.store.operations.beat(claim.worker)
        if not self.store.queue.renew(claim, self._lease_seconds):
            raise ClaimLost

    def plan(self, claim: Claim) -> Plan:
        """Decide what to make of an image: the outputs that are not there already."""
        recipe = Recipe.from_json(claim.recipe)
        if claim.focal_point:
            recipe = recipe.with_focal_point(claim.focal_point)
        recipe = recipe.with_overview()
        numbers = {digest_of(output): number for number, output in enumerate(recipe.outputs)}
        kept: dict[int, str] = {}
        others = []
        for path, digest in self.store.queue.made_before(claim.image_id):
            if not self.storage.thumbnail_file(path):  # It is lost.
                continue
            number = numbers.get(digest or "")
            if number is None or number in kept:
                others.append(path)
            else:
                kept[number] = path
        return Plan(recipe, kept, others)

    def finish(
        self, claim: Claim, plan: Plan, folder: Path, result: Result, placeholder: bytes
    ) -> None:
        """Publish the files of `folder` as thumbnails, beside those that are kept.

        A file that is the same as before is dropped, and the one before kept: a crop may come out
        the same for another focal point. `placeholder` is a small PNG for pages to show before a
        thumbnail is loaded.

        The thumbnails that they replace stay until a sweep removes them. Raises ClaimLost or
        TooMuchKept, with nothing published.
        """
        path = self.storage.thumbnails_folder(claim)
        kept = dict(plan.kept)
        for made in result.thumbnails:
            for before in plan.others:
                if self.storage.drop_same(folder / made.file_name, before):
                    kept[made.number] = before
                    break
        new = [made for made in result.thumbnails if made.number not in kept]
        if new:
            self.storage.publish(folder, path)
        header = result.header
        facts = {
            "width": header.width,
            "height": header.height,
            "had_gps": header.had_gps,
            "thumbhash": result.thumbhash,
            "placeholder": b64encode(placeholder).decode(),
            "color": result.color,
        }
        if result.found_point:  # Not for a point that the owner chose: the one before stays.
            facts["found_x"], facts["found_y"] = result.found_point
        digests = [digest_of(output) for output in plan.recipe.outputs]
        thumbnails = [{**asdict(made), "digest": digests[made.number]} for made in new]
        stay = {number: (before, digests[number]) for number, before in kept.items()}
        try:
            with within_kept_limit(self.store, claim.job_id, self._config, lets_new_expire=True):
                if not self.store.queue.finish(claim, facts, path, thumbnails, stay):
                    raise ClaimLost
        except (ClaimLost, TooMuchKept):
            self.storage.unpublish(path)
            raise
        self.storage.settle(path)
        self._watchers.send()

    def finish_unchanged(self, claim: Claim, plan: Plan) -> None:
        """Finish an image whose thumbnails are all there. Raises ClaimLost."""
        stay = {
            number: (path, digest_of(plan.recipe.outputs[number]))
            for number, path in plan.kept.items()
        }
        if not self.store.queue.finish(claim, {}, "", [], stay):
            raise ClaimLost
        self._watchers.send()

    def fail(self, claim: Claim, code: str, message: str) -> None:
        """Mark an image as failed, for a reason that its owner reads. Raises ClaimLost."""
        if not self.store.queue.fail(claim, code, message):
            raise ClaimLost
        self._watchers.send()

    def release(self, claim: Claim) -> None:
        """Return an image to the queue as if it had not been claimed.

        Raises ClaimLost; the image may be finished by then.
        """
        if not self.store.queue.release(claim):
            raise ClaimLost
        self.storage.unpublish(self.storage.thumbnails_folder(claim))

    def end_lease(self, claim: Claim) -> None:
        """End a lease now, as if its worker had died: another worker may try.

        It counts as an attempt. Raises ClaimLost.
        """
        if not self.store.queue.end_lease(claim):
            raise ClaimLost

    def fail_exhausted(self) -> None:
        """Mark as failed the images that used up their attempts."""
        failed = self.store.queue.fail_exhausted(*WORKER_LOST, MAX_ATTEMPTS)
        for job_id, image_id in failed:
            log_failed(job_id, image_id, WORKER_LOST[0])
        if failed:
            self._watchers.send()

    def _claim(self, worker: str, max_slow: int) -> Claim | None:
        return self.store.queue.claim(
            worker, self._lease_seconds, MAX_ATTEMPTS, self._hour_limits, max_slow
        )

    def _has_room(self) -> bool:
        return self.storage.has_space(at_least=ROOM_FOR_WORK)
