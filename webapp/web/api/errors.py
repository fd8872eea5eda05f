"""What can go wrong with a request of the API, beside what pages know too."""

from collections.abc import Sequence

from webapp.jobs.errors import NoImages
from webapp.web.api import schemas

# Sentences for errors of the framework: a program goes back to no page, and follows no link.
OF_PROGRAMS = {
    400: "The server could not read this request.",
    404: "There is nothing at this address.",
    405: "This address does not take this method. The header Allow has those that it does.",
    414: "This address is too long.",
    431: "The headers of this request are too long.",
}


class InvalidRequest(ValueError):
    """A request has wrong fields."""

    code = "invalid_request"

    def __init__(self, errors: Sequence[schemas.FieldError]) -> None:
        one = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields are wrong."
        super().__init__(one)
        self.errors = errors


class NothingSent(NoImages):
    """A job was submitted without images."""

    sentence = "Send at least one image. Only JSON opens a job for images to come."


class JobWithoutImages(NoImages):
    """A job was closed without images, which deletes it."""

    sentence = "This job had no images, so it is deleted."


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
