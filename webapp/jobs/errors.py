"""What can go wrong with a job: each with its code and its sentence."""

from math import ceil

from webapp.config import MB
from webapp.engine.errors import ImageError

FILE_LOST = ("file_lost", "The server has lost this image's files. Upload it again.")
# Also of an image for which the kernel has not enough memory: it kills the decode child.
WORKER_LOST = (
    "worker_lost",
    "This image failed after several attempts. Try again later, or export it smaller.",
)

FETCH_LOST = ("fetch_lost", "This photo could not be fetched in several attempts. Upload it.")
FETCH_CANCELLED = ("fetch_cancelled", "It was cancelled before it was fetched.")
TOKEN_REVOKED = (
    "token_revoked",
    "The API token of this job was revoked, so no more requests are sent for it.",
)


class JobNotFound(LookupError):
    """There is no such job, or no more."""

    code = "job_not_found"
    sentence = "There is no job at this link. It may have expired, or was deleted."

    def __init__(self) -> None:
        super().__init__(self.sentence)


class JobGone(JobNotFound):
    """There was such a job, as far as we remember."""


class JobDeleted(JobGone):
    """The owner of the job deleted it, and can undo that for a while."""

    code = "job_deleted"
    sentence = "This job was deleted. Its owner can undo that for a minute, on “My jobs”."


class JobExpired(JobGone):
    """The job expired: its rows and files are deleted, or will be by the next sweep."""

    code = "job_expired"
    sentence = "This job has expired. Its images were deleted with it."


class JobClosed(Exception):
    """The job is closed and takes no more images."""

    code = "job_closed"

    def __init__(self) -> None:
        super().__init__("This job takes no more images. Start a new one.")


class FetchingIsOff(Exception):
    """The settings allow no fetches."""

    code = "fetching_is_off"
    field = "url"

    def __init__(self) -> None:
        super().__init__("This server fetches no photos from links. Upload the file.")


class NoImages(Exception):
    """A job was submitted without images."""

    code = "no_images"
    sentence = "Choose at least one photo."

    def __init__(self) -> None:
        super().__init__(self.sentence)


class RetentionNotOffered(ValueError):
    """A job was submitted with a retention that is not offered."""

    code = "time_not_offered"
    field = "keep_hours"

    def __init__(self) -> None:
        super().__init__("Choose one of the times that the form offers.")


class TokenRequired(Exception):
    """A job was submitted with a callback, but not by the owner of an API token."""

    code = "token_required"
    field = "callback_url"

    def __init__(self) -> None:
        super().__init__(
            "A callback_url needs an API token, whose secret signs what is sent. Send a token."
        )


class DeliveryNotFound(LookupError):
    """The job has no delivery of this id."""

    code = "delivery_not_found"

    def __init__(self) -> None:
        super().__init__("This job has no such delivery.")


class TooManyImages(Exception):
    """The job has the maximum number of images."""

    code = "too_many_images"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A job has at most {limit} photos. Start a new one for the rest.")


class NoSpace(Exception):
    """The disk is nearly full: nothing is accepted that adds to it."""

    code = "no_space"

    def __init__(self) -> None:
        super().__init__("The server's disk is full. Nothing was uploaded; try again later.")


class TooMuchKept(Exception):
    """An owner keeps all that may be kept until its owner deletes it."""

    code = "too_much_kept"
    field = "keep_hours"

    def __init__(self, limit_mb: int) -> None:
        super().__init__(
            f"You may keep {limit_mb:,} MB of jobs until you delete them, and this would be more."
            " Delete one, wait two minutes, and try again."
        )


class FileTooLarge(Exception):
    """An uploaded file exceeds the size limit."""

    code = "file_too_large"
    sentence = "This file is {size}; the limit is {limit_mb} MB. Export it smaller."

    def __init__(self, size: int, limit_mb: int) -> None:
        words = self.sentence.format(size=_size_over(size, limit_mb), limit_mb=limit_mb)
        super().__init__(words)


class Busy(Exception):
    """A limit of this client or of all clients is reached, for `retry_after` seconds."""

    code: str
    then = "There is room again in {}."

    def __init__(self, sentence: str, retry_after: int) -> None:
        super().__init__(f"{sentence} {self.then.format(write_duration(retry_after))}")
        self.retry_after = retry_after


class TooManyJobs(Busy):
    """A client exceeds its jobs of an hour."""

    code = "too_many_jobs"


class TooManyBytes(Busy):
    """A client exceeds its bytes of an hour."""

    code = "too_many_bytes"


class TooManyAttempts(Busy):
    """A client sent too many wrong tokens."""

    code = "too_many_attempts"


class TooMuchWork(Busy):
    """A client exceeds its work of an hour."""

    code = "too_much_work"


class TooManyWaiting(Busy):
    """A client exceeds its share of the queue."""

    code = "too_many_waiting"


class TooManyPacked(Busy):
    """A client exceeds its downloads of an hour, in zips and markup."""

    code = "too_many_packed"


class TooManySent(Busy):
    """A client exceeds the deliveries that it may send again in an hour."""

    code = "too_many_sent"


class TooManyTrials(Busy):
    """A client tries too many qualities at the same time."""

    code = "too_many_trials"


class NoWorkerFree(Busy):
    """No worker is there for a trial, or too many trials wait for one."""

    code = "no_worker_free"
    then = "Try again in {}."


class TrialFailed(Busy):
    """A worker could not make a trial; its log has the cause."""

    code = "trial_failed"
    then = "Try again in {}."


class KeyInUse(Busy):
    """Another request with the same idempotency key is still running."""

    code = "idempotency_key_in_use"
    then = "Try again in {}."

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still running.", 2)


class QueueFull(Busy):
    """The queue is full: another image would wait for too long."""

    code = "queue_full"


# The codes of failures where a second try can help.
MAY_PASS = {WORKER_LOST[0], NoSpace.code, TooMuchKept.code} | {
    error.code for error in ImageError.__subclasses__() if error.may_pass
}


class ClaimLost(Exception):
    """Another worker claimed the image, or its job was deleted."""


class ImageNotFound(LookupError):
    """The job has no image of this id."""

    code = "image_not_found"

    def __init__(self) -> None:
        super().__init__("This job has no such image.")


class ImageNotFailed(Exception):
    """An image is to be replaced that did not fail."""

    code = "image_not_failed"

    def __init__(self) -> None:
        super().__init__("Only a photo that failed can be replaced. Add this one to the job.")


class AltTextTooLong(ValueError):
    """An alternative text is longer than we keep."""

    code = "alt_text_too_long"
    field = "alt"

    def __init__(self, length: int) -> None:
        super().__init__(f"An alt text has at most {length} characters.")


def write_duration(seconds: int) -> str:
    """Format seconds for people, rounded up: `20 seconds`, `12 minutes`."""
    if seconds <= 90:
        return f"{seconds} seconds" if seconds != 1 else "1 second"
    return f"{ceil(seconds / 60)} minutes"


def _size_over(size: int, limit_mb: int) -> str:
    """Format bytes as `3.3 MB`, with enough digits to exceed the limit."""
    digits = next(count for count in range(1, 7) if round(size / MB, count) > limit_mb)
    return f"{size / MB:.{digits}f} MB"
