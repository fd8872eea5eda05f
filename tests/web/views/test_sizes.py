"""What each photo becomes, before it is sent: drawn sizes, counts and words."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.app import running_app
from tests.support.images import make_jpeg, make_png
from tests.support.jobs import file_names, job_at, work
from tests.support.pages import Page
from tests.support.people import Person, Script
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs

OWN = {"outputs-0-width": "800", "outputs-0-height": "400", "outputs-0-format": "webp"}
CROP = {**OWN, "outputs-0-fit": "cover"}


def drawn(script: Script, photos: str = "", *, selected: str = "", **fields: Any) -> Page:
    """Ask for the sizes that a form means, as the script of the upload page does."""
    answer = script.send("/sizes", **{"photos": photos, "selected": selected, **fields})
    assert answer.status_code == 200
    assert answer.json is not None
    return Page(answer.json["parts"])


def make_words(page: Page) -> str:
    return page.text("#make-words")


# The drawn sizes


def test_sizes_are_on_the_page_before_any_script_runs(person: Person) -> None:
    page = person.page("/?preset=web-set&preset=card&w=100&h=100&fit=pad&format=png")
    assert page.text("#becomes h2") == "Each photo becomes 10 files"
    assert page.texts(".print b") == ["Card", "Your own", "1920", "1280", "640", "320"]
    assert page.texts(".print-group h3") == [
        "Crops · WebP",
        "Whole photo on a colour · PNG",
        "Whole photo · WebP + JPEG",
    ]
    assert all("/samples/small/" in href for href in page.values(".print image", "href"))


def test_crops_have_one_height_and_whole_photos_one_scale(script: Script) -> None:
    page = drawn(script, presets=["card", "avatar", "web-set"])
    heights = [float(em.removesuffix("em")) for em in page.values(".print-picture", "height")]
    widths = [float(em.removesuffix("em")) for em in page.values(".print-picture", "width")]
    assert heights[:2] == [1, 1]
    assert [width / widths[2] for width in widths[2:]] == pytest.approx(
        [1, 1280 / 1920, 640 / 1920, 320 / 1920], abs=0.001
    )


def test_photo_is_cropped_or_fitted_in_the_shape_of_a_size(script: Script) -> None:
    ratios = {}
    for fit in ("cover", "pad", "contain"):
        page = drawn(script, **{**OWN, "outputs-0-fit": fit})
        ratios[fit] = page.value(".print image", "preserveAspectRatio")
        assert page.value(".print-picture", "viewBox") == "0 0 800 400"
    assert ratios == {
        "cover": "xMidYMid slice",
        "pad": "xMidYMid meet",
        "contain": "xMinYMax meet",
    }


def test_drawing_has_the_same_size_for_every_photo(script: Script) -> None:
    def sizes(photo: str) -> list[str]:
        page = drawn(script, selected=photo, presets=["card", "web-set"])
        return [*page.values(".print-picture", "width"), *page.values(".print-picture", "height")]

    assert sizes("4000x3000 jpeg") == sizes("30x4000 png") == sizes("?")


def test_selected_photo_is_drawn_in_its_sizes(script: Script) -> None:
    page = drawn(script, selected="2000x3000 jpeg", presets="web-set")
    assert page.text("#becomes-title") == "See it before you send it"
    assert page.texts(".print-size") == ["1920 × 2880", "1280 × 1920", "640 × 960", "320 × 480"]
    assert page.all(".print image[href]") == []  # The script has the picture.


def test_size_larger_than_the_photo_is_marked(script: Script) -> None:
    page = drawn(script, selected="400x300 jpeg", presets="card")
    assert page.texts(".print-size") == ["400 × 225"]
    assert page.texts(".print-small") == ["photo is smaller"]


def test_size_of_ones_own_can_be_enlarged(script: Script) -> None:
    page = drawn(script, selected="200x200 jpeg", **CROP)
    assert page.texts(".print-size") == ["200 × 100"]
    assert page.value(".print-enlarge", "data-box") == "outputs-0-enlarge"
    page = drawn(script, selected="200x200 jpeg", **CROP, **{"outputs-0-enlarge": "y"})
    assert page.texts(".print-size") == ["800 × 400"]
    assert page.texts(".print-small") == [""]


def test_width_that_would_be_a_copy_is_left_out(script: Script) -> None:
    page = drawn(script, selected="700x500 jpeg", presets="web-set")
    assert page.texts(".print-size") == ["1920 × 1371", "700 × 500", "640 × 457", "320 × 229"]
    assert page.texts(".print-small") == ["left out", "photo is smaller", "", ""]


def test_photo_that_browsers_cannot_decode_is_drawn_as_asked(script: Script) -> None:
    page = drawn(script, selected="?", presets=["card", "web-set"])
    assert page.texts(".print-size") == ["640 × 360", "", "", "", ""]
    assert page.texts(".print-small") == [""] * 5


def test_crop_around_detail_has_a_note(script: Script) -> None:
    assert not drawn(script, presets="card").all("#becomes-note[hidden]")
    assert drawn(script, presets="square").all("#becomes-note[hidden]")


# Words and counts


@pytest.mark.parametrize(
    ("photos", "presets", "price", "button"),
    [
        ("", [], "0 files for each photo", "Make thumbnails"),
        ("", ["web-set"], "8 files for each photo", "Make thumbnails"),
        ("9x9", ["square"], "1 photo × 1 = 1 file", "Make 1 thumbnail"),
        ("9x9,9x9", ["card", "square"], "2 photos × 2 = 4 files", "Make 4 thumbnails"),
        ("?", ["card"], "1 photo × 1 = 1 file", "Make 1 thumbnail"),
        ("?", ["web-set"], "1 photo × 8 = 8 files", "Make up to 8 thumbnails"),
        (
            "4000x3000," * 200,
            ["web-set"],
            "200 photos × 8 = 1,600 files",
            "Make 1,600 thumbnails",
        ),
    ],
)
def test_files_are_counted_in_words(
    script: Script, photos: str, presets: list[str], price: str, button: str
) -> None:
    page = drawn(script, photos, presets=presets)
    assert page.text("#price") == price
    assert make_words(page) == button


def test_form_without_sizes_asks_for_one(script: Script) -> None:
    page = drawn(script, presets=[])
    assert page.text("#becomes-title") == "Tick a size to see it here"
    assert page.all(".print") == []


def test_small_photo_is_named_with_what_is_left_out(script: Script) -> None:
    page = drawn(script, "2000x3000,700x500", presets="web-set")
    assert page.value("#price-note bdi", "data-photo") == "1"
    assert "is small: 2 of its files would be copies and are left out." in page.text("#price-note")
    page = drawn(script, "700x500,700x500", presets="web-set")
    assert page.text("#price-note").startswith("2 photos are small: 4 of their files")
    assert drawn(script, "2000x3000", presets="web-set").all("#price-note[hidden]")


PHOTOS = {
    "small.jpg": make_jpeg(size=(300, 200)),
    "high.png": make_png(size=(500, 1400)),
    "wide.jpg": make_jpeg(size=(1500, 100)),
    "turned.jpg": make_jpeg(size=(300, 700), orientation=6),
}
SHAPES = "300x200 jpeg,500x1400 png,1500x100 jpeg,300x700 jpeg"
RECIPES: dict[str, dict[str, Any]] = {
    "presets": {"presets": ["square", "avatar", "card", "social", "web-set"]},
    "format of the photo": {
        "presets": "web-set",
        **{"outputs-0-width": "640", "outputs-0-format": ["webp", "jpeg", "source"]},
    },
    "widths twice": {
        "presets": "web-set",
        **{"outputs-0-width": "320", "outputs-0-format": ["webp", "avif"]},
        **{"responsive-widths": "320 5 4000", "responsive-formats": ["webp", "png"]},
    },
    "height, enlarged": {
        "outputs-0-height": "900",
        **{"outputs-0-format": "jpeg", "outputs-0-enlarge": "y"},
        **{"outputs-1-height": "900", "outputs-1-format": "jpeg"},
        **{"outputs-2-height": "800", "outputs-2-format": "jpeg"},
    },
    "quality": {
        **{"outputs-0-width": "640", "outputs-0-format": "jpeg", "outputs-0-quality": "50"},
        **{"outputs-1-width": "640", "outputs-1-format": "jpeg"},
        **{"outputs-2-width": "900", "outputs-2-format": "jpeg", "outputs-2-quality": "50"},
    },
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_as_many_files_are_made_as_were_counted(
    script: Script, jobs: Jobs, recipe: dict[str, Any]
) -> None:
    counted = make_words(drawn(script, SHAPES, **recipe))
    files = [(data, name) for name, data in PHOTOS.items()]
    path = script.upload(*files, **{"presets": [], **recipe}).headers["Location"]
    work(jobs)
    assert counted == f"Make {len(file_names(job_at(jobs, path)))} thumbnails"


# Forms that are not complete


@pytest.mark.parametrize(
    "wrong",
    [
        {"outputs-0-width": "wide"},
        {"outputs-0-width": "99999"},
        {"outputs-0-fit": "cover", "outputs-0-height": ""},
        {"outputs-0-quality": "500"},
        {"outputs-0-format": []},
        {"responsive-widths": "320 x", "responsive-formats": "webp"},
        {"keep_hours": "x"},
    ],
)
def test_sizes_without_a_fault_are_drawn_beside_others(
    script: Script, wrong: dict[str, Any]
) -> None:
    fields = {"outputs-1-width": "64", "outputs-1-format": "webp", **wrong}
    page = drawn(script, presets="card", **{**OWN, **fields})
    assert {"Card", "64"} <= set(page.texts(".print b"))
    assert page.errors() == []  # They are told on submission.


@pytest.mark.parametrize(
    "photos",
    [
        "0x0",
        "-1x5",
        "x",
        ",,,",
        "9999999999x1",
        "1x999999",
        "5x5 gif",
        "5x5 <b>",
        "٣x٣",
        "9" * 9999,
    ],
)
def test_strange_photos_are_harmless(script: Script, photos: str) -> None:
    source = {"outputs-0-width": "64", "outputs-0-format": "source"}
    assert drawn(script, photos, selected=photos, presets="card", **source).texts(".print b") == [
        "Card",
        "64",
    ]


def test_too_many_pixels_are_told_while_typing(script: Script) -> None:
    large = {"responsive-widths": "4000 4001 4002 4003 4004", "responsive-formats": "webp"}
    assert (
        drawn(script, **large)
        .text("#excess")
        .startswith("All sizes together have at most 64 megapixels. These have 80.1")
    )
    assert drawn(script, presets="card").all("#excess[hidden]")


def test_no_more_sizes_are_drawn_than_a_job_makes(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_outputs=3)) as app:
        widths = {"responsive-widths": "1 2 3 4 5", "responsive-formats": "webp"}
        page = drawn(Script(app.test_client()), **widths)
    assert len(page.all(".print")) == 3
    assert page.text("#excess") == "A job makes at most 3 files from each photo."


# The link to these sizes


def test_link_fills_in_the_same_form(script: Script) -> None:
    fields: dict[str, Any] = {
        **CROP,
        **{"outputs-0-transparent": "y", "outputs-0-quality": "70", "outputs-0-focus": "smart"},
        **{"outputs-2-width": "64", "outputs-2-format": ["webp", "avif"]},
        **{"responsive-widths": "320 640", "responsive-formats": "webp"},
    }
    page = drawn(script, presets=["square", "card"], keep_hours="72", **fields)
    link = page.value("#link-recipe", "data-address")
    assert link == (
        "/?preset=square&preset=card&w=800&h=400&fit=cover&format=webp&quality=70&transparent=y"
        "&focus=smart&w2=64&format2=webp&format2=avif&widths=320+640&formats=webp&keep_hours=72"
    )
    again = script.page(link)
    assert again.value("#link-recipe", "data-address") == link


def test_link_leaves_defaults_out(script: Script) -> None:
    defaults = {"outputs-0-fit": "contain", "outputs-0-background": "#ffffff"}
    page = drawn(script, presets="card", keep_hours="24", **defaults)
    assert page.value("#link-recipe", "data-address") == "/?preset=card"


# Presets that enlarge


def test_preset_larger_than_the_photo_can_be_enlarged(script: Script, jobs: Jobs) -> None:
    small = make_jpeg(size=(384, 202))
    page = drawn(script, "384x202 jpeg", selected="384x202 jpeg", presets="social")
    box = page.value(".print-enlarge", "data-box")
    assert script.page("/").value(f"#{box}", "name") == "enlarged"
    page = drawn(
        script, "384x202 jpeg", selected="384x202 jpeg", presets="social", enlarged="social"
    )
    assert page.texts(".print-size") == ["1200 × 630"]
    assert not page.all(".print-enlarge")
    path = script.submit(small, presets="social", enlarged="social")
    work(jobs)
    (made,) = job_at(jobs, path).images[0].thumbnails
    assert made.size == (1200, 630)


def test_enlarged_preset_is_part_of_the_link_and_of_the_next_form(script: Script) -> None:
    page = drawn(script, presets=["card", "social"], enlarged="social")
    address = page.value("#link-recipe", "data-address")
    assert "enlarged=social" in address
    assert script.page(address).values("[name=enlarged][checked]") == ["social"]


def test_change_of_sizes_shows_which_preset_enlarges(script: Script) -> None:
    path = script.submit(make_jpeg(), presets=["card", "social"], enlarged="social")
    page = script.page(f"{path}/remake")
    assert page.values("[name=presets][checked]") == ["card", "social"]
    assert page.values("[name=enlarged][checked]") == ["social"]
