"""Markup to paste into another page."""

import re
from dataclasses import replace
from urllib.parse import unquote, urlencode

import pytest

from tests.support.images import Size, make_animation, make_jpeg
from tests.support.jobs import job_at, recipe_of, url_of, work
from tests.support.pages import Page, read_zip
from tests.support.people import Person
from webapp.exports.markup import html, markdown, name_in_words, responsive_sets
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Thumbnail
from webapp.recipes.presets import PRESETS

THUMBNAIL = Thumbnail("i", "j/i-1", "320w.jpg", "jpeg", 320, 213, 9000, 80, 90_000, "a.jpg")
Tags = list[tuple[str, dict[str, str | None]]]


def make(width: int, height: int, format: str = "jpeg") -> Thumbnail:
    """Return a thumbnail of this size, without a file."""
    sized = {"width": width, "height": height, "format": format}
    return replace(THUMBNAIL, file_name=f"{width}w.{format}", **sized)  # type: ignore[arg-type]


def address(thumbnail: Thumbnail) -> str:
    return thumbnail.file_name


def tags(markup: str) -> Tags:
    """Read the elements as a browser does."""
    elements = Page(markup).all("picture, source, img")
    return [(element.tag or "", element.attributes) for element in elements]


def upload(
    person: Person, jobs: Jobs, name: str = "a.jpg", size: Size = (1600, 1067), **fields: object
) -> str:
    """Make thumbnails of an image, and return the path of its job."""
    path = person.submit((make_jpeg(size=size), name), **fields)
    work(jobs)
    return path


def sizes_of_sets(jobs: Jobs, path: str) -> list[list[Size]]:
    job = job_at(jobs, path)
    sets = responsive_sets(job.images[0], recipe_of(job))
    return [[(made.width, made.height) for made in group] for group in sets]


def test_web_set_is_one_picture_with_its_best_format_first(person: Person, jobs: Jobs) -> None:
    path = upload(person, jobs, "IMG_2023-beach.jpg", presets="web-set")
    answer = person.get(f"{path}/markup")
    assert answer.content_type == "text/plain; charset=utf-8"
    folder = job_at(jobs, path).images[0].thumbnails[0].folder
    url = f"http://localhost/thumbnails/{folder}"
    wide = "(max-width: 1600px) 100vw, 1600px"
    assert answer.text == (
        "<picture>\n"
        f'  <source type="image/webp" srcset="{url}/320w.webp 320w, {url}/640w.webp 640w,'
        f' {url}/1280w.webp 1280w, {url}/1920w.webp 1600w" sizes="{wide}">\n'
        f'  <img src="{url}/1920w.jpg" srcset="{url}/320w.jpg 320w, {url}/640w.jpg 640w,'
        f' {url}/1280w.jpg 1280w, {url}/1920w.jpg 1600w" sizes="{wide}" width="1600" height="1067"'
        ' alt="IMG 2023 beach" loading="lazy" decoding="async">\n'
        "</picture>\n"
    )


def test_addresses_in_the_markup_lead_to_the_thumbnails(person: Person, jobs: Jobs) -> None:
    path = upload(person, jobs, size=(500, 300), presets=["web-set", "avatar"])
    elements = tags(person.get(f"{path}/markup").text)
    sources = [attributes["src"] for tag, attributes in elements if tag == "img"]
    assert len(sources) == 2
    assert all(person.get(str(source)).status_code == 200 for source in sources)


