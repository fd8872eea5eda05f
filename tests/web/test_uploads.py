"""Uploading, with the page's form and with its script."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from tests.conftest import (
    Person,
    Script,
    files_left,
    multipart,
    nothing_left,
    part,
    running_app,
)
from tests.support.images import (
    make_image,
    make_jpeg,
    make_png,
    make_png_chunk,
    make_too_many_scans,
)
from tests.support.jobs import newest_job, output_files, recipe_of
from tests.support.pages import Page
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs

SMALL = {"max_file_mb": 1, "max_images": 3, "max_megapixels": 0.05, "max_jpeg_scans": 15}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", **SMALL)  # type: ignore[arg-type]


def test_page_says_limits_and_what_becomes_of_the_images(person: Person) -> None:
    page = person.page("/")
    for words in (
        "up to 1 MB each, 3 at a time",
        "anyone with the link can view the results",
        "GPS locations and other metadata are removed",
    ):
        assert words in page.text()
    assert page.value("#keep_hours option[selected]") == "24"


def kept_hours(jobs: Jobs) -> float:
    """Return the retention of the newest job."""
    job = newest_job(jobs)
    return (job.expires - job.created).total_seconds() / 3600


@pytest.mark.parametrize(("chosen", "hours"), [("1", 1), ("168", 168), (None, 24)])
def test_results_are_kept_for_as_long_as_was_chosen(
    person: Person, jobs: Jobs, chosen: str | None, hours: float
) -> None:
    person.upload((make_jpeg(), "a.jpg"), **{"keep_hours": chosen} if chosen else {})
    assert kept_hours(jobs) == pytest.approx(hours, abs=0.01)


@pytest.mark.parametrize("chosen", ["9999", "-1", "nan", "long"])
def test_time_that_is_not_offered_is_refused_beside_its_field(
    person: Person, jobs: Jobs, chosen: str
) -> None:
    response = person.upload((make_jpeg(), "a.jpg"), keep_hours=chosen)
    assert response.status_code == 422
    page = Page(response.text)
    assert page.errors() == [("keep_hours", "Choose one of the times that the form offers.")]
    assert page.value("#keep_hours option[selected]") == "24"
    assert nothing_left(jobs)


def test_script_gets_the_field_of_a_retention_not_offered(script: Script) -> None:
    response = script.send("/jobs/open", presets="square", keep_hours="9999")
    assert response.status_code == 422
    assert response.json == {
        "code": "time_not_offered",
        "detail": "Choose one of the times that the form offers.",
        "field": "keep_hours",
    }


@pytest.mark.parametrize(
    ("limits", "offered", "later"),
    [
        ({}, ["1", "24", "72", "168"], 2),
        ({"max_retention_hours": 1000}, ["1", "24", "72", "168", "720"], 2),
        ({"max_retention_hours": 48, "retention_hours": 36}, ["1", "24", "36"], 3),
        ({"max_retention_hours": 0.5, "retention_hours": 0.25}, ["0.25"], 1),
    ],
)
def test_job_page_offers_the_later_of_the_retention_times(
    tmp_path: Path, limits: dict[str, float], offered: list[str], later: int
) -> None:
    with running_app(Config(instance=tmp_path, **limits)) as app:  # type: ignore[arg-type]
        person = Person(app.test_client())
        job = person.submit(make_jpeg())
        for page, field, times in (("/", "keep_hours", offered), (job, "hours", offered[later:])):
            assert person.page(page).values(f"select[name={field}] option") == times


def test_size_is_made_in_every_format_chosen(person: Person, jobs: Jobs) -> None:
    own = {"outputs-0-width": "64", "outputs-0-format": ["webp", "avif"], "presets": []}
    person.upload((make_jpeg(), "a.jpg"), **own)
    assert output_files(newest_job(jobs)) == ["64w.webp", "64w.avif"]


def test_size_without_a_format_is_refused_beside_the_formats(script: Script) -> None:
    response = script.send("/jobs/open", **{"outputs-0-width": "64"})
    assert response.json is not None
    assert response.json["field"] == "outputs-0-format"
    assert response.json["detail"] == "Choose at least one format."


def test_format_that_cannot_move_stands_still_beside_one_that_can(
    person: Person, jobs: Jobs
) -> None:
    own = {"outputs-0-format": ["jpeg", "gif"], "outputs-0-animated": "y", "presets": []}
    person.upload((make_jpeg(), "a.jpg"), **{"outputs-0-width": "64", **own})
    recipe = recipe_of(newest_job(jobs))
    assert [(output.format, output.animated) for output in recipe.outputs] == [
        ("jpeg", False),
        ("gif", True),
    ]


def test_background_can_be_transparent(person: Person, jobs: Jobs) -> None:
    own = {
        "outputs-0-width": "64",
        "outputs-0-height": "64",
        "outputs-0-fit": "pad",
        "outputs-0-format": "webp",
        "outputs-0-background": "#ff0000",
        "outputs-0-transparent": "y",
    }
    person.upload((make_jpeg(), "a.jpg"), presets=[], **own)
    recipe = recipe_of(newest_job(jobs))
    assert recipe.outputs[0].background == "transparent"


def test_responsive_set_is_every_width_in_every_format(person: Person, jobs: Jobs) -> None:
    wanted = {"responsive-widths": "64, 32", "responsive-formats": ["webp", "jpeg"]}
    person.upload((make_jpeg(), "a.jpg"), presets=[], **wanted)
    assert output_files(newest_job(jobs)) == ["64w.webp", "64w.jpg", "32w.webp", "32w.jpg"]


@pytest.mark.parametrize(
    ("widths", "formats", "field", "sentence"),
    [
        ("wide", ["webp"], "widths", "The widths must be whole numbers of pixels"),
        ("320 0", ["webp"], "widths", "The width must be from 1 to 4096 pixels."),
        ("320", [], "formats", "Choose at least one format."),
    ],
)
def test_wrong_responsive_set_is_said_beside_its_field(
    script: Script, widths: str, formats: list[str], field: str, sentence: str
) -> None:
    wanted = {"responsive-widths": widths, "responsive-formats": formats}
    response = script.send("/jobs/open", **wanted)
    assert response.json is not None
    assert response.json["field"] == f"responsive-{field}"
    assert sentence in response.json["detail"]


def test_address_of_a_recipe_fills_in_the_form(person: Person) -> None:
    address = "/?preset=square&w=640&h=360&fit=cover&format=webp&format=avif&quality=70&w2=64"
    form = person.page(f"{address}&widths=320+640&formats=avif").filled_in()
    assert [value for name, value in form if name == "presets"] == ["square"]
    assert [value for name, value in form if name == "outputs-0-format"] == ["webp", "avif"]
    assert [value for name, value in form if name == "responsive-formats"] == ["avif"]
    assert {
        ("outputs-0-width", "640"),
        ("outputs-0-height", "360"),
        ("outputs-0-fit", "cover"),
        ("outputs-0-quality", "70"),
        ("outputs-1-width", "64"),
        ("outputs-1-format", "webp"),
        ("responsive-widths", "320 640"),
    } <= set(form)


def test_recipe_that_was_asked_for_last_is_filled_in(person: Person) -> None:
    person.client.set_cookie("recipe", "preset=card&w=77")
    form = person.page("/").filled_in()
    assert ("presets", "card") in form
    assert ("outputs-0-width", "77") in form
    assert ("presets", "web-set") not in form


def test_retention_is_part_of_a_recipe_address_and_cookie(person: Person) -> None:
    form = person.page("/?preset=card&keep_hours=72").filled_in()
    assert {("presets", "card"), ("keep_hours", "72")} <= set(form)
    person.client.set_cookie("recipe", "preset=card&keep_hours=1")
    assert {("presets", "card"), ("keep_hours", "1")} <= set(person.page("/").filled_in())
    assert ("keep_hours", "24") in person.page("/?preset=card").filled_in()


def test_address_of_a_retention_alone_keeps_the_default_presets(person: Person) -> None:
    form = person.page("/?keep_hours=72").filled_in()
    assert {("presets", "web-set"), ("keep_hours", "72")} <= set(form)


def test_address_goes_before_what_was_asked_for_last(person: Person) -> None:
    person.client.set_cookie("recipe", "preset=card")
    form = person.page("/?preset=avatar").filled_in()
    assert [value for name, value in form if name == "presets"] == ["avatar"]


@pytest.mark.parametrize(
    "address",
    ["/?utm_source=x", "/?w0=1", "/?outputs-0-width=5", "/?is_used=1", "/?w100=3", "/?=&%ff=%fe"],
)
def test_address_that_names_no_recipe_gets_the_form_as_it_comes(
    person: Person, address: str
) -> None:
    assert person.page(address).filled_in() == person.page("/").filled_in()


@pytest.mark.parametrize(
    "part",
    [
        "preset=nope",
        "w=abc",
        "h=-",
        "fit=wide",
        "format=exe",
        "quality=good",
        "widths=a+b",
        "keep_hours=5",
        "keep_hours=9999",
        "keep_hours=long",
        "keep_hours=",
    ],
)
def test_part_of_an_address_that_was_not_understood_is_said(person: Person, part: str) -> None:
    page = person.page(f"/?preset=square&{part}").text()
    assert f"This part of the address was not understood: {part.replace('+', ' ')}".strip() in page


SIDE = "must be from 1 to 4096 pixels."


@pytest.mark.parametrize(
    ("part", "field", "value", "sentence"),
    [
        ("w=4097", "outputs-0-width", "4097", f"The width {SIDE}"),
        ("w=99999999999", "outputs-0-width", "99999999999", f"The width {SIDE}"),
        ("w=64&h2=0", "outputs-1-height", "0", f"The height {SIDE}"),
        ("w=64&quality=101", "outputs-0-quality", "101", "The quality must be from 1 to 100."),
        (
            "w=64&max_kb=100001",
            "outputs-0-max_kb",
            "100001",
            "The size limit must be from 1 to 100000 kB.",
        ),
        ("widths=320+5000", "responsive-widths", "320 5000", f"The width {SIDE}"),
        (
            "widths=1+2+3+4+5+6+7&formats=webp&formats=jpeg&formats=avif",
            "responsive-widths",
            "1 2 3 4 5 6 7",
            "A recipe has at most 20 outputs.",
        ),
        (
            "w=4000&format=png&h2=4096&format2=png&w3=3999&format3=png&w4=4001&format4=png",
            "outputs-3-width",
            "4001",
            "The outputs of a recipe have at most 64 megapixels in all. These have 64.8:"
            " ask for fewer or smaller ones.",
        ),
    ],
)
def test_value_over_a_limit_is_filled_in_beside_its_error(
    person: Person, part: str, field: str, value: str, sentence: str
) -> None:
    page = person.page(f"/?preset=square&{part}")
    assert (field, value) in person.page(f"/?preset=square&{part}").filled_in()
    assert page.errors() == [(field, sentence)]
    assert "not understood" not in page.text()


def test_limit_that_the_operator_set_is_the_one_that_is_told(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_side=1000)) as app:
        page = Person(app.test_client()).page("/?w=2000")
    assert page.errors() == [("outputs-0-width", "The width must be from 1 to 1000 pixels.")]


def test_sizes_of_an_address_beyond_the_limit_are_named(person: Person) -> None:
    parts = "&".join(f"w{number}={number}" for number in range(1, 60))
    page = " ".join(person.get(f"/?{parts}").text.split())
    assert page.count('class="output"') == 20
    assert (
        "A recipe has at most 20 custom sizes. These parts of the address were ignored:"
        " <bdi>w21=21, w22=22, w23=23,"
    ) in page


def test_sizes_of_an_address_are_counted_whatever_their_numbers(person: Person) -> None:
    page = person.page("/?w3=64&w59=32")
    assert len(page.all(".output")) == 2
    assert "ignored" not in page.text()


def test_address_that_asks_for_nothing_yet_is_told_of_no_problem(person: Person) -> None:
    assert person.page("/?format=avif&fit=cover").errors() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"outputs-19-width": "99"}, "outputs-19-width"),
        ({"responsive-widths": "99", "responsive-formats": "webp"}, "responsive-widths"),
        # Twelve of presets, and twelve sizes: the ninth is one too many.
        ({"presets": ["square", "avatar", "card", "social", "web-set"]}, "outputs-8-width"),
    ],
)
def test_too_many_outputs_are_said_beside_what_is_too_much(
    script: Script, fields: dict[str, Any], field: str
) -> None:
    sizes = {f"outputs-{n}-width": str(n + 1) for n in range(12 if "presets" in fields else 19)}
    formats = {f"outputs-{n}-format": "webp" for n in range(20)}
    response = script.send("/jobs/open", **{"presets": "square", **sizes, **formats, **fields})
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "A recipe has at most 20 outputs.",
        "field": field,
    }


def test_no_size_is_left_out_in_silence(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_outputs=100)) as app:
        script = Script(app.test_client())
        sizes = {f"outputs-{n}-width": str(n + 1) for n in range(52)}
        formats = {f"outputs-{n}-format": "webp" for n in range(52)}
        response = script.send("/jobs/open", presets="square", **sizes, **formats)
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "A recipe has at most 50 custom sizes.",
        "field": "outputs-50-width",
    }


@pytest.mark.parametrize(
    "address", ["/", "/?utm_source=x", "/?preset=card&w=640&h=360&fit=cover&format=avif&quality=70",
                "/?w=&enlarge=0&widths=320+640&formats=avif&background=%23ff0000&focus=smart",
                "/?preset=card&keep_hours=168"]
)  # fmt: skip
def test_address_that_was_understood_gets_no_message(person: Person, address: str) -> None:
    assert "not understood" not in person.get(address).text


def test_invalid_recipe_cookie_is_ignored_silently(person: Person) -> None:
    person.client.set_cookie("recipe", "preset=gone&w=77")
    assert "not understood" not in person.get("/").text


def test_address_that_names_no_recipe_keeps_the_last_one(person: Person) -> None:
    person.client.set_cookie("recipe", "preset=card&w=77")
    assert person.page("/?utm_source=x").filled_in() == person.page("/").filled_in()


@pytest.mark.parametrize("value", ["0", "false", "no", "off", ""])
def test_switch_that_an_address_turns_off_is_off(person: Person, value: str) -> None:
    switch = person.page(f"/?w=64&enlarge={value}").one("input[name=outputs-0-enlarge]")
    assert "checked" not in switch.attributes


@pytest.mark.parametrize("value", ["<b>", "9" * 3000, "%00", "-1", "wide"])
def test_strange_values_in_an_address_are_harmless(person: Person, value: str) -> None:
    names = ("preset", "w", "fit", "format", "max_kb", "background", "focus", "widths", "formats")
    response = person.get("/?" + "&".join(f"{name}={value}" for name in names))
    assert response.status_code == 200
    assert "<b>" not in response.text


@pytest.mark.parametrize(
    ("limits", "offered", "ticked"),
    [
        ({}, ["square", "avatar", "card", "social", "web-set"], ["web-set"]),
        ({"max_side": 1000}, ["square", "avatar", "card"], ["card"]),
        ({"max_outputs": 7}, ["square", "avatar", "card", "social"], ["card"]),
        ({"max_side": 300}, ["square", "avatar"], ["avatar"]),
        ({"max_side": 99}, [], []),
    ],
)
def test_presets_are_offered_that_the_operator_allows(
    tmp_path: Path, limits: dict[str, int], offered: list[str], ticked: list[str]
) -> None:
    with running_app(Config(instance=tmp_path, **limits)) as app:  # type: ignore[arg-type]
        person = Person(app.test_client())
        page = person.page("/")
    assert page.values("input[name=presets]") == offered
    assert page.values("input[name=presets][checked]") == ticked


def test_form_as_it_comes_is_taken_where_the_operator_allows_little(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_side=1000)) as app:
        person = Person(app.test_client())
        form = MultiDict(person.page("/").filled_in()).to_dict(flat=False)
        answer = person.post("/jobs", **form, images=part(make_jpeg(), "a.jpg"))
    assert answer.status_code == 303, answer.text


def test_preset_asked_for_last_that_is_no_longer_offered_is_forgotten(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_side=1000)) as app:
        person = Person(app.test_client())
        person.client.set_cookie("recipe", "preset=web-set")
        form = person.page("/").filled_in()
    assert ("presets", "card") in form


def test_form_without_script_leads_to_the_job(person: Person, jobs: Jobs) -> None:
    response = person.upload((make_jpeg(), "a.jpg"), (make_png(), "b.png"))
    assert response.status_code == 303
    assert response.headers["Location"] == f"/jobs/{jobs.ids()[0]}"
    assert [image.name for image in newest_job(jobs).images] == ["a.jpg", "b.png"]


def test_presets_and_outputs_of_ones_own_make_one_recipe(person: Person, jobs: Jobs) -> None:
    own = {"outputs-0-width": "64", "outputs-0-height": "48", "outputs-0-fit": "cover"}
    own["outputs-0-format"] = "jpeg"
    person.upload((make_jpeg(), "a.jpg"), presets=["square", "card"], **own)
    assert output_files(newest_job(jobs)) == ["square.jpg", "card.webp", "64x48-cover.jpg"]


def test_form_with_the_most_sizes_is_read_to_its_end(person: Person) -> None:
    one: dict[str, object] = {
        "height": "64", "fit": "contain", "quality": "70", "max_kb": "9", "focus": "",
        "background": "#ffffff", "transparent": "y", "enlarge": "y", "keep_copyright": "y",
        "animated": "y", "format": ["jpeg", "png", "webp", "avif", "gif", "source"],
    }  # fmt: skip
    sizes = {f"outputs-{n}-{name}": value for n in range(50) for name, value in one.items()}
    widths = {f"outputs-{n}-width": str(n + 1) for n in range(50)}
    answer = person.upload((make_jpeg(), "a.jpg"), **sizes, **widths)
    assert "A recipe has at most 20 outputs." in answer.text


def test_output_without_a_size_is_not_asked_for(person: Person, jobs: Jobs) -> None:
    person.upload((make_jpeg(), "a.jpg"), **{"outputs-0-width": "", "outputs-0-quality": "50"})
    assert output_files(newest_job(jobs)) == ["square.jpg"]


@pytest.mark.parametrize(
    ("width", "sentence"),
    [
        ("0", "The width must be from 1 to 4096 pixels."),
        ("-1", "The width must be from 1 to 4096 pixels."),
        ("99999999", "The width must be from 1 to 4096 pixels."),
        ("wide", "The width must be a whole number of pixels."),
    ],
)
def test_wrong_size_is_said_beside_the_field(
    person: Person, jobs: Jobs, width: str, sentence: str
) -> None:
    response = person.upload(
        (make_jpeg(), "a.jpg"), **{"outputs-0-width": width, "outputs-0-format": "jpeg"}
    )
    assert response.status_code == 422
    assert sentence in response.text
    assert f'value="{width}"' in response.text
    assert nothing_left(jobs)


def test_wrong_size_is_said_to_the_script_with_its_field(script: Script, jobs: Jobs) -> None:
    response = script.send("/jobs/open", **{"outputs-0-width": "0", "outputs-0-format": "jpeg"})
    assert response.status_code == 422
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "The width must be from 1 to 4096 pixels.",
        "field": "outputs-0-width",
    }
    assert nothing_left(jobs)


def test_nothing_to_make_is_said_to_the_script_with_the_presets(script: Script) -> None:
    response = script.send("/jobs/open", keep_hours="24")
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "Choose at least one output.",
        "field": "presets",
    }


def test_unknown_preset_is_refused(person: Person, jobs: Jobs) -> None:
    response = person.upload((make_jpeg(), "a.jpg"), presets="huge")
    assert response.status_code == 422
    assert "There is no preset of that name." in response.text
    assert nothing_left(jobs)


def test_nothing_chosen_is_said(person: Person, jobs: Jobs) -> None:
    response = person.upload((b"", ""))
    assert response.status_code == 422
    assert "Choose at least one image." in response.text
    assert nothing_left(jobs)


BAD_FILES = {
    "text": (b"just words, no picture", "notes.jpg", 415, "This is text"),
    "unsupported": (b"%PDF-1.7 and so on", "a.jpg", 415, "PDF"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.png", 415, "SVG"),
    "empty": (b"", "empty.jpg", 415, "empty"),
    "bytes": (
        b"\xff\xd8\xff" + bytes(1_900_000),
        "big.jpg",
        413,
        "This file is 1.9 MB; the limit is 1 MB",
    ),
    "pixels": (make_jpeg(size=(400, 300)), "wide.jpg", 413, "0.2 megapixels; the limit is 0.05"),
    "scans": (make_too_many_scans(), "slow.jpg", 415, "scans"),
}


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_is_refused_by_name_with_the_reason(
    person: Person, jobs: Jobs, case: tuple[bytes, str, int, str]
) -> None:
    data, name, status, sentence = case
    response = person.upload((data, name))
    assert response.status_code == status
    assert name in response.text
    assert sentence in response.text
    assert nothing_left(jobs)


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_is_refused_in_the_same_words_to_the_script(
    script: Script, jobs: Jobs, case: tuple[bytes, str, int, str]
) -> None:
    data, name, status, sentence = case
    job = script.create()
    response = script.add(job, data, name)
    assert response.status_code == status
    assert response.json is not None
    assert sentence in response.json["detail"]
    script.send(job["close_url"])
    assert nothing_left(jobs)


def refused(page: Page) -> dict[str, str]:
    """Return the files that were refused: the sentence by the name."""
    row = ".row.refused"
    names, sentences = page.texts(f"{row} .row-name"), page.texts(f"{row} .row-why")
    return dict(zip(names, sentences, strict=True))


def test_good_files_go_on_when_one_is_refused(person: Person, jobs: Jobs) -> None:
    response = person.upload((b"words", "notes.txt"), (make_jpeg(), "good.jpg"))
    assert response.status_code == 303
    sentences = refused(person.page(response.headers["Location"]))
    assert list(sentences) == ["notes.txt"]
    assert sentences["notes.txt"].startswith("This is text")
    assert [image.name for image in newest_job(jobs).images] == ["good.jpg"]


def test_more_files_than_a_job_takes_are_refused_by_name(person: Person, jobs: Jobs) -> None:
    response = person.upload(*[(make_jpeg(), f"{number}.jpg") for number in range(4)])
    sentences = refused(person.page(response.headers["Location"]))
    assert list(sentences) == ["3.jpg"]
    assert sentences["3.jpg"].startswith("A job has at most 3 images.")
    assert newest_job(jobs).counts.total == 3


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", 'quo"te.jpg', "<script>alert(1)<x.jpg", "a\u202eb.jpg", "n" * 300, ""],
    ids=["slashes", "quotes", "script", "rtl", "long", "none"],
)
def test_strange_name_is_shown_harmlessly(person: Person, jobs: Jobs, name: str) -> None:
    response = person.upload((make_jpeg(), name))
    assert response.status_code == 303
    page = person.get(response.headers["Location"]).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "etc" not in page.split("<main")[1]
    assert newest_job(jobs).counts.total == 1


def test_script_sends_images_one_by_one_and_closes(script: Script, jobs: Jobs) -> None:
    job = script.create()
    for name in ("a.jpg", "b.jpg"):
        response = script.add(job, make_jpeg(), name)
        assert response.status_code == 201
        assert response.json is not None
        assert response.json["name"] == name
    assert jobs.job(job["id"]).is_open
    assert script.send(job["close_url"]).status_code == 204
    assert not jobs.job(job["id"]).is_open


def test_images_keep_the_order_of_the_uploader_however_they_arrive(
    script: Script, jobs: Jobs
) -> None:
    job = script.create()
    for name, position in (("b.jpg", "2"), ("a.jpg", "1"), ("c.jpg", "9" * 30)):
        script.send(job["images_url"], images=part(make_jpeg(), name), position=position)
    assert [image.name for image in jobs.job(job["id"]).images] == ["a.jpg", "b.jpg", "c.jpg"]


def test_image_sent_again_after_a_lost_answer_is_kept_once(script: Script, jobs: Jobs) -> None:
    job = script.create()
    images = [{"images": part(make_jpeg(), "a.jpg"), "position": "1"} for _ in range(2)]
    answers = [script.send(job["images_url"], **image) for image in images]
    assert answers[0].json == answers[1].json
    assert jobs.job(job["id"]).counts.total == 1


def test_same_image_twice_is_two_images(script: Script, jobs: Jobs) -> None:
    job = script.create()
    for position in ("1", "2"):
        script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=position)
    script.add(job, make_jpeg())
    script.add(job, make_jpeg())
    assert jobs.job(job["id"]).counts.total == 3


def test_image_for_a_closed_job_is_refused(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    script.send(job["close_url"])
    response = script.add(job, make_jpeg())
    assert response.status_code == 409
    assert response.json is not None
    assert response.json["code"] == "job_closed"


def test_closed_job_can_be_reopened_for_a_failed_upload(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    script.send(job["close_url"])
    before = jobs.progress(job["id"]).version
    assert script.send(job["reopen_url"]).status_code == 204
    assert jobs.progress(job["id"]).version > before  # A page that looks on is told.
    assert script.add(job, make_jpeg(), "b.jpg").status_code == 201


def test_job_with_the_most_images_is_not_reopened(script: Script, jobs: Jobs) -> None:
    job = script.create()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        script.add(job, make_jpeg(), name)
    script.send(job["close_url"])
    response = script.send(job["reopen_url"])
    assert response.status_code == 409
    assert (response.json or {})["code"] == "job_closed"
    assert not jobs.job(job["id"]).is_open


def test_job_that_is_gone_is_not_reopened(script: Script) -> None:
    job = script.create()
    script.send(job["close_url"])
    assert script.send(job["reopen_url"]).status_code == 404


def test_tabs_of_one_browser_that_submit_at_once_are_one_owner(
    app: Flask, script: Script, jobs: Jobs
) -> None:
    script.token()
    other = Script(app.test_client())
    cookie = script.client.get_cookie("session")
    assert cookie
    other.client.set_cookie("session", cookie.value)
    first, second = script.create(), other.create()
    assert script.add(second, make_jpeg()).status_code == 201
    assert other.add(first, make_jpeg()).status_code == 201


def test_only_the_owner_can_add_images(script: Script, stranger: Person) -> None:
    job = script.create()
    other = Script(stranger.client)
    assert other.add(job, make_jpeg()).status_code == 403
    assert other.send(job["close_url"]).status_code == 403
    assert other.send(job["reopen_url"]).status_code == 403


@pytest.mark.parametrize("token", [None, "wrong"])
def test_form_without_the_right_token_is_refused(
    client: FlaskClient, jobs: Jobs, token: str | None
) -> None:
    data = {"images": (io.BytesIO(make_jpeg()), "a.jpg"), "presets": "square"}
    if token:
        data["csrf_token"] = token
    response = client.post("/jobs", data=data, headers={"Accept": "text/html"})
    assert response.status_code == 400
    assert "Reload it." in response.text
    assert nothing_left(jobs)


def test_request_larger_than_any_is_refused(person: Person, jobs: Jobs, app: object) -> None:
    person.client.application.config["MAX_CONTENT_LENGTH"] = 1000
    response = person.upload((make_jpeg(size=(200, 200)), "a.jpg"))
    assert response.status_code == 413
    assert "Send fewer files." in response.text
    assert nothing_left(jobs)


def test_broken_off_upload_leaves_nothing(client: FlaskClient, jobs: Jobs) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        + make_jpeg()[:200]
    )
    client.post("/upload_image", data=body, content_type="multipart/form-data; boundary=x")
    assert files_left(jobs) == []


def test_no_pixels_are_decoded_for_the_answer(script: Script, jobs: Jobs) -> None:
    job = script.create()
    data = make_image("RGB", (200, 200), "png")
    cut = data[: len(data) // 2]
    assert script.add(job, cut, "cut.png").status_code == 201


def test_every_field_is_described_by_something_that_is_there(person: Person) -> None:
    page = person.page("/")
    named = " ".join(page.values("[aria-describedby]", "aria-describedby")).split()
    assert "keep_hours-error" in named
    assert set(named) <= set(page.values("[id]", "id"))


def missing(jobs: Jobs) -> list[tuple[str, str]]:
    return [(file.name, file.reason) for file in newest_job(jobs).missing_files]


def test_job_remembers_what_its_uploader_could_not_send(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    lost = [
        [2, "a/b\u202e.jpg", "Connection\n \u202elost."],
        [3, "\ud83d.jpg", "\ud83dA" * 999],
    ]
    script.send(job["close_url"], missing_files=json.dumps(lost))
    assert missing(jobs) == [("b.jpg", "Connection lost."), (".jpg", "A" * 300)]
    assert ", 2 missing" in script.get(job["url"]).text
    assert ", 2 missing" in script.get("/jobs").text


def test_image_whose_answer_got_lost_is_not_missing(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    said = [[1, "a.jpg", "Connection lost."], [2, "b.jpg", "Connection lost."]]
    script.send(job["close_url"], missing_files=json.dumps(said))
    assert missing(jobs) == [("b.jpg", "Connection lost.")]


def test_file_that_came_after_all_is_missing_no_more(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    script.send(job["close_url"], missing_files='[[2, "b.jpg", "Connection lost."]]')
    script.send(job["reopen_url"])
    script.add(job, make_jpeg(), "b.jpg")
    script.send(job["close_url"], missing_files="[]")
    assert missing(jobs) == []


@pytest.mark.parametrize(
    "said", ["", "{}", "[1]", "[[]]", '[["one", "a", "b"]]', "[[1e999, 1, 1]]", "[" * 99_999]
)
def test_nonsense_about_what_is_missing_hinders_no_end(
    script: Script, jobs: Jobs, said: str
) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    assert script.send(job["close_url"], missing_files=said).status_code == 204
    assert missing(jobs) == []


def test_every_refused_file_is_named_on_the_job_page_for_good(tmp_path: Path) -> None:
    bad = [(b"words", f"{number:036}.heic") for number in range(150)]
    with running_app(Config(instance=tmp_path)) as app:
        person = Person(app.test_client())
        address = person.submit((make_jpeg(), "good.jpg"), *bad)
        for _ in range(2):
            page = person.get(address).text
            assert "0 of 1 image done, 150 missing" in page
            assert [name for _, name in bad if name not in page] == []
            assert page.count("This is text, not an image.") == 150


def test_files_beyond_the_limit_of_a_job_are_not_received(person: Person) -> None:
    response = person.upload(*[(b"words", f"{number}.jpg") for number in range(4)])
    sentences = refused(Page(response.text))
    assert sentences["2.jpg"].startswith("This is text")
    assert sentences["3.jpg"].startswith("A job has at most 3 images.")


def test_form_that_cannot_be_taken_whole_is_not_taken_by_half(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_image, calls = jobs.store.queue.add, []

    def fill_the_disk(*args: Any) -> bool:
        calls.append(args)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return add_image(*args)

    monkeypatch.setattr(jobs.store.queue, "add", fill_the_disk)
    response = person.upload((make_jpeg(), "1.jpg"), (make_jpeg(), "2.jpg"))
    assert response.status_code == 507
    assert "disk is full" in response.text
    assert nothing_left(jobs)


MALFORMED: dict[str, dict[str, Any]] = {
    "images as text": {"images": "a.jpg"},
    "a file as width": {"outputs-0-width": part(b"640", "640.txt"), "presets": []},
    "an odd digit": {"outputs-²-width": "640"},
    "an endless number": {f"outputs-{'9' * 5000}-width": "640"},
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_form_is_refused_and_leaves_nothing(
    person: Person, jobs: Jobs, fields: dict[str, Any]
) -> None:
    response = person.post("/jobs", **{"presets": "square", **fields})
    assert response.status_code in (400, 422)
    assert nothing_left(jobs)


def test_form_creates_a_whole_job(person: Person, jobs: Jobs) -> None:
    form = multipart(csrf_token=person.token(), presets="square", images=part(make_jpeg(), "a.jpg"))
    response = person.client.post("/jobs", headers={"Accept": "*/*"}, **form)
    assert response.status_code == 303
    assert newest_job(jobs).counts.total == 1


@pytest.mark.parametrize("kind", ["PNG", "late PNG", "GIF"])
def test_header_of_a_million_pieces_is_read_quickly(person: Person, jobs: Jobs, kind: str) -> None:
    pieces = 70_000
    if "PNG" in kind:
        whole = make_png()
        start = 33 if kind == "PNG" else -12
        data = whole[:start] + make_png_chunk(b"teSt", b"") * pieces + whole[start:]
    else:
        whole = make_image("P", (40, 30), "GIF")
        start = 13 + 3 * (2 << (whole[10] & 7))
        data = whole[:start] + b"\x21\xfe\x01x\0" * pieces + whole[start:]
    response = person.upload((data, "a.bin"))
    assert response.status_code == 415
    assert nothing_left(jobs)


def test_upload_to_a_full_disk_is_told_so_and_keeps_nothing(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 1_000_000)
    answer = person.upload((make_jpeg(), "a.jpg"))
    assert answer.status_code == 507
    assert "The server&#39;s disk is full" in answer.text
    assert nothing_left(jobs)
