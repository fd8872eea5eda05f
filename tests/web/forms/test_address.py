"""Fill in the form from an address, or from the last recipe."""

from pathlib import Path

import pytest

from tests.support.app import running_app
from tests.support.people import Person
from webapp.config import Config


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


def test_last_recipe_is_filled_in(person: Person) -> None:
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


def test_address_overrides_the_last_recipe(person: Person) -> None:
    person.client.set_cookie("recipe", "preset=card")
    form = person.page("/?preset=avatar").filled_in()
    assert [value for name, value in form if name == "presets"] == ["avatar"]


@pytest.mark.parametrize(
    "address",
    ["/?utm_source=x", "/?w0=1", "/?outputs-0-width=5", "/?is_used=1", "/?w100=3", "/?=&%ff=%fe"],
)
def test_address_without_a_recipe_gets_the_default_form(person: Person, address: str) -> None:
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
        "enlarge=maybe",
        "widths=a+b",
        "keep_hours=5",
        "keep_hours=9999",
        "keep_hours=long",
        "keep_hours=",
    ],
)
def test_part_of_an_address_not_understood_is_named(person: Person, part: str) -> None:
    page = person.page(f"/?preset=square&{part}").text()
    assert f"This part of the link was not understood: {part.replace('+', ' ')}".strip() in page


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
            "A job makes at most 20 files from each photo.",
        ),
        (
            "w=4000&format=png&h2=4096&format2=png&w3=3999&format3=png&w4=4001&format4=png",
            "outputs-3-width",
            "4001",
            "All sizes together have at most 64 megapixels. These have 64.8:"
            " choose fewer or smaller ones.",
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


def test_error_names_the_limit_of_the_operator(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_side=1000)) as app:
        page = Person(app.test_client()).page("/?w=2000")
    assert page.errors() == [("outputs-0-width", "The width must be from 1 to 1000 pixels.")]


def test_sizes_of_an_address_beyond_the_limit_are_named(person: Person) -> None:
    parts = "&".join(f"w{number}={number}" for number in range(1, 60))
    page = " ".join(person.get(f"/?{parts}").text.split())
    assert page.count('class="output"') == 20
    assert (
        "A job has at most 20 sizes of your own. These parts of the link were ignored:"
        " <bdi>w21=21, w22=22, w23=23,"
    ) in page


def test_sizes_of_an_address_are_counted_by_their_number(person: Person) -> None:
    page = person.page("/?w3=64&w59=32")
    assert len(page.all(".output")) == 2
    assert "ignored" not in page.text()


def test_address_without_a_size_has_no_errors(person: Person) -> None:
    assert person.page("/?format=avif&fit=cover").errors() == []


@pytest.mark.parametrize(
    "address", ["/", "/?utm_source=x", "/?preset=card&w=640&h=360&fit=cover&format=avif&quality=70",
                "/?w=&enlarge=0&widths=320+640&formats=avif&background=%23ff0000&focus=smart",
                "/?preset=card&keep_hours=168"]
)  # fmt: skip
def test_understood_address_gets_no_message(person: Person, address: str) -> None:
    assert "not understood" not in person.get(address).text


def test_invalid_recipe_cookie_is_ignored(person: Person) -> None:
    person.client.set_cookie("recipe", "preset=gone&w=77")
    assert "not understood" not in person.get("/").text


def test_address_without_a_recipe_keeps_the_last_one(person: Person) -> None:
    person.client.set_cookie("recipe", "preset=card&w=77")
    assert person.page("/?utm_source=x").filled_in() == person.page("/").filled_in()


@pytest.mark.parametrize("value", ["1", "true", "Yes", "on", "y"])
@pytest.mark.parametrize("name", ["transparent", "enlarge", "keep_copyright", "animated"])
def test_switch_turned_on_in_an_address_is_on(person: Person, name: str, value: str) -> None:
    form = person.page(f"/?w=64&w2=32&{name}2={value}").filled_in()
    assert (f"outputs-1-{name}", "y") in form
    assert (f"outputs-0-{name}", "y") not in form


def test_link_can_ask_for_display_p3(person: Person) -> None:
    form = person.page("/?w=64&color=keep&w2=32").filled_in()
    assert ("outputs-0-color", "keep") in form
    assert ("outputs-1-color", "srgb") in form


@pytest.mark.parametrize("value", ["0", "false", "no", "off", ""])
def test_switch_turned_off_in_an_address_is_off(person: Person, value: str) -> None:
    switch = person.page(f"/?w=64&enlarge={value}").one("input[name=outputs-0-enlarge]")
    assert "checked" not in switch.attributes


@pytest.mark.parametrize("value", ["<u>", "9" * 3000, "%00", "-1", "wide"])
def test_strange_values_in_an_address_are_harmless(person: Person, value: str) -> None:
    names = ("preset", "w", "fit", "format", "max_kb", "background", "focus", "widths", "formats")
    response = person.get("/?" + "&".join(f"{name}={value}" for name in names))
    assert response.status_code == 200
    assert "<u>" not in response.text


def test_last_preset_no_longer_offered_is_dropped(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_side=1000)) as app:
        person = Person(app.test_client())
        person.client.set_cookie("recipe", "preset=web-set")
        form = person.page("/").filled_in()
    assert ("presets", "card") in form
