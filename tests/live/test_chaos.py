"""A minute of `make chaos`: processes are killed once a second while people upload."""

import pytest

from tests.chaos import Report, run_chaos

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("chaos")
    report = run_chaos(folder / "instance", uploads=60, seconds=20, seed=1)
    print(report)
    return report


def test_no_acknowledged_image_is_lost(report: Report) -> None:
    assert report.acknowledged >= 60
    assert report.lost == []


def test_no_image_is_finished_twice(report: Report) -> None:
    assert report.finished_twice == []


def test_every_image_ends_as_it_deserves(report: Report) -> None:
    assert report.unjust == []


def test_database_is_intact_and_no_process_outlives_its_parent(report: Report) -> None:
    assert report.unhealthy == []


def test_sweep_leaves_no_file_that_no_row_knows(report: Report) -> None:
    assert report.strays == []
