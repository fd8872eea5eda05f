"""The names of downloaded files."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.images import make_jpeg
from tests.support.jobs import work
from tests.support.pages import read_zip
from tests.support.people import Person
from webapp.exports.file_names import PART_BYTES, safe_name
from webapp.jobs.lifecycle import Jobs

SQUARE_AND_CARD = {"presets": ["square", "card"]}


def names_in_zip(person: Person, jobs: Jobs, names: list[str], pattern: str) -> list[str]:
    """Upload a picture under each name, and list the file names in the zip."""
    files = [(make_jpeg(), name) for name in names]
    path = person.submit(*files, **SQUARE_AND_CARD)
    work(jobs)
    with read_zip(person.get(f"{path}/zip?names={pattern}")) as archive:
        thumbnails = [name for name in archive.namelist() if name.startswith("thumbnails/")]
    return [name.removeprefix("thumbnails/") for name in thumbnails]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ["beach-square.jpg", "beach-card.webp"]),
        ("{number}-{name}/{output}", ["01-beach/square.jpg", "01-beach/card.webp"]),
        ("{output}/{name}", ["square/beach.jpg", "card/beach.webp"]),
        (
            "{format}/{width}x{height} {name}",
            ["jpeg/100x100 beach.jpg", "webp/120x68 beach.webp"],
        ),
        ("holiday", ["holiday.jpg", "holiday.webp"]),
    ],
)
def test_files_are_named_after_the_pattern(
    person: Person, jobs: Jobs, pattern: str, expected: list[str]
) -> None:
    assert names_in_zip(person, jobs, ["beach.jpg"], pattern) == expected


def test_second_image_of_a_name_gets_a_number(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["a.jpg", "a.jpg", "a.png"], "{output}/{name}")
    assert names == [
        "square/a.jpg", "card/a.webp", "square/a (1).jpg", "card/a (1).webp", "square/a (2).jpg",
        "card/a (2).webp",
    ]  # fmt: skip


def test_number_follows_the_whole_name(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["v1.2.jpg", "v1.2.jpg"], "")
    assert names[2] == "v1.2 (1)-square.jpg"


def test_no_two_files_get_the_same_number(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["a.jpg", "a (1).jpg", "a.jpg"], "{output}/{name}")
    assert names[::2] == ["square/a.jpg", "square/a (1).jpg", "square/a (2).jpg"]


def test_names_differ_where_letter_case_does_not_count(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["Straße.jpg", "STRASSE.jpg"], "{output}/{name}")
    assert names[::2] == ["square/Straße.jpg", "square/STRASSE (1).jpg"]


def test_composed_and_decomposed_letters_are_the_same(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["caf\u00e9.jpg", "cafe\u0301.jpg"], "{output}/{name}")
    assert names[::2] == ["square/caf\u00e9.jpg", "square/caf\u00e9 (1).jpg"]


def test_names_differ_where_joiners_do_not_count(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["می\u200cخواهم.jpg", "میخواهم.jpg"], "{output}/{name}")
    assert names[::2] == ["square/می\u200cخواهم.jpg", "square/میخواهم (1).jpg"]


def test_name_in_the_zip_is_that_on_the_page(person: Person, jobs: Jobs) -> None:
    name = "👨\u200d👩\u200d👧 می\u200cخواهم"
    path = person.submit((make_jpeg(), f"{name}.jpg"))
    work(jobs)
    page = person.get(path).text
    assert f"{name}.jpg" in page
    assert f'download="{name}-square.jpg"' in page
    with read_zip(person.get(f"{path}/zip")) as archive:
        assert f"thumbnails/{name}-square.jpg" in archive.namelist()


def test_pattern_without_placeholders_is_numbered(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["a.jpg", "b.jpg"], "picture")
    assert names == ["picture.jpg", "picture.webp", "picture (1).jpg", "picture (1).webp"]


def test_long_name_keeps_its_output(person: Person, jobs: Jobs) -> None:
    names = names_in_zip(person, jobs, ["写" * 200 + ".jpg"], "")
    assert names[0] == "写" * 33 + "-square.jpg"


def test_thumbnail_downloaded_alone_is_named_as_in_the_zip(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a:b.jpg"))
    work(jobs)
    assert 'download="a_b-square.jpg"' in person.get(path).text


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{size}", "{name}, {number}, {output}"),
        ("{name", "in braces"),
        ("{name.__class__}", "in braces"),
        ("{}", "in braces"),
        ("{{name}}", "in braces"),
        ("../{name}", "ends with a dot"),
        ("/{name}", "no part between slashes is empty"),
        ("{name}/", "no part between slashes is empty"),
        ("a//{name}", "no part between slashes is empty"),
        ("{name}:{output}", "or contains"),
        ("{name}\\{output}", "or contains"),
        ("con/{name}", "every system accepts"),
        ("{name}%00", "every system accepts"),
        ("{name}%E2%80%AE", "every system accepts"),
        ("a/b/c/{name}", "at most 2 folders"),
        ("x" * 101, "at most 100 characters"),
    ],
)
def test_pattern_that_cannot_name_files_is_refused_with_the_reason(
    person: Person, pattern: str, words: str
) -> None:
    path = person.submit(make_jpeg())
    answer = person.client.get(f"{path}/zip?names={pattern}")
    assert answer.status_code == 422
    assert answer.json
    assert answer.json["code"] == "invalid_names"
    assert answer.json["field"] == "names"
    assert words in answer.json["detail"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CON", "_CON"),
        ("nul.tar", "_nul.tar"),
        ("com¹", "_com¹"),
        ("console", "console"),
        ("trailing. . ", "trailing"),
        (".htaccess", "htaccess"),
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        ("a/b\\c", "a_b_c"),
        ("photo\u202egpj", "photogpj"),
        ("photo\u2067gpj\u200b\ufeff", "photogpj"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("\u200d\u200c", "_"),
        (".\u200d.", "_"),
        ("tab\tand\nline", "tabandline"),
        ("wide\u3000space\u2028line", "wide space line"),
        ("صورة שלום", "صورة שלום"),
        ("...", "_"),
        ("", "_"),
    ],
)
def test_name_is_made_safe_for_every_system(name: str, expected: str) -> None:
    assert safe_name(name) == expected


@given(st.text())
def test_any_name_is_made_safe(name: str) -> None:
    safe = safe_name(name)
    assert safe_name(safe) == safe
    assert unicodedata.is_normalized("NFC", safe)
    assert 1 <= len(safe.encode()) <= PART_BYTES
    assert safe not in (".", "..")
    assert not set(safe) & set('<>:"/\\|?*\0')
