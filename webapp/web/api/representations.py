"""Describe jobs and images in the types of the API."""

from collections.abc import Iterable
from typing import Any

from webapp.exports.markup import alt_text
from webapp.jobs import models
from webapp.jobs.deliveries import Callback, Delivery
from webapp.recipes.outputs import Recipe
from webapp.web.addresses import current_origin
from webapp.web.api import schemas
from webapp.web.api.recipes import describe_recipe


def describe_job(job: models.Job, fetches: Iterable[models.Fetch]) -> schemas.Job:
    """Describe a job with its images and fetches."""
    origin = current_origin()
    return schemas.Job(
        **_summarize(job, origin),
        recipe=describe_recipe(Recipe.from_json(job.recipe)),
        images=[_describe_image(image, origin) for image in job.images],
        fetches=[describe_fetch(fetch) for fetch in fetches],
        missing_files=[
            schemas.MissingFile(name=file.name, reason=file.reason) for file in job.missing_files
        ],
    )


def describe_fetch(fetch: models.Fetch) -> schemas.Fetch:
    """Describe an image that the server fetches."""
    return schemas.Fetch(
        id=fetch.id,
        position=fetch.position,
        name=fetch.shown_name,
        status=fetch.status,
        error=(
            schemas.Reason(code=fetch.error_code, detail=fetch.error_message or "")
            if fetch.error_code
            else None
        ),
        image_id=fetch.image_id,
    )


def describe_deliveries(callback: Callback | None) -> schemas.Deliveries:
    """Describe the webhooks of a job."""
    if callback is None:
        return schemas.Deliveries(callback_url=None, is_stopped=False, deliveries=[])
    return schemas.Deliveries(
        callback_url=callback.url,
        is_stopped=callback.is_stopped,
        deliveries=[_describe_delivery(one) for one in callback.deliveries],
    )


def _describe_delivery(delivery: Delivery) -> schemas.Delivery:
    return schemas.Delivery(
        id=delivery.id,
        type=delivery.type,
        created=delivery.created,
        status=delivery.status,
        next_try=delivery.next_try,
        tries=[
            schemas.DeliveryTry(
                began=one.began,
                ms=one.ms,
                answer=one.answer,
                error=(
                    schemas.Reason(code=one.error_code, detail=one.error_message or "")
                    if one.error_code
                    else None
                ),
            )
            for one in delivery.tries
        ],
    )


def summarize_job(job: models.NamedJob) -> schemas.JobSummary:
    """Describe a job of a list."""
    return schemas.JobSummary(**_summarize(job, current_origin()))


def describe_image(image: models.Image) -> schemas.Image:
    """Describe an image with its thumbnails."""
    return _describe_image(image, current_origin())


def job_url(job_id: str) -> str:
    """Return the absolute URL of a job in the API."""
    return f"{current_origin()}/api/v1/jobs/{job_id}"


def _summarize(job: models.Job | models.NamedJob, origin: str) -> dict[str, Any]:
    url = job_url(job.id)
    counts = job.counts
    return {
        "id": job.id,
        "title": job.title,
        "name": job.name,
        "status": job.status,
        "is_open": job.is_receiving,
        "is_finished": job.is_finished,
        "created": job.created,
        "expires": job.expires,
        "counts": schemas.Counts(
            waiting=counts.waiting,
            working=counts.working,
            done=counts.done,
            failed=counts.failed,
            cancelled=counts.cancelled,
            total=counts.total,
        ),
        "links": schemas.JobLinks(
            job=url,
            page=f"{origin}/jobs/{job.id}",
            images=f"{url}/images",
            zip=f"{url}/thumbnails.zip",
            manifest=f"{url}/manifest.json",
            markup=f"{url}/markup",
        ),
    }


def _describe_image(image: models.Image, origin: str) -> schemas.Image:
    return schemas.Image(
        id=image.id,
        url=f"{job_url(image.job_id)}/images/{image.id}",
        number=image.number,
        position=image.position,
        name=image.name,
        bytes=image.bytes,
        format=image.format,
        width=image.width,
        height=image.height,
        status=image.status,
        error=(
            schemas.Reason(code=image.error_code or "", detail=image.error_message or "")
            if image.is_failed
            else None
        ),
        focal_point=image.focal_point and list(image.focal_point),
        found_point=image.found_point and list(image.found_point),
        alt=alt_text(image),
        had_gps=bool(image.had_gps),
        thumbhash=image.thumbhash,
        color=image.color,
        is_reused=bool(image.is_reused),
        thumbnails=[
            schemas.Thumbnail(
                output=made.output,
                url=f"{origin}/thumbnails/{made.path}",
                width=made.width,
                height=made.height,
                bytes=made.bytes,
                format=made.format,
                quality=made.quality,
            )
            for made in image.thumbnails
        ],
    )
