"""What requests of the API contain, and what its answers contain.

These types decode requests and encode answers, and the OpenAPI document describes them. Sizes are
in pixels, times in UTC.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from webapp.config import MAX_OUTPUTS
from webapp.jobs.models import Status
from webapp.jobs.names import ALT_LENGTH
from webapp.recipes.outputs import (
    BACKGROUND_PATTERN,
    CENTRE,
    MAX_BUDGET,
    MAX_SIDE,
    MIN_BUDGET,
    NAME_PATTERN,
    Color,
    Fit,
    RequestedFormat,
)


def says(description: str) -> Meta:
    """Describe a field in the OpenAPI document."""
    return Meta(description=description)


MAX_PAGE = 200
PageSize = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
OutputName = Annotated[
    str,
    Meta(pattern=NAME_PATTERN, description="1 to 40 lower-case letters, digits and hyphens"),
]
Background = Annotated[
    str, Meta(pattern=BACKGROUND_PATTERN, description="a colour like #ffffff, or transparent")
]
Pixels = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Point = Annotated[list[Fraction], Meta(min_length=2, max_length=2)]
Position = Annotated[int, Meta(ge=0, le=999_999)]
MIN_HOURS = 0.01  # 36 seconds: a job must be there for longer than the answer may wait.
Hours = Annotated[float, Meta(ge=MIN_HOURS)]
Quality = Annotated[int, Meta(ge=1, le=100)]
Kilobytes = Annotated[int, Meta(ge=MIN_BUDGET // 1000, le=MAX_BUDGET // 1000)]
Moment = Annotated[datetime, Meta(tz=True)]


class Output(Struct, kw_only=True, forbid_unknown_fields=True):
    """One thumbnail to make from each image. It has a width, a height or both."""

    name: Annotated[
        OutputName | None,
        says("The name of its files. Without one, it is made from the size, like `640w`."),
    ] = None
    width: Pixels | None = None
    height: Pixels | None = None
    fit: Annotated[
        Fit,
        says(
            "`contain` stays inside the box, `cover` fills it and is cropped, `pad` fills it with"
            " the background. A smaller image is not enlarged: its box is smaller."
        ),
    ] = "contain"
    format: Annotated[RequestedFormat, says("`source` is the format of the image.")] = "jpeg"
    quality: Annotated[
        Quality | None,
        says("Without one, that of the format."),
    ] = None
    max_kb: Annotated[
        Kilobytes | None,
        says("The quality is lowered until the file has at most so many kilobytes."),
    ] = None
    background: Background = "#ffffff"
    focus: Annotated[
        Literal["smart"] | Point,
        says("What a crop keeps in view: a point, in fractions of width and height, or `smart`."),
    ] = field(default_factory=lambda: list(CENTRE))
    enlarge: Annotated[bool, says("Enlarge images that are smaller.")] = False
    keep_copyright: Annotated[bool, says("Keep copyright and author of the EXIF.")] = False
    animated: Annotated[bool, says("Keep an animation, as `webp`, `gif` or `source`.")] = False
    color: Annotated[Color, says("`keep` keeps Display P3.")] = "srgb"


# Counted before they are read: the size of a body alone would allow 83,000.
PresetNames = Annotated[list[str], Meta(max_length=MAX_OUTPUTS)]
Outputs = Annotated[list[Output], Meta(max_length=MAX_OUTPUTS)]


class Recipe(Struct, kw_only=True, forbid_unknown_fields=True):
    """The outputs to make from each image: those of presets, then your own."""

    presets: Annotated[PresetNames, says("The names of presets.")] = []
    outputs: Annotated[Outputs, says("Outputs of your own.")] = []


class NewJob(Recipe, kw_only=True, forbid_unknown_fields=True):
    """A job to create.

    Without a `url` it is open, and takes images until it is closed.
    """

    url: Annotated[
        str | UnsetType,
        says("Where the server fetches the one image of the job, if its settings allow that."),
    ] = UNSET

    name: Annotated[str, says("The title of its page, and the name of its zip.")] = ""
    keep_hours: Annotated[
        Hours | UnsetType | None,
        says("How long it is kept. `null`: until you delete it, where the server allows that."),
    ] = UNSET
    callback_url: Annotated[
        str | UnsetType,
        says("Where a webhook is sent when the job is finished. It needs an API token."),
    ] = UNSET


class NewJobForm(Struct, kw_only=True):
    """A job to create, as a form.

    The fields from `width` on describe one output, with the defaults of the type `Output`. Several
    `format` make one in each.
    """

    files: Annotated[list[bytes] | UnsetType, says("The images, in fields of any names.")] = UNSET
    preset: Annotated[list[str] | UnsetType, says("The names of presets.")] = UNSET
    url: Annotated[
        str | UnsetType, says("Where the server fetches the image, instead of files.")
    ] = UNSET
    callback_url: Annotated[
        str | UnsetType,
        says("Where a webhook is sent when the job is finished. It needs an API token."),
    ] = UNSET
    recipe: Annotated[
        str | UnsetType, says('A recipe as JSON, like `{"outputs": [{"width": 640}]}`.')
    ] = UNSET
    name: Annotated[str | UnsetType, says("The title of its page, and the name of its zip.")] = (
        UNSET
    )
    keep_hours: Annotated[
        str | UnsetType, says("How long it is kept; `inf`: until you delete it.")
    ] = UNSET
    width: Annotated[Pixels | UnsetType, says("The width of an output.")] = UNSET
    height: Annotated[Pixels | UnsetType, says("The height of an output.")] = UNSET
    fit: Annotated[Fit | UnsetType, says("How it fits into its box.")] = UNSET
    format: Annotated[
        list[RequestedFormat] | UnsetType, says("Its formats; `source` is that of the image.")
    ] = UNSET
    quality: Annotated[Quality | UnsetType, says("Without one, that of the format.")] = UNSET
    max_kb: Annotated[Kilobytes | UnsetType, says("How many kilobytes it may have.")] = UNSET
    background: Background | UnsetType = UNSET
    focus: Annotated[str | UnsetType, says("`smart`, or a point like `0.3,0.7`.")] = UNSET
    color: Annotated[Color | UnsetType, says("`keep` keeps Display P3.")] = UNSET
    enlarge: Annotated[bool | UnsetType, says("Enlarge images that are smaller.")] = UNSET
    keep_copyright: Annotated[bool | UnsetType, says("Keep copyright and author.")] = UNSET
    animated: Annotated[bool | UnsetType, says("Keep an animation.")] = UNSET


class NewFetch(Struct, kw_only=True, forbid_unknown_fields=True):
    """An image that the server is to fetch."""

    url: str
    name: Annotated[
        str | None, says("The name of the file. Without one, it is that of the address.")
    ] = None
    position: Annotated[
        Position | None,
        says("The place in the job. The same address is not added again at the same place."),
    ] = None


class JobChanges(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a job. What is not given stays."""

    name: str | UnsetType = UNSET
    keep_hours: Annotated[
        Hours | UnsetType | None,
        says(
            "Keep it for so many hours from now; a longer time stays. `null`: until you delete it."
        ),
    ] = UNSET
    presets: PresetNames | UnsetType = UNSET
    outputs: Outputs | UnsetType = UNSET
    focal_point: Annotated[
        Point | UnsetType | None,
        says("What crops of all images keep in view. `null` leaves it to the recipe."),
    ] = UNSET


