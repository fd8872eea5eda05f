"""Collect every wrong field of a request, each with its place and a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from webapp.recipes.outputs import InvalidRecipe
from webapp.web.api import schemas
from webapp.web.api.errors import InvalidRequest

MAX_ERRORS = 50


class Problems:
    """Collect what is wrong with a request."""

    def __init__(self) -> None:
        self.found: list[schemas.FieldError] = []

    def add(self, pointer: str, sentence: str) -> None:
        """Add an error of the field at a JSON pointer.

        Raises InvalidRequest if there are so many that no one reads them.
        """
        self.found.append(schemas.FieldError(detail=sentence, pointer=f"#{pointer}"))
        if len(self.found) == MAX_ERRORS:
            raise InvalidRequest(self.found)

    def add_invalid(self, pointer: str, error: InvalidRecipe) -> None:
        """Add all errors of an output or a recipe at a JSON pointer."""
        for one in (error, *error.others):
            self.add(f"{pointer}/{one.field}", str(one))

    def raise_if_any(self) -> None:
        """Raise InvalidRequest if something is wrong."""
        if self.found:
            raise InvalidRequest(self.found)


@contextmanager
def noting(problems: Problems, pointer: str) -> Iterator[None]:
    """Add an InvalidRecipe of the block to the problems."""
    try:
        yield
    except InvalidRecipe as error:
        problems.add_invalid(pointer, error)


def escape(name: str) -> str:
    """Write a name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
