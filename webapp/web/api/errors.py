"""What can go wrong with a request of the API, beside what pages know too."""

from collections.abc import Sequence

from webapp.web.api import schemas


class InvalidRequest(ValueError):
    """A request has wrong fields."""

    code = "invalid_request"

    def __init__(self, errors: Sequence[schemas.FieldError]) -> None:
        one = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields are wrong."
        super().__init__(one)
        self.errors = errors


class UnreadableBody(ValueError):
    """The body of a request is not what its Content-Type says."""

    code = "unreadable_body"


class UnsupportedBody(ValueError):
    """The body of a request is of a type that the route does not take."""

    code = "unsupported_body"


class ImageFailed(Exception):
    """The one image of a job failed, whose thumbnail a client waits for."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
