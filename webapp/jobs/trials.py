"""Trials: what a thumbnail would be in another quality of its recipe.

Only workers decode. The web server asks them by a message and waits for the file. No row remembers
them: a lost message costs one trial. A sweep deletes the files some minutes later.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Lock

from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.result import ENGINE_VERSION
from webapp.jobs.errors import NoSpace, NoWorkerFree, TooManyTrials, TrialFailed
from webapp.jobs.limits import ClientLimits, name_of
from webapp.jobs.models import Image, Job, Thumbnail
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.watch import JobWatch
from webapp.jobs.worker import worker_name
from webapp.recipes.outputs import Output, Recipe

logger = logging.getLogger(__name__)

AT_ONCE = 3  # Of one client and one web process. A page asks for one at a time.
WAIT_SECONDS = 4.0  # Each worker may have an image first; a large one takes as long.
RETRY_SECONDS = 5
PAUSE_SECONDS = 0.005  # Between two looks for the file.


@dataclass(frozen=True)
class Trial:
    """An output for one image. A message consists of these values."""

    job_id: str
    image_id: str
    recipe: str  # In JSON, with the image's focal point and the quality to try.
    number: int  # Of the output in the recipe.
    client: str

    @property
    def output(self) -> Output:
        """The output; its format is resolved."""
        return Recipe.from_json(self.recipe).outputs[self.number]

    @property
    def file_name(self) -> str:
        """The name of its file, among the trials of its image."""
        return f"{self._quality_stem}.{self.output.format}"

    @property
    def failure_name(self) -> str:
        """The name of the file that says that it failed."""
        return f"{self._quality_stem}.failed"

    @property
    def composed_name(self) -> str:
        """The name of what all qualities are encoded from."""
        return f"{self._stem}.composed"

    @property
    def _quality_stem(self) -> str:
        return f"{self._stem}-{self.output.encoder_quality}"

    @property
    def _stem(self) -> str:
        recipe = Recipe.from_json(self.recipe).with_changes(self.number, quality=None)
        parts = f"{ENGINE_VERSION} {self.number} {recipe.to_json()}"
        return sha256(parts.encode()).hexdigest()[:32]


def plan_trial(
    job: Job, image: Image, output: Output, thumbnail: Thumbnail, quality: int, client: str
) -> Trial:
    """Plan to try a thumbnail of an output in another quality. Raises InvalidRecipe."""
    recipe = Recipe.from_json(job.recipe)
    number = recipe.outputs.index(output)
    recipe = recipe.with_changes(number, quality=quality, format=thumbnail.format)
    if image.focal_point:
        recipe = recipe.with_focal_point(image.focal_point)
    return Trial(job.id, image.id, recipe.with_overview().to_json(), number, client)


class Trials:
    """Ask workers for trials, within the limits of each client and of all."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        limits: ClientLimits,
        watch: JobWatch,
        most: int,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._storage = storage
        self._limits = limits
        self._watch = watch  # Each trial waits in one of its places.
        self._most = most
        self._wait_seconds = wait_seconds
        self._asked_by: Counter[str] = Counter()
        self._lock = Lock()

    def make(self, trial: Trial, ask: Callable[[Trial], None]) -> Path:
        """Return the file of a trial; ask a worker for it and wait if there is none.

        Raises NoSpace, or Busy for one of several reasons.
        """
        made = trial.job_id, trial.image_id, trial.file_name
        failure = trial.job_id, trial.image_id, trial.failure_name
        if file := self._storage.trial(*made):
            return file
        if not self._storage.has_space():
            raise NoSpace
        if self._store.operations.read_pause():
            raise NoWorkerFree("Work is paused by the operator.", RETRY_SECONDS)
        self._limits.admit_work(trial.client)
        self._limits.admit_bytes(trial.client, 0, "bytes")
        if not self._store.operations.count_workers():
            raise NoWorkerFree("No worker is running.", RETRY_SECONDS)
        with self._counted(trial.client), self._watch.lent_place():
            self._storage.forget_trial(*failure)  # Of an earlier try.
            ask(trial)
            deadline = time.monotonic() + self._wait_seconds
            while time.monotonic() < deadline:
                if file := self._storage.trial(*made):
                    return file
                if self._storage.trial(*failure):
                    raise TrialFailed("This quality could not be tried.", RETRY_SECONDS)
                time.sleep(PAUSE_SECONDS)
        raise NoWorkerFree("No worker was free to try this quality.", RETRY_SECONDS)

    @contextmanager
    def _counted(self, client: str) -> Iterator[None]:
        with self._lock:
            if self._asked_by[client] >= AT_ONCE:
                sentence = f"{name_of(client)} is trying {AT_ONCE} qualities already."
                raise TooManyTrials(sentence, RETRY_SECONDS)
            if self._asked_by.total() >= self._most:
                raise NoWorkerFree("Too many qualities are tried at the moment.", RETRY_SECONDS)
            self._asked_by[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asked_by -= Counter([client])  # Drops those that have none.


def work_on_trial(store: Store, storage: Storage, decoder: Decoder, trial: Trial) -> None:
    """Make the file of a trial, and charge its time and bytes to the client.

    A pause is for trials too: the operator wants the machine or its files for something else.
    """
    ids = trial.job_id, trial.image_id
    if storage.trial(*ids, trial.file_name) or store.operations.read_pause():
        return
    began = time.perf_counter()
    original = storage.original(*ids)
    try:
        with storage.open_folder() as folder:
            made, composed = folder / "made", folder / "composed"
            is_composed = storage.link_trial(composed, *ids, trial.composed_name)
            recipe = Recipe.from_json(trial.recipe)
            beat = partial(store.operations.beat, worker_name())
            decoder.try_output(original, recipe, trial.number, composed, made, beat, trial.job_id)
            new = [made] if is_composed else [made, composed]
            store.usage.add(trial.client, "bytes", sum(file.stat().st_size for file in new))
            if not is_composed:
                storage.keep_trial(composed, *ids, trial.composed_name)
            storage.keep_trial(made, *ids, trial.file_name)
    except Exception as error:
        if not original.exists():  # The job is deleted.
            return
        storage.note_failed_trial(*ids, trial.failure_name)
        if not isinstance(error, ImageError):
            raise
        facts = {"job_id": trial.job_id, "image_id": trial.image_id, "code": error.code}
        logger.warning("trial failed", exc_info=True, extra=facts)
    finally:
        ms = round((time.perf_counter() - began) * 1000)
        store.usage.add(trial.client, "work", ms)
