"""Fill in custom sizes and a responsive set."""

from dataclasses import replace

import pytest

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import newest_job, nothing_left, output_files, recipe_of
from tests.support.people import Person, Script
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs


def test_size_is_made_in_every_format_chosen(person: Person, jobs: Jobs) -> None:
    own = {"outputs-0-width": "64", "outputs-0-format": ["webp", "avif"], "presets": []}
    person.upload((make_jpeg(), "a.jpg"), **own)
    assert output_files(newest_job(jobs)) == ["64w.webp", "64w.avif"]


def test_size_without_a_format_is_refused_beside_the_formats(script: Script) -> None:
    response = script.send("/jobs/open", **{"outputs-0-width": "64"})
    assert response.json is not None
    assert response.json["field"] == "outputs-0-format"
    assert response.json["detail"] == "Choose at least one format."


def test_still_format_stays_still_beside_an_animated_one(person: Person, jobs: Jobs) -> None:
    own = {"outputs-0-format": ["jpeg", "gif"], "outputs-0-animated": "y", "presets": []}
    person.upload((make_jpeg(), "a.jpg"), **{"outputs-0-width": "64", **own})
    recipe = recipe_of(newest_job(jobs))
    assert [(output.format, output.animated) for output in recipe.outputs] == [
        ("jpeg", False),
        ("gif", True),
    ]


def test_display_p3_can_be_kept(person: Person, jobs: Jobs) -> None:
    own = {"outputs-0-width": "64", "outputs-1-width": "32", "outputs-1-color": "keep"}
    formats = {"outputs-0-format": "webp", "outputs-1-format": "webp"}
    person.upload((make_jpeg(), "a.jpg"), presets=[], **own, **formats)
    assert [output.color for output in recipe_of(newest_job(jobs)).outputs] == ["srgb", "keep"]


@pytest.mark.parametrize(
    ("query", "is_open"),
    [
        ("w=64", False),
        ("w=64&color=keep", True),
        ("w=64&quality=0", True),
        ("w=64&color=srgb", False),
    ],
)
def test_rest_of_a_size_is_open_where_it_is_filled_in(
    person: Person, query: str, is_open: bool
) -> None:
    assert ("open" in person.page(f"/?{query}").one(".more").attributes) is is_open


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


@pytest.mark.parametrize(
    ("word", "is_on"), [("y", True), ("on", True), ("1", True), ("0", False), ("no", False)]
)
def test_boxes_take_the_usual_words_for_on_and_off(
    person: Person, jobs: Jobs, word: str, is_on: bool
) -> None:
    boxes = {f"outputs-0-{name}": word for name in ("transparent", "enlarge", "keep_copyright")}
    own = {"outputs-0-width": "64", "outputs-0-format": "webp", **boxes}
    person.upload((make_jpeg(), "a.jpg"), presets=[], **own)
    (output,) = recipe_of(newest_job(jobs)).outputs
    switches = (output.background == "transparent", output.enlarge, output.keep_copyright)
    assert switches == (is_on, is_on, is_on)


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
def test_wrong_responsive_set_has_an_error_beside_its_field(
    script: Script, widths: str, formats: list[str], field: str, sentence: str
) -> None:
    wanted = {"responsive-widths": widths, "responsive-formats": formats}
    response = script.send("/jobs/open", **wanted)
    assert response.json is not None
    assert response.json["field"] == f"responsive-{field}"
    assert sentence in response.json["detail"]


def test_output_without_a_size_is_not_made(person: Person, jobs: Jobs) -> None:
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
def test_wrong_size_has_an_error_beside_its_field(
    person: Person, jobs: Jobs, width: str, sentence: str
) -> None:
    response = person.upload(
        (make_jpeg(), "a.jpg"), **{"outputs-0-width": width, "outputs-0-format": "jpeg"}
    )
    assert response.status_code == 422
    assert sentence in response.text
    assert f'value="{width}"' in response.text
    assert nothing_left(jobs)


def test_script_gets_the_field_of_a_wrong_size(script: Script, jobs: Jobs) -> None:
    response = script.send("/jobs/open", **{"outputs-0-width": "0", "outputs-0-format": "jpeg"})
    assert response.status_code == 422
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "The width must be from 1 to 4096 pixels.",
        "field": "outputs-0-width",
    }
    assert nothing_left(jobs)


@pytest.mark.parametrize("preset", [[], "web-set"])
def test_outputs_and_sides_beyond_the_operators_limits_are_refused(
    config: Config, preset: object
) -> None:
    with running_app(replace(config, max_outputs=1, max_side=640)) as app:
        own = {"outputs-0-width": "641", "outputs-0-format": "jpeg"}
        answer = Person(app.test_client()).upload((make_jpeg(), "a.jpg"), presets=preset, **own)
    assert answer.status_code == 422
    assert "The width must be from 1 to 640 pixels." in answer.text
