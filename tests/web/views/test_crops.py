"""The crops page of a job."""

import pytest

from tests.support.images import make_corners, make_jpeg, make_truncated
from tests.support.jobs import id_of, job_at, url_of, work
from tests.support.pages import Page
from tests.support.people import Person
from webapp.exports.crops import PAGE_LENGTH
from webapp.jobs.lifecycle import Jobs

PHOTO = make_jpeg(image=make_corners((400, 200)))
PORTRAIT = make_jpeg(size=(200, 400))


@pytest.fixture
def path(person: Person, jobs: Jobs) -> str:
    """Return the path of a job of two images whose crops are made."""
    path = person.submit(PHOTO, PORTRAIT, presets=["avatar", "card", "web-set"])
    work(jobs)
    return path


def move(path: str, image_id: str) -> str:
    """Return the address to which the crops page sends the point of an image."""
    return f"{path}/images/{image_id}/focus?crops="


def click(person: Person, jobs: Jobs, path: str, x: int, y: int, image: int = 0) -> None:
    """Click on a whole photo, as a browser without script sends it."""
    image_id = job_at(jobs, path).images[image].id
    fields = {"point.x": str(x), "point.y": str(y), "x": "", "y": ""}
    assert person.post(move(path, image_id), **fields).status_code == 303


def test_page_shows_each_crop_of_each_photo(person: Person, jobs: Jobs, path: str) -> None:
    page = person.page(f"{path}/crops")
    made = {
        url_of(one)
        for image in job_at(jobs, path).images
        for one in image.thumbnails
        if one.output in ("avatar", "card")
    }
    assert set(page.values(".made", "src")) == made
    assert page.texts(".photo h2") == ["1.jpg", "2.jpg"]
    assert [int(page.value(f"li:nth-child({n}) .point", "width")) for n in (1, 2)] == [256, 128]


def test_pictures_of_the_page_are_small_and_lazy(person: Person, path: str) -> None:
    page = person.page(f"{path}/crops")
    assert {one.attributes.get("loading") for one in page.all("main img, .point")} == {"lazy"}
    assert all("/original" not in address for address in page.values("[src]", "src"))


def test_click_on_a_photo_moves_its_point_without_script(
    person: Person, jobs: Jobs, path: str
) -> None:
    before = {made.path for made in job_at(jobs, path).thumbnails}
    click(person, jobs, path, 191, 31)
    first, second = job_at(jobs, path).images
    assert first.focal_point == pytest.approx((0.75, 0.25), abs=0.005)
    assert second.focal_point is None
    work(jobs)
    new = [made for made in job_at(jobs, path).thumbnails if made.path not in before]
    assert {(made.image_id, made.output) for made in new} <= {
        (first.id, "avatar"),
        (first.id, "card"),
    }
    assert new


@pytest.mark.parametrize("far", ["99999", "9" * 400])
def test_click_outside_a_photo_is_one_on_its_edge(
    person: Person, jobs: Jobs, path: str, far: str
) -> None:
    image_id = job_at(jobs, path).images[0].id
    for x, y, point in (("50", f"-{far}", (0.2, 0)), (far, "64", (1, 0.5))):
        fields = {"point.x": x, "point.y": y, "x": "", "y": ""}
        assert person.post(move(path, image_id), **fields).status_code == 303
        image = job_at(jobs, path).images[0]
        assert image.focal_point == pytest.approx(point, abs=0.005)
    work(jobs)
    assert job_at(jobs, path).images[0].is_done


def test_key_on_a_photo_uses_the_fields(person: Person, jobs: Jobs, path: str) -> None:
    image = job_at(jobs, path).images[0]
    fields = {"point.x": "0", "point.y": "0", "x": "0.2", "y": "0.3"}
    person.post(move(path, image.id), **fields)
    assert job_at(jobs, path).images[0].focal_point == (0.2, 0.3)
    fields = {"point.x": "0", "point.y": "0", "x": "", "y": ""}
    assert person.post(move(path, image.id), **fields).status_code == 303
    assert job_at(jobs, path).images[0].focal_point == (0.2, 0.3)  # Nothing was said.


def test_words_and_fields_of_a_point_say_the_same(person: Person, jobs: Jobs, path: str) -> None:
    image = job_at(jobs, path).images[0]
    person.post(move(path, image.id), x="0.29", y="0.58")
    page = person.page(f"{path}/crops")
    assert page.values("#focus-1 [type=number]") == ["0.29", "0.58"]
    words = "Crop point, 29 % from the left, 58 % from the top"
    assert page.values(".point", "aria-label")[0] == f"1.jpg. {words}"


