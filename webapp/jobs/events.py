"""Log lines of jobs that several modules write."""

import logging

from webapp.jobs.models import NewImage

logger = logging.getLogger(__name__)


def log_accepted(job_id: str, image: NewImage) -> None:
    """Log an image that was added to a job."""
    facts = {"file_name": image.name, "format": image.format, "bytes": image.bytes}
    logger.info("image accepted", extra={"job_id": job_id, "image_id": image.id, **facts})


def log_deleted(job_id: str) -> None:
    """Log the deletion of a job."""
    logger.info("job deleted", extra={"job_id": job_id})


def log_deleted_with_undo(job_id: str) -> None:
    """Log that the owner of a job deleted it."""
    logger.info("job deleted, with undo", extra={"job_id": job_id})


def log_restored(job_id: str) -> None:
    """Log that a deleted job is restored."""
    logger.info("job restored", extra={"job_id": job_id})


def log_reused(job_id: str, image_id: str, made_of: str) -> None:
    """Log an image that is done at once, with the thumbnails of another one."""
    facts = {"job_id": job_id, "image_id": image_id, "made_of": made_of}
    logger.info("image reused", extra=facts)


def log_failed(job_id: str, image_id: str, code: str) -> None:
    """Log a failure that no worker saw."""
    logger.error("image failed", extra={"job_id": job_id, "image_id": image_id, "code": code})