def test_markup_of_a_job_has_every_image_that_is_done(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a.jpg"), (make_jpeg(), "b.jpg"))
    assert person.get(f"{path}/markup").text.strip() == ""
    work(jobs)
    alts = [attributes["alt"] for _, attributes in tags(person.get(f"{path}/markup").text)]
    assert alts == ["a", "b"]


def test_single_thumbnail_is_a_plain_image() -> None:
    assert html([make(320, 213)], address, "beach") == (
        '<img src="320w.jpeg" width="320" height="213" alt="beach" loading="lazy" decoding="async">'
    )


def test_several_widths_of_one_format_need_no_picture() -> None:
    [(tag, attributes)] = tags(html([make(640, 427), make(320, 213)], address, ""))
    assert (tag, attributes["srcset"]) == ("img", "320w.jpeg 320w, 640w.jpeg 640w")
    assert (attributes["width"], attributes["height"]) == ("640", "427")


@pytest.mark.parametrize(
    ("formats", "sources", "fallback"),
    [
        (("jpeg", "webp", "avif"), ["image/avif", "image/webp"], "320w.jpeg"),
        (("png", "webp"), ["image/webp"], "320w.png"),
        (("gif", "webp"), ["image/webp"], "320w.gif"),
        (("webp", "avif"), ["image/avif"], "320w.webp"),
        (("avif",), [], "320w.avif"),
    ],
)
def test_best_format_is_offered_first_and_the_commonest_last(
    formats: tuple[str, ...], sources: list[str], fallback: str
) -> None:
    elements = tags(html([make(320, 213, format) for format in formats], address, ""))
    offered = [attributes["type"] for tag, attributes in elements if tag == "source"]
    assert (offered, elements[-1][1]["src"]) == (sources, fallback)


def test_width_that_two_outputs_have_is_offered_once() -> None:
    one, other = make(500, 300), replace(make(500, 300), file_name="1280w.jpg")
    [(_, attributes)] = tags(html([one, other, make(320, 192)], address, ""))
    assert str(attributes["srcset"]).split(", ") == ["320w.jpeg 320w", "1280w.jpg 500w"]


def test_rounded_sides_are_of_one_set(person: Person, jobs: Jobs) -> None:
    wanted = {"responsive-widths": "997 320 77 13", "responsive-formats": "jpeg"}
    path = upload(person, jobs, size=(997, 671), presets=[], **wanted)
    assert sizes_of_sets(jobs, path) == [[(997, 671), (320, 215), (77, 52), (13, 9)]]


def test_other_crops_of_an_animation_are_not_of_the_set(person: Person, jobs: Jobs) -> None:
    same: dict[str, object] = {"fit": "cover", "format": "source", "animated": "y"}
    crops: tuple[dict[str, object], ...] = (
        {"width": 20, "height": 20},
        {"width": 40, "height": 40, "focus": "smart"},
    )
    own = {
        f"outputs-{number}-{field}": value
        for number, crop in enumerate(crops)
        for field, value in {**same, **crop}.items()
    }
    path = person.submit(make_animation("gif"), presets=[], **own)
    work(jobs)
    assert sizes_of_sets(jobs, path) == [[(40, 40)], [(20, 20)]]


def test_other_crops_are_not_of_the_set(person: Person, jobs: Jobs) -> None:
    path = upload(person, jobs, size=(640, 640), presets=["square", "avatar", "card", "web-set"])
    assert sizes_of_sets(jobs, path) == [
        [(640, 640), (640, 640), (320, 320), (320, 320)],  # The web set, not enlarged.
        [(640, 360)],  # The card.
        [(256, 256)],  # The avatar, cropped where the detail is.
        [(100, 100)],  # The square, padded.
    ]


def test_thumbnails_of_an_earlier_recipe_have_markup_too(person: Person, jobs: Jobs) -> None:
    path = upload(person, jobs, presets="square")
    image = job_at(jobs, path).images[0]
    assert responsive_sets(image, PRESETS["avatar"].recipe) == [list(image.thumbnails)]


@pytest.mark.parametrize(
    ("name", "alt"),
    [
        ("IMG_2023-beach.jpg", "IMG 2023 beach"),
        ("my+holiday__2.final.jpeg", "my holiday 2.final"),
        ("café", "café"),
        ("---.jpg", "---.jpg"),
    ],
)
def test_file_name_becomes_an_alternative_text(name: str, alt: str) -> None:
    assert name_in_words(name) == alt


def test_name_cannot_break_out_of_the_markup(person: Person, jobs: Jobs) -> None:
    name = "x' onerror=alert(1) <script>&amp;.jpg"
    path = upload(person, jobs, name)
    [(tag, attributes)] = tags(person.get(f"{path}/markup").text)
    assert (tag, attributes["alt"]) == ("img", "x' onerror=alert(1) <script>&amp;")
    assert 'alt="a&#34; onload=&#34;x"' in html([THUMBNAIL], address, 'a" onload="x')


def test_markdown_shows_the_thumbnail() -> None:
    assert markdown([THUMBNAIL], address, "beach") == "![beach](320w.jpg)"


def test_name_cannot_break_out_of_markdown() -> None:
    written = markdown([THUMBNAIL], address, "a](http://evil) <b> [*x*")
    assert written == r"![a\](http://evil) \<b\> \[\*x\*](320w.jpg)"


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("url", ["http://localhost{0}"]),
        ("markdown", ["![a](http://localhost{0})"]),
        (
            "html",
            [
                '<img src="http://localhost{0}" width="100" height="100" alt="a" loading="lazy"'
                ' decoding="async">'
            ],
        ),
    ],
)
def test_one_thumbnail_is_written_as_asked(
    person: Person, jobs: Jobs, kind: str, lines: list[str]
) -> None:
    path = upload(person, jobs, presets=["square", "card"])
    image = job_at(jobs, path).images[0]
    square = next(made for made in image.thumbnails if made.file_name == "square.jpg")
    answer = person.get(f"{path}/markup?as={kind}&of={image.id}/square.jpg")
    assert answer.text.splitlines() == [line.format(url_of(square)) for line in lines]