class ImageChanges(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of an image. What is not given stays."""

    focal_point: Annotated[
        Point | UnsetType | None,
        says("What crops keep in view. `null` leaves it to the recipe."),
    ] = UNSET
    alt: Annotated[
        Annotated[str, Meta(max_length=ALT_LENGTH)] | UnsetType,
        says("The alternative text in markup. If it is empty, the name is used."),
    ] = UNSET


class Counts(Struct, kw_only=True):
    """The number of images in each status."""

    waiting: int
    working: int
    done: int
    failed: int
    cancelled: int
    total: int


class Thumbnail(Struct, kw_only=True):
    """One file made from an image."""

    output: str
    url: str
    width: int
    height: int
    bytes: int
    format: str
    quality: Annotated[int | None, says("`null` where the format is lossless.")]


class Reason(Struct, kw_only=True):
    """Why something failed."""

    code: str
    detail: str


class Image(Struct, kw_only=True):
    """One image of a job. If it is not done, its thumbnails are those from before."""

    id: str
    url: str
    number: Annotated[int, says("Its place in the job, from 1.")]
    position: Annotated[int, says("The place that its sender gave it.")]
    name: str
    bytes: int
    format: str
    width: Annotated[int, says("As it is seen, after its orientation is applied.")]
    height: int
    status: Status
    error: Annotated[Reason | None, says("Of an image that failed.")]
    focal_point: Annotated[Point | None, says("As you chose it.")]
    found_point: Annotated[Point | None, says("Where the server found the detail.")]
    alt: str
    had_gps: Annotated[bool, says("Whether it contained a location. No thumbnail does.")]
    thumbhash: Annotated[str | None, says("A placeholder, in base64.")]
    color: Annotated[str | None, says("The average colour, as `#rrggbb`.")]
    is_reused: Annotated[
        bool, says("Whether its thumbnails were there: you sent the same bytes before.")
    ]
    thumbnails: list[Thumbnail]


class Fetch(Struct, kw_only=True):
    """An image that the server fetches.

    Its address is told to no one: it may be a secret.
    """

    id: str
    position: int
    name: str
    status: Status
    error: Annotated[Reason | None, says("Why it is not in the job.")]
    image_id: Annotated[str | None, says("Of the image that it became.")]


class MissingFile(Struct, kw_only=True):
    """A file that was meant for a job and is not in it."""

    name: str
    reason: str


class JobLinks(Struct, kw_only=True):
    """The addresses of a job."""

    job: str
    page: Annotated[str, says("The page for people.")]
    images: Annotated[str, says("Where images are added.")]
    zip: str
    manifest: str
    markup: str


class JobSummary(Struct, kw_only=True):
    """A job without its images."""

    id: str
    title: Annotated[str, says("The name that you gave it, or that its images give it.")]
    name: str | None
    status: Annotated[
        Status,
        says(
            "`failed` if an image failed, else `done` if one is done, else `cancelled`; before its"
            " end, `working`, or `waiting` if work has not begun."
        ),
    ]
    is_open: Annotated[bool, says("Whether it takes more images.")]
    is_finished: Annotated[bool, says("Whether it is closed and no image waits or is worked on.")]
    created: Moment
    expires: Annotated[Moment | None, says("`null`: it is kept until you delete it.")]
    counts: Counts
    links: JobLinks


class Job(JobSummary, kw_only=True):
    """A job with its images and their thumbnails."""

    recipe: list[Output]
    images: list[Image]
    fetches: Annotated[list[Fetch], says("Images that the server fetches, or did.")]
    missing_files: list[MissingFile]


class JobPage(Struct, kw_only=True):
    """Your jobs, newest first. The header `Link` has the next page."""

    jobs: list[JobSummary]
    next: Annotated[str | None, says("The address of the next page.")]


class DeliveryTry(Struct, kw_only=True):
    """One request of a webhook, and what came of it."""

    began: datetime
    ms: Annotated[int, says("How long it took.")]
    answer: Annotated[int | None, says("The status of the answer; `null` if there was none.")]
    error: Annotated[Reason | None, says("`null` if it was delivered.")]


class Delivery(Struct, kw_only=True):
    """A webhook that is sent until its receiver takes it."""

    id: Annotated[str, says("The `webhook-id` of all its tries.")]
    type: str
    created: datetime
    status: Literal["waiting", "sending", "delivered", "failed", "stopped"]
    next_try: Annotated[datetime | None, says("`null` unless it waits.")]
    tries: list[DeliveryTry]


class Deliveries(Struct, kw_only=True):
    """The webhooks of a job, newest first."""

    callback_url: Annotated[str | None, says("`null`: the job has no webhooks.")]
    is_stopped: Annotated[bool, says("Whether the receiver answered 410: it wants no more.")]
    deliveries: list[Delivery]


class Preset(Struct, kw_only=True):
    """A named recipe."""

    name: str
    title: str
    description: str
    outputs: list[Output]


class Presets(Struct, kw_only=True):
    """The presets that the limits of this server allow."""

    presets: list[Preset]


class Formats(Struct, kw_only=True):
    """The formats that are read and written."""

    reads: list[str]
    writes: list[str]


class Limits(Struct, kw_only=True):
    """The limits of this server."""

    max_file_mb: int
    max_request_mb: int
    max_images: Annotated[int, says("Images of a job.")]
    max_megapixels: Annotated[float, says("Of a JPEG or PNG.")]
    max_megapixels_other: Annotated[float, says("Of any other format.")]
    max_outputs: int
    max_side: Annotated[int, says("Pixels of the longer side of an output.")]
    max_output_megapixels: Annotated[float, says("Of all outputs of an image together.")]
    max_jobs_per_hour: int
    max_mb_per_hour: int
    retention_hours: float
    max_retention_hours: float
    can_keep_until_deleted: bool
    max_wait_seconds: int


class FieldError(Struct, kw_only=True, omit_defaults=True):
    """One field that is wrong."""

    detail: str
    pointer: Annotated[str, says("A JSON pointer, as `#/outputs/0/width`.")]


class ProblemDetails(Struct, kw_only=True):
    """An error (RFC 9457)."""

    type: Annotated[str, says("The address of words about this error.")]
    title: str
    status: int
    detail: Annotated[str, says("A sentence for people.")]
    instance: Annotated[str, says("The id of the request, as in the log of the server.")]
    code: Annotated[str, says("What a program tells errors apart by.")]
    errors: Annotated[list[FieldError] | UnsetType, says("Every field that is wrong.")] = UNSET


class FinishedCounts(Counts, kw_only=True, forbid_unknown_fields=True):
    """The number of images in each status, and of files that are not in the job."""

    missing: int


class FinishedLinks(Struct, kw_only=True, forbid_unknown_fields=True):
    """The addresses of a finished job."""

    job: str
    page: str
    zip: str


class FinishedJob(Struct, kw_only=True, forbid_unknown_fields=True):
    """A job whose images are all done, failed or cancelled."""

    id: str
    title: str
    name: str | None
    status: Status
    created: Moment
    expires: Annotated[Moment | None, says("`null`: it is kept until you delete it.")]
    counts: FinishedCounts
    links: FinishedLinks


class JobFinished(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a webhook tells of a finished job."""

    type: Literal["job.finished"]
    timestamp: Moment
    data: FinishedJob


# Of bodies of requests: in the OpenAPI document, and in the lines for curl on the page /docs.
EXAMPLES: dict[type[Struct], dict[str, Any]] = {
    NewJob: {"presets": ["square"], "outputs": [{"width": 640, "format": "webp"}]},
    NewJobForm: {"preset": ["square"]},
    Recipe: {"outputs": [{"width": 320, "height": 320, "fit": "cover"}]},
    JobChanges: {"name": "Holidays", "keep_hours": 48},
    NewFetch: {"url": "https://example.com/photo.jpg"},
    ImageChanges: {"alt": "A balloon over the sea", "focal_point": [0.5, 0.3]},
}