def test_undo_restores_the_point_before(person: Person, jobs: Jobs, path: str) -> None:
    image = job_at(jobs, path).images[0]
    answer = person.post(move(path, image.id), x="0.2", y="0.3")
    assert person.page(answer.location).values("[name=undone]", "value") == [""]
    answer = person.post(move(path, image.id), x="0.9", y="0.9")
    point = person.page(answer.location).value("[name=undone]")
    answer = person.post(move(path, image.id), undone=point, x="0.90", y="0.90")
    assert job_at(jobs, path).images[0].focal_point == (0.2, 0.3)
    assert person.page(answer.location).all("[name=undone]") == []
    person.post(move(path, image.id), undone="")
    assert job_at(jobs, path).images[0].focal_point is None


def test_only_the_last_move_can_be_undone(person: Person, jobs: Jobs, path: str) -> None:
    first, second = job_at(jobs, path).images
    answer = person.post_by_htmx(move(path, first.id), x="0.2", y="0.3", v="-1")
    version, undo = Page(answer.text).values("#crops-poll input", "value")
    fields = {"v": version, "undo": undo, "x": "0.4", "y": "0.4"}
    page = Page(person.post_by_htmx(move(path, second.id), **fields).text)
    assert page.values(".photo", "id") == [f"photo-{first.id}", f"photo-{second.id}"]
    assert page.values("[name=undone]", "aria-label") == ["Undo, 2.jpg"]
    answer = person.post(move(path, first.id), x="0.5", y="0.5")
    assert answer.location.count("undo=") == 1


def test_poll_sends_only_the_photos_that_changed(person: Person, jobs: Jobs, path: str) -> None:
    image = job_at(jobs, path).images[1]
    version = person.page(f"{path}/crops").value("#crops-poll [name=v]")
    answer = person.post_by_htmx(move(path, image.id), x="1", y="1", v=version)
    page = Page(answer.text)
    assert page.values(".photo", "id") == [f"photo-{image.id}"]
    poll = f"{page.polled()}&v={page.value('#crops-poll [name=v]')}"
    assert person.get(poll).status_code == 204
    work(jobs)
    undo = page.value("[name=undo]")
    assert page.values("[name=undone]", "aria-label") == ["Undo, 2.jpg"]
    page = person.page(f"{poll}&undo={undo}")
    assert page.values(".photo", "id") == [f"photo-{image.id}"]
    assert page.polled() is None
    assert page.values("[name=undo]") == [undo]


def test_photo_that_is_being_made_says_so(person: Person, jobs: Jobs) -> None:
    path = person.submit(PHOTO, make_truncated(), presets="avatar")
    page = person.page(f"{path}/crops")
    assert page.texts(".photo .fact") == ["Being made", "Being made"]
    assert page.polled()
    work(jobs)
    page = person.page(f"{path}/crops")
    (failed,) = page.texts(".photo .fact")
    assert failed.startswith("Failed: ")
    assert page.polled() is None


def test_crops_of_many_photos_have_pages(person: Person, jobs: Jobs) -> None:
    path = person.submit(*[PORTRAIT] * (PAGE_LENGTH + 1), presets="avatar")
    last = job_at(jobs, path).images[-1]
    page = person.page(f"{path}/crops")
    assert len(page.all(".photo")) == PAGE_LENGTH
    for address in (page.value("[rel=next]", "href"), f"{path}/crops?of={last.id}"):
        second = person.page(address)
        assert second.values(".photo", "id") == [f"photo-{last.id}"]
        assert "page=1" in second.value("[rel=prev]", "href")
    assert len(person.page(f"{path}/crops?page=-3").all(".photo")) == PAGE_LENGTH


def test_job_without_crops_has_none_to_check(person: Person, jobs: Jobs) -> None:
    path = person.submit(PHOTO, presets="web-set")
    work(jobs)
    assert "No size of this job is cropped." in person.page(f"{path}/crops").text("main")


def test_only_the_owner_sees_the_crops_and_moves_points(
    person: Person, stranger: Person, jobs: Jobs, path: str
) -> None:
    image = job_at(jobs, path).images[0]
    assert stranger.get(f"{path}/crops").status_code == 403
    assert stranger.get(f"{path}/crops/changes").status_code == 403
    assert stranger.post(move(path, image.id), x="1", y="1").status_code == 403


def test_crops_page_of_a_deleted_job_is_replaced(person: Person, jobs: Jobs, path: str) -> None:
    jobs.delete(id_of(path))
    answer = person.get(f"{path}/crops/changes?v=1")
    assert answer.status_code == 200
    assert "This job is gone" in answer.text
