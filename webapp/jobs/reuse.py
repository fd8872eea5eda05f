"""Finish a new image with the thumbnails that were made of the same bytes before."""

from collections.abc import Iterator
from contextlib import contextmanager

from webapp.jobs.models import MadeBefore, NewImage
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.work import digest_of
from webapp.recipes.outputs import Recipe


def find_made(
    store: Store, job_id: str, image: NewImage, owner: str, recipe: str
) -> MadeBefore | None:
    """Find a finished image of an owner with the same bytes and outputs, or None.

    Never one of another owner, nor of none: that would tell that someone has such an image.
    """
    if not owner or image.sha256 is None:
        return None
    outputs = Recipe.from_json(recipe).with_overview().outputs
    numbers = {digest_of(output): number for number, output in enumerate(outputs)}
    return store.reuse.find(job_id, owner, image.sha256, recipe, numbers)


class Copies:
    """Thumbnails of another image, published for a new one too."""

    def __init__(self, store: Store, folder: str, made: MadeBefore) -> None:
        self.image_id = made.image_id  # Of which they were made.
        self._store = store
        self._folder = folder
        self._made = made
        self.are_used = False

    def finish(self, image_id: str) -> None:
        """Finish the new image with them, unless its job got another recipe meanwhile."""
        self.are_used = self._store.reuse.finish(image_id, self._folder, self._made)


@contextmanager
def copies_published(
    store: Store, storage: Storage, made: MadeBefore | None, job_id: str, image_id: str
) -> Iterator[Copies | None]:
    """Publish thumbnails for a new image, unless the block fails or leaves them.

    Where one is lost, or there are none, the block gets None: a worker makes them.
    """
    if made is None:
        yield None
        return
    folder = storage.reused_folder(job_id, image_id)
    copies = Copies(store, folder, made)
    try:
        yield copies if storage.publish_copies(made.sizes, folder) else None
    except BaseException:
        storage.unpublish(folder)
        raise
    if copies.are_used:
        storage.settle(folder)
    else:
        storage.unpublish(folder)
