"""How numbers and times are written."""

import pytest

from webapp.web.formatters import about, period, saving


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"),
        (6, "about 10 seconds"),
        (41, "about 50 seconds"),
        (75, "about a minute"),
        (125, "about 2 minutes"),
        (5400, "about 90 minutes"),
        (7000, "about 2 hours"),
    ],
)
def test_time_left_is_rounded(seconds: float, words: str) -> None:
    assert about(seconds) == words


@pytest.mark.parametrize(("part", "words"), [(0.942, "−94 %"), (0.999, "−99 %"), (-0.12, "+12 %")])
def test_saving_never_reaches_100_percent(part: float, words: str) -> None:
    assert saving(part) == words


@pytest.mark.parametrize("part", [0, 0.004, -0.004])
def test_saving_of_nothing_has_no_sign(part: float) -> None:
    assert saving(part) == "0 %"


@pytest.mark.parametrize(
    ("hours", "words"), [(1, "1 hour"), (24, "24 hours"), (36, "36 hours"), (168, "7 days")]
)
def test_retention_is_shown_in_words(hours: float, words: str) -> None:
    assert period(hours) == words