def test_markdown_has_the_largest_thumbnail_for_every_browser(person: Person, jobs: Jobs) -> None:
    path = upload(person, jobs, presets="web-set")
    image = job_at(jobs, path).images[0]
    answer = person.get(f"{path}/markup?as=markdown&of={image.id}")
    assert re.fullmatch(r"!\[a\]\(http://localhost/thumbnails/\S+/1920w\.jpg\)\n", answer.text)


def test_urls_of_a_job_are_of_all_its_thumbnails(person: Person, jobs: Jobs) -> None:
    path = upload(person, jobs, presets="web-set")
    made = job_at(jobs, path).thumbnails
    urls = person.get(f"{path}/markup?as=url").text.split()
    assert sorted(urls) == sorted(f"http://localhost{url_of(one)}" for one in made)


@pytest.mark.parametrize("names", ["", "{number}-{name}/{output}", "{output}"])
def test_relative_markup_has_the_paths_of_the_zip(person: Person, jobs: Jobs, names: str) -> None:
    files = [(make_jpeg(), name) for name in ("my photo.jpg", "my photo.jpg", "ä#1%.jpg")]
    path = person.submit(*files, presets=["web-set", "avatar"])
    work(jobs)
    query = {"names": names}
    with read_zip(person.get(f"{path}/zip?{urlencode(query)}")) as archive:
        packed = {name for name in archive.namelist() if name.startswith("thumbnails/")}
    markup = person.get(f"{path}/markup?{urlencode(query | {'as': 'relative'})}").text
    written = {
        unquote(candidate.split()[0])
        for _, attributes in tags(markup)
        for name in ("src", "srcset")
        for candidate in (attributes.get(name) or "").split(", ")
        if candidate
    }
    assert written == packed


def test_relative_markup_of_a_part_is_that_of_the_whole(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a.jpg"), (make_jpeg(), "a.jpg"))
    work(jobs)
    second = job_at(jobs, path).images[1]
    for of in (second.id, f"{second.id}/square.jpg"):
        text = person.get(f"{path}/markup?as=relative&of={of}").text
        assert 'src="thumbnails/a%20%281%29-square.jpg"' in text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("as=pdf", 422),
        ("as=relative&names=%7Bx%7D", 422),
        ("of=x", 404),
        ("of=00000000-0000-4000-8000-000000000000", 404),
    ],
)
def test_unknown_kind_or_image_of_markup_is_refused(
    person: Person, jobs: Jobs, query: str, status: int
) -> None:
    assert person.get(f"{upload(person, jobs)}/markup?{query}").status_code == status


def test_markup_of_an_unknown_thumbnail_is_not_found(person: Person, jobs: Jobs) -> None:
    path = upload(person, jobs)
    image = job_at(jobs, path).images[0]
    assert person.get(f"{path}/markup?of={image.id}/other.jpg").status_code == 404
