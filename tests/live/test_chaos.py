"""A short `make chaos`: 20 s of uploads with a kill each second."""

import statistics

import pytest

from tests.support.chaos import MIN_KILLS, RECOVERY_SECONDS, Report, run_chaos

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("chaos")
    report = run_chaos(folder / "instance", uploads=60, seconds=20, seed=1)
    print(report)
    return report


def test_run_has_enough_kills_and_uploads(report: Report) -> None:
    assert report.done > 0
    assert report.kills.total() >= MIN_KILLS
    assert report.recovery != []


def test_no_acknowledged_image_is_lost(report: Report) -> None:
    assert report.acknowledged >= 60
    assert report.lost == []


def test_no_image_is_finished_twice(report: Report) -> None:
    assert report.finished_twice == []


def test_images_run_again_soon(report: Report) -> None:
    assert statistics.median(report.recovery) <= RECOVERY_SECONDS


def test_every_image_ends_as_it_should(report: Report) -> None:
    assert report.unjust == []


def test_database_is_intact_and_no_process_outlives_its_parent(report: Report) -> None:
    assert report.unhealthy == []


def test_sweep_leaves_no_file_without_a_row(report: Report) -> None:
    assert report.strays == []
