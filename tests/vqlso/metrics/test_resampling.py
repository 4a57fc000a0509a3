"""Drawing and resampling: what comes together, what is left out, and how often."""

import numpy as np
import pytest

from vqlso.errors import DataError
from vqlso.metrics.resampling import drawn, half_width, resampled, runs_of


def test_drawn_rows_are_different_and_in_order() -> None:
    rows = drawn(50, 20, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 20
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(drawn(5, 5, np.random.default_rng(0)), np.arange(5))


def test_every_row_is_drawn_equally_often() -> None:
    rng = np.random.default_rng(1)
    counts = sum(np.bincount(drawn(10, 3, rng), minlength=10) for _ in range(3000))
    assert np.abs(counts - 900).max() < 4 * np.sqrt(3000 * 0.3 * 0.7)


def test_rows_of_a_run_come_and_go_together() -> None:
    runs = np.array([1, 0, 2, 1, 1, 0, 2])
    for rows in resampled(runs, 50, np.random.default_rng(2)):
        counts = np.bincount(rows, minlength=7)
        for run in range(3):
            assert len(set(counts[runs == run].tolist())) == 1
        assert sum(counts[[0, 1, 2]]) == 3  # a row of each run: as many runs as there are


def test_without_runs_it_is_the_ordinary_bootstrap() -> None:
    samples = list(resampled(runs_of(None, 40), 500, np.random.default_rng(3)))
    assert {len(rows) for rows in samples} == {40}
    # A row is missing with probability (1 - 1/40)^40.
    missing = np.mean([40 - len(np.unique(rows)) for rows in samples]) / 40
    assert missing == pytest.approx((1 - 1 / 40) ** 40, abs=0.01)


def test_runs_are_numbered_whatever_they_are_called() -> None:
    np.testing.assert_array_equal(runs_of(np.array(["s7", "s2", "s7"]), 3), [1, 0, 1])


@pytest.mark.parametrize(("runs", "message"), [(np.zeros(3), "one run"), (np.arange(2), "a run")])
def test_refuses_other_runs(runs: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        runs_of(runs, 3)


def test_few_units_widen_the_interval() -> None:
    assert half_width(1.0, 5) == pytest.approx(2.776, abs=1e-3)  # t(0.975, 4) of any table
    assert half_width(2.0, 10**6) == pytest.approx(2 * 1.96, abs=1e-2)
