"""Fill in the form: presets and sizes, which make a recipe."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import job_at, newest_job, nothing_left, output_files, recipe_of
from tests.support.people import Person, Script, part
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.recipes.outputs import InvalidRecipe, Output, Recipe, RecipeLimits
from webapp.recipes.presets import PRESETS
from webapp.web.forms.upload import UploadForm


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"outputs-19-width": "99"}, "outputs-19-width"),
        ({"responsive-widths": "99", "responsive-formats": "webp"}, "responsive-widths"),
        # Twelve of presets, and twelve sizes: the ninth is one too many.
        ({"presets": ["square", "avatar", "card", "social", "web-set"]}, "outputs-8-width"),
    ],
)
def test_too_many_outputs_have_an_error_beside_their_field(
    script: Script, fields: dict[str, Any], field: str
) -> None:
    sizes = {f"outputs-{n}-width": str(n + 1) for n in range(12 if "presets" in fields else 19)}
    formats = {f"outputs-{n}-format": "webp" for n in range(20)}
    response = script.send("/jobs/open", **{"presets": "square", **sizes, **formats, **fields})
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "A job makes at most 20 files from each photo.",
        "field": field,
    }


def test_sizes_beyond_the_form_are_refused(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_outputs=100)) as app:
        script = Script(app.test_client())
        sizes = {f"outputs-{n}-width": str(n + 1) for n in range(52)}
        formats = {f"outputs-{n}-format": "webp" for n in range(52)}
        response = script.send("/jobs/open", presets="square", **sizes, **formats)
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "A job has at most 50 sizes of your own.",
        "field": "outputs-50-width",
    }


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
def test_presets_within_the_limits_are_offered(
    tmp_path: Path, limits: dict[str, int], offered: list[str], ticked: list[str]
) -> None:
    with running_app(Config(instance=tmp_path, **limits)) as app:  # type: ignore[arg-type]
        person = Person(app.test_client())
        page = person.page("/")
    assert page.values("input[name=presets]") == offered
    assert page.values("input[name=presets][checked]") == ticked


def test_default_form_is_accepted_under_low_limits(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_side=1000)) as app:
        person = Person(app.test_client())
        form = MultiDict(person.page("/").filled_in()).to_dict(flat=False)
        answer = person.post("/jobs", **form, images=part(make_jpeg(), "a.jpg"))
    assert answer.status_code == 303, answer.text


def test_presets_and_custom_sizes_make_one_recipe(person: Person, jobs: Jobs) -> None:
    own = {"outputs-0-width": "64", "outputs-0-height": "48", "outputs-0-fit": "cover"}
    own["outputs-0-format"] = "jpeg"
    person.upload((make_jpeg(), "a.jpg"), presets=["square", "card"], **own)
    assert output_files(newest_job(jobs)) == ["square.jpg", "card.webp", "64x48-cover.jpg"]


def test_form_with_the_most_sizes_is_read_whole(person: Person) -> None:
    one: dict[str, object] = {
        "height": "64", "fit": "contain", "quality": "70", "max_kb": "9", "focus": "",
        "background": "#ffffff", "transparent": "y", "enlarge": "y", "keep_copyright": "y",
        "animated": "y", "color": "keep",
        "format": ["jpeg", "png", "webp", "avif", "gif", "source"],
    }  # fmt: skip
    sizes = {f"outputs-{n}-{name}": value for n in range(50) for name, value in one.items()}
    widths = {f"outputs-{n}-width": str(n + 1) for n in range(50)}
    answer = person.upload((make_jpeg(), "a.jpg"), **sizes, **widths)
    assert "A job makes at most 20 files from each photo." in answer.text


def test_script_gets_the_field_of_an_empty_recipe(script: Script) -> None:
    response = script.send("/jobs/open", keep_hours="24")
    assert response.json == {
        "code": "invalid_recipe",
        "detail": "Choose at least one size.",
        "field": "presets",
    }


def test_unknown_preset_is_refused(person: Person, jobs: Jobs) -> None:
    response = person.upload((make_jpeg(), "a.jpg"), presets="huge")
    assert response.status_code == 422
    assert "There is no preset of that name." in response.text
    assert nothing_left(jobs)


def test_every_description_of_a_field_exists(person: Person) -> None:
    page = person.page("/")
    named = " ".join(page.values("[aria-describedby]", "aria-describedby")).split()
    assert "keep_hours-error" in named
    assert set(named) <= set(page.values("[id]", "id"))


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
    assert response.status_code in (400, 413, 422)
    assert nothing_left(jobs)


@pytest.mark.parametrize(
    "fields",
    [
        {"presets": "card"},
        {"presets": ["square", "web-set"]},
        {"outputs-0-width": "300", "outputs-0-format": ["webp", "png"], "presets": "avatar"},
        {
            "presets": [],
            "outputs-0-width": "300",
            "outputs-0-height": "200",
            "outputs-0-fit": "pad",
            "outputs-0-format": "webp",
            "outputs-0-transparent": "y",
            "outputs-0-quality": "70",
            "outputs-0-max_kb": "90",
            "outputs-1-width": "32",
            "outputs-1-height": "32",
            "outputs-1-fit": "cover",
            "outputs-1-focus": "smart",
            "outputs-1-format": "jpeg",
            "outputs-1-enlarge": "y",
        },
    ],
)
def test_remake_form_is_filled_in_with_the_recipe(
    person: Person, app: Flask, jobs: Jobs, fields: dict[str, object]
) -> None:
    recipe = recipe_of(job_at(jobs, person.submit(make_jpeg(), **fields)))
    with app.test_request_context():
        again = UploadForm.from_recipe(recipe).recipe(jobs.recipe_limits)
    assert set(again.outputs) == set(recipe.outputs)


def filled_in(app: Flask, fields: dict[str, object]) -> UploadForm:
    """Fill in the form as a person would."""
    with app.test_request_context():
        return UploadForm(formdata=MultiDict(fields))


def own_sizes(form: UploadForm) -> list[dict[str, Any]]:
    return [entry.data for entry in form.outputs if entry.form.is_used]


@pytest.mark.parametrize(
    "fields",
    [
        {"responsive-widths": "400 800", "responsive-formats": ["webp", "jpeg"]},
        {"responsive-widths": "400 800 1200", "responsive-formats": ["avif"]},
        {
            "presets": ["web-set", "square"],
            "responsive-widths": "400 800",
            "responsive-formats": ["webp", "png"],
            "outputs-0-width": "400",
            "outputs-0-height": "400",
            "outputs-0-format": "webp",
        },
        {
            "presets": ["card"],
            "responsive-widths": "400 800",
            "responsive-formats": ["webp", "jpeg"],
            "outputs-0-width": "1000",
            "outputs-0-format": "webp",
        },
    ],
)
def test_responsive_set_is_filled_in_as_one(app: Flask, jobs: Jobs, fields: dict[str, Any]) -> None:
    form = filled_in(app, fields)
    with app.test_request_context():
        again = UploadForm.from_recipe(form.recipe(jobs.recipe_limits))
    assert again.responsive.data == form.responsive.data
    assert own_sizes(again) == own_sizes(form)
    assert set(again.presets.data) == set(form.presets.data)


# Few values, so that sizes, sets and presets often meet.
own_size = st.fixed_dictionaries(
    {
        "width": st.sampled_from(["320", "400"]),
        "format": st.lists(st.sampled_from(["webp", "jpeg", "source"]), min_size=1, unique=True),
    },
    optional={
        "height": st.just("320"),
        "fit": st.just("cover"),
        "quality": st.just("70"),
        "animated": st.just("y"),
    },
)


def outputs(recipe: Recipe) -> set[Output]:
    """Return the outputs without the numbers of equal names."""
    return {replace(one, name=re.sub(r"-\d+$", "", one.name)) for one in recipe.outputs}


@given(
    presets=st.lists(st.sampled_from(list(PRESETS)), unique=True, max_size=2),
    own=st.lists(own_size, max_size=4),
    widths=st.lists(st.sampled_from(["320", "400", "640"]), max_size=3),
    formats=st.lists(st.sampled_from(["webp", "jpeg"]), unique=True, min_size=1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_form_filled_in_with_a_recipe_makes_the_same(
    app: Flask,
    presets: list[str],
    own: list[dict[str, Any]],
    widths: list[str],
    formats: list[str],
) -> None:
    fields: dict[str, Any] = {"presets": presets}
    fields |= {"responsive-widths": " ".join(widths), "responsive-formats": formats}
    for number, size in enumerate(own):
        fields |= {f"outputs-{number}-{name}": value for name, value in size.items()}
    limits = RecipeLimits.from_config(Config(max_outputs=100))
    form = filled_in(app, fields)
    try:
        recipe = form.recipe(limits)
    except InvalidRecipe:
        return
    with app.test_request_context():
        again = UploadForm.from_recipe(recipe)
        assert outputs(again.recipe(limits)) == outputs(recipe)
        assert UploadForm.from_recipe(again.recipe(limits)).data == again.data


def test_remake_form_shows_a_recipe_beyond_the_limits(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path)) as app:
        path = Person(app.test_client()).submit(make_jpeg(), presets="web-set")
        recipe = recipe_of(job_at(app.extensions["jobs"], path))
    with running_app(Config(instance=tmp_path, max_side=1000)) as app, app.test_request_context():
        form = UploadForm.from_recipe(recipe)
    assert form.presets.data == []
    assert form.responsive.data == {"widths": "320 640 1280 1920", "formats": ["webp", "jpeg"]}
