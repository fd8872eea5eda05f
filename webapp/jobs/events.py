"""Log lines of jobs."""

import logging

from webapp.jobs.models import NewImage

logger = logging.getLogger(__name__)


def _log_accepted(job_id: str, image: NewImage) -> None:
    facts = {"file_name": image.name, "format": image.format, "bytes": image.bytes}
    logger.info("image accepted", extra={"job_id": job_id, "image_id": image.id, **facts})


def _log_failed(job_id: str, image_id: str, code: str) -> None:
    """Log a failure that no worker saw."""
    logger.error("image failed", extra={"job_id": job_id, "image_id": image_id, "code": code})
