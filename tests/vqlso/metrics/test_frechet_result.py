"""Frechet distances with intervals: reference implementation, equal sizes, coverage, degrees."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg

from vqlso.errors import DataError
from vqlso.metrics.frechet import (
    frechet_by_degree,
    frechet_distance,
    frechet_result,
    rows_by_degree,
)
from vqlso.metrics.resampling import drawn, half_width, resampled

Matrix = NDArray[np.float64]


def seeded(n: int, d: int) -> tuple[Matrix, Matrix]:
    first = np.random.default_rng(1).normal(size=(n, d)) * 1.5
    return first, np.random.default_rng(2).normal(size=(n, d)) + 0.3


# torch-fidelity 0.4.0: fid_statistics_to_metric(*map(fid_features_to_statistics, map(
# torch.from_numpy, seeded(n, d))), False). With fewer rows than columns its roots of rounding
# errors around eigenvalues of 0 add up to some 1e-6.
@pytest.mark.parametrize(
    ("n", "d", "reference", "tolerance"),
    [(200, 16, 6.369820699881288, 1e-10), (30, 64, 119.93866703672612, 1e-6)],
)
def test_equals_torch_fidelity(n: int, d: int, reference: float, tolerance: float) -> None:
    first, second = seeded(n, d)
    assert frechet_distance(first, second) == pytest.approx(reference, rel=tolerance)


@pytest.mark.parametrize(("n", "d"), [(200, 16), (65, 64), (30, 64), (5, 100)])
def test_equals_the_formula_with_scipys_root(n: int, d: int) -> None:
    first, second = seeded(n, d)
    shift = first.mean(0) - second.mean(0)
    a, b = np.cov(first.T), np.cov(second.T)
    # Of the product's root only the trace is defined where the product is singular.
    trace = (
        linalg.sqrtm(a @ b).trace().real
        if n > d
        else np.sqrt(linalg.eigvals(a @ b).real.clip(0)).sum()
    )
    expected = shift @ shift + np.trace(a) + np.trace(b) - 2 * trace
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-5)


def test_sizes_are_made_equal_by_drawing() -> None:
    rng = np.random.default_rng(0)
    queries, target = rng.normal(size=(30, 3)), rng.normal(size=(200, 3))
    result = frechet_result(queries, target, "toy", np.random.default_rng(1), resamples=20)
    assert (result.n, result.dimensions, result.network) == (30, 3, "toy")
    assert not result.rank_deficient
    assert 0 <= result.low <= result.value <= result.high
    fewer = frechet_result(queries, target, "toy", np.random.default_rng(1), most=3, resamples=20)
    assert fewer.n == 3
    assert fewer.rank_deficient
    again = frechet_result(queries, target, "toy", np.random.default_rng(1), resamples=20)
    assert again == result


def test_all_of_equal_sides_are_used() -> None:
    first, second = seeded(50, 4)
    result = frechet_result(first, second, "toy", np.random.default_rng(0), resamples=5)
    assert result.value == pytest.approx(frechet_distance(first, second))


@pytest.mark.parametrize("d", [3, 30])
def test_interval_is_that_of_distances_of_resampled_rows(d: int) -> None:
    first, second = seeded(20, d)
    result = frechet_result(first, second, "toy", np.random.default_rng(6), resamples=30)
    rng = np.random.default_rng(6)
    for _ in range(2):
        drawn(20, 20, rng)
    rows = [resampled(np.arange(20), 30, rng) for _ in range(2)]
    scatter = [frechet_distance(first[a], second[b]) for a, b in zip(*rows, strict=True)]
    margin = half_width(float(np.std(scatter, ddof=1)), 20)
    assert result.high - result.value == pytest.approx(margin)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_interval_covers_the_mean_distance_at_this_n(shift: float) -> None:
    rng = np.random.default_rng(3)

    def sides() -> tuple[Matrix, Matrix]:
        return rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) * 1.2 + shift

    expected = np.mean([frechet_distance(*sides()) for _ in range(1500)])
    results = [frechet_result(*sides(), "toy", rng, resamples=40) for _ in range(150)]
    coverage = np.mean([r.low <= expected <= r.high for r in results])
    assert coverage >= 0.9
    # Where the means are equal the distance is flat, and the interval rather too wide.
    assert shift == 0 or coverage <= 0.99


def test_runs_that_differ_take_an_interval_of_whole_runs() -> None:
    rng = np.random.default_rng(4)
    runs = np.repeat(np.arange(12), 10)

    def sides() -> tuple[Matrix, Matrix]:
        queries = rng.normal(size=(12, 1, 2)) + 0.5 * rng.normal(size=(12, 10, 2)) + 2
        return queries.reshape(120, 2), rng.normal(size=(120, 2))

    expected = np.mean([frechet_distance(*sides()) for _ in range(1500)])

    def coverage(runs: NDArray[np.int64] | None) -> float:
        results = [
            frechet_result(*sides(), "toy", rng, runs=runs, resamples=40) for _ in range(100)
        ]
        return float(np.mean([r.low <= expected <= r.high for r in results]))

    assert coverage(runs) >= 0.88
    assert coverage(None) <= 0.75


def test_each_degree_is_compared_at_one_n() -> None:
    rng = np.random.default_rng(5)
    degrees = np.array([2.4] * 9 + [2.5] * 40 + [3.6] * 30 + [4.5] * 20)
    target = rng.normal(size=(99, 2)) + np.floor(degrees + 0.5)[:, None]
    queries = rng.normal(size=(60, 2)) + 3
    results = frechet_by_degree(queries, target, degrees, "toy", rng, resamples=20)
    assert list(results) == [3, 4, 5]
    assert {result.n for result in results.values()} == {20}
    assert results[3].value < results[4].value < results[5].value
    assert results[3].high < results[5].low
    only = frechet_by_degree(
        queries, target, degrees, "toy", rng, levels=[3], most=15, resamples=20
    )
    assert only[3].n == 15


def test_a_half_counts_to_the_upper_degree() -> None:
    rows = rows_by_degree(np.array([2.49, 2.5, 3.49, 3.5, 4.5, 5.0, 0.0]), (3, 4, 5))
    assert {level: r.tolist() for level, r in rows.items()} == {3: [1, 2], 4: [3], 5: [4, 5]}


def test_what_cannot_be_told_apart() -> None:
    rng = np.random.default_rng(6)
    queries, target = rng.normal(size=(9, 2)), rng.normal(size=(9, 2))
    with pytest.raises(DataError, match="Degree 5 has 1 target images"):
        frechet_by_degree(queries, target, np.array([3.0] * 4 + [4.0] * 4 + [5]), "toy", rng)
    with pytest.raises(DataError, match="a degree each"):
        frechet_by_degree(queries, target, np.zeros(8), "toy", rng)
    with pytest.raises(DataError, match="come from one run"):
        frechet_result(queries, target, "toy", rng, runs=np.zeros(9))
    with pytest.raises(DataError, match="a run each"):
        frechet_result(queries, target, "toy", rng, runs=np.zeros(8))
