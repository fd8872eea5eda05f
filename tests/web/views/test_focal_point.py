"""Choose the focal point of an image."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.support.images import make_corners, make_jpeg, make_picture
from tests.support.jobs import job_at, url_of, work
from tests.support.pages import Page
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs


def test_focal_point_moves_the_crops(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(image=make_corners((400, 200))), presets="avatar")
    work(jobs)
    colors = []
    for x in ("0", "1"):
        (image,) = job_at(jobs, path).images
        action = f"{path}/images/{image.id}/focus"
        assert person.post(action, x=x, y="0.5").status_code == 303
        work(jobs)
        (made,) = job_at(jobs, path).images[0].thumbnails
        picture = Image.open(BytesIO(person.get(url_of(made)).data)).convert("RGB")
        colors.append(picture.getpixel((10, 10)))
    assert [_nearest(color) for color in colors] == ["left", "right"]


def test_cleared_focal_point_restores_the_crops(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(image=make_corners((400, 200))), presets="avatar")
    focus = f"{path}/images/{job_at(jobs, path).images[0].id}/focus"
    made = []
    for action, fields in ((focus, {"x": "1", "y": "0.5"}), (focus, {"automatic": ""})):
        work(jobs)
        made.append(person.get(url_of(job_at(jobs, path).thumbnails[0])).data)
        assert person.post(action, **fields).status_code == 303
    work(jobs)
    made.append(person.get(url_of(job_at(jobs, path).thumbnails[0])).data)
    assert made[0] == made[2] != made[1]


def test_way_back_to_automatic_is_sent_with_a_focal_point(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    work(jobs)
    page = f"{path}/images/{job_at(jobs, path).images[0].id}"
    kinds = []
    for action, fields in (("focus", {"x": "1", "y": "0"}), ("focus", {"automatic": ""}), ("", {})):
        kinds.append(person.page(page).value("#automatic", "type"))
        person.post(f"{page}/{action}", **fields)
    assert kinds == ["reset", "submit", "reset"]


def test_fields_are_empty_while_the_crops_are_automatic(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    work(jobs)
    page = f"{path}/images/{job_at(jobs, path).images[0].id}"
    assert person.page(page).values("#focus input[type=number]") == ["", ""]
    person.post(f"{page}/focus", x="1", y="0.25")
    assert person.page(page).values("#focus input[type=number]") == ["1.00", "0.25"]


def test_outlines_show_what_the_crops_keep(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 200)), presets="avatar")
    work(jobs)
    page = f"{path}/images/{job_at(jobs, path).images[0].id}"
    person.post(f"{page}/focus", x="1", y="0.25")
    assert outline_of(person, page) == ["50.0%", "0.0%", "50.0%", "100.0%"]


def outline_of(person: Person, page: str) -> list[str | None]:
    outline = person.page(page).one(".mark")
    return [outline.attributes[side] for side in ("x", "y", "width", "height")]


def test_outlines_of_automatic_crops_show_what_these_keep(person: Person, jobs: Jobs) -> None:
    photo = Image.new("RGB", (400, 200), "grey")
    photo.paste(make_picture(size=(80, 200)), (320, 0))
    path = person.submit(make_jpeg(image=photo), presets="avatar")
    work(jobs)
    page = f"{path}/images/{job_at(jobs, path).images[0].id}"
    automatic = outline_of(person, page)
    assert automatic == ["50.0%", "0.0%", "50.0%", "100.0%"]
    person.post(f"{page}/focus", x="0", y="0")
    work(jobs)
    person.post(f"{page}/focus", automatic="")  # Nothing is decoded for it: the crops are there.
    work(jobs)
    assert outline_of(person, page) == automatic
    assert "unset" in person.page(page).value(".marks", "class")


def test_htmx_gets_the_panel_for_a_new_focal_point(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets=["avatar", "web-set"])
    work(jobs)
    page = f"{path}/images/{job_at(jobs, path).images[0].id}"
    for action, fields in (("focus", {"x": "1", "y": "0"}), ("focus", {"automatic": ""})):
        answer = person.post_by_htmx(f"{page}/{action}", after="avatar.webp", **fields)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        panel = Page(answer.text)
        assert panel.value("#image-panel", "data-state") == "waiting"
        assert panel.value("[name=after][checked]") == "avatar.webp"


def test_htmx_gets_the_reason_as_json(person: Person) -> None:
    path = person.submit(make_jpeg())
    image_id = person.page(path).value(".frame", "id").removeprefix("image-")
    answer = person.post_by_htmx(f"{path}/images/{image_id}/focus", x="", y="")
    assert answer.status_code == 422
    assert (answer.json or {})["detail"] == "The crop point must be two numbers from 0 to 1."


def test_only_the_owner_sets_the_focal_point(person: Person, stranger: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    focus = f"{path}/images/{job_at(jobs, path).images[0].id}/focus"
    person.post(focus, x="1", y="0")
    for fields in ({"x": "0", "y": "0"}, {"automatic": ""}):
        assert stranger.post(focus, **fields).status_code == 403
    assert job_at(jobs, path).images[0].focal_point == (1, 0)


def _nearest(color: Any) -> str:
    """Return the half of make_corners that a colour of the upper row is in."""
    return "left" if color[0] > color[1] else "right"


@pytest.mark.parametrize(("x", "y"), [("", "0.5"), ("-1", "0"), ("0.5", "1.01"), ("nan", "0")])
def test_focal_point_outside_the_image_is_refused(person: Person, x: str, y: str) -> None:
    path = person.submit(make_jpeg())
    image_id = person.page(path).value(".frame", "id").removeprefix("image-")
    answer = person.post(f"{path}/images/{image_id}/focus", x=x, y=y)
    assert answer.status_code == 422
    assert "<p>The crop point must be two numbers from 0 to 1.</p>" in answer.text


@pytest.mark.parametrize(
    ("preset", "is_asked"), [("avatar", True), ("web-set", False), ("square", False)]
)
def test_crop_point_is_offered_for_cropped_outputs_only(
    person: Person, stranger: Person, jobs: Jobs, preset: str, is_asked: bool
) -> None:
    path = person.submit(make_jpeg(), presets=preset)
    work(jobs)
    image = job_at(jobs, path).images[0]
    address = f"{path}/images/{image.id}"
    assert ("Crop point" in person.get(address).text) == is_asked
    assert "Crop point" not in stranger.get(address).text


def test_overview_is_shown_to_the_owner_but_is_no_thumbnail(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg(size=(1600, 800)), presets="avatar")
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert [made.file_name for made in image.thumbnails] == ["avatar.webp"]
    assert image.overview
    assert (image.overview.width, image.overview.height) == (640, 320)
    assert person.get(url_of(image.overview)).status_code == 200
    assert url_of(image.overview) in person.get(f"{path}/images/{image.id}").text
    assert url_of(image.overview) in person.get(path).text
    assert url_of(image.overview) not in stranger.get(path).text


def test_overview_is_a_thumbnail_that_shows_the_whole_image(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets=["avatar", "web-set"])
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert image.overview in image.thumbnails
