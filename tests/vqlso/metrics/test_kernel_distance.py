"""The kernel distance: pairs by hand, torch-fidelity's number, no bias, intervals that cover."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.metrics import kernel_distance as module
from vqlso.metrics.kernel_distance import kernel_distance, kernel_result

Matrix = NDArray[np.float64]


def by_pairs(a: Matrix, b: Matrix) -> float:
    def k(x: Matrix, y: Matrix) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    def within(rows: Matrix) -> float:
        return float(np.mean([k(x, y) for x, y in itertools.permutations(rows, 2)]))

    return within(a) + within(b) - 2 * float(np.mean([k(x, y) for x in a for y in b]))


def test_two_points_a_side_by_hand() -> None:
    # d = 1: k(x, y) = (x y + 1)^3. Within a: 27, within b: 1, across: (1 + 1 + 1 + 1) / 4 = 1.
    assert kernel_distance(np.array([[1.0], [2.0]]), np.zeros((2, 1))) == 27 + 1 - 2


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (5, 9, 3), (12, 4, 30)])
def test_equals_the_mean_over_pairs(
    n: int, m: int, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 2 + 0.5
    expected = by_pairs(a, b)
    assert kernel_distance(a, b) == pytest.approx(expected)
    monkeypatch.setattr(module, "BLOCK", 3)
    assert kernel_distance(a, b) == pytest.approx(expected)


# torch-fidelity 0.4.0: kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=n) of
# `torch.from_numpy` of these.
@pytest.mark.parametrize(
    ("n", "d", "reference"), [(200, 16, 0.5041885348569064), (30, 64, 0.2155488393700864)]
)
def test_equals_torch_fidelity(n: int, d: int, reference: float) -> None:
    a = np.random.default_rng(1).normal(size=(n, d)) * 1.5
    b = np.random.default_rng(2).normal(size=(n, d)) + 0.3
    assert kernel_distance(a, b) == pytest.approx(reference, rel=1e-9)


def test_expectation_is_the_closed_form_at_every_size() -> None:
    # d = 1, x ~ N(0, 1), y ~ N(s, 1), so E k = sum over powers of binom(3, p) E[u^p] E[v^p]:
    # MMD^2 = 3 s^2 + 3 s^4 + (s^3 + 3 s)^2.
    s = 0.7
    exact = 3 * s**2 + 3 * s**4 + (s**3 + 3 * s) ** 2
    rng = np.random.default_rng(0)
    for n, m in ((3, 3), (5, 40)):
        values = [
            kernel_distance(rng.normal(size=(n, 1)), rng.normal(size=(m, 1)) + s)
            for _ in range(8000)
        ]
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values) - exact) < 4 * error
        assert error < 0.25 * exact


def test_alike_sets_are_around_zero_on_both_sides_even_in_many_dimensions() -> None:
    rng = np.random.default_rng(1)
    values = np.array([kernel_distance(*rng.normal(size=(2, 30, 500))) for _ in range(300)])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert 0.3 < (values < 0).mean() < 0.7


def test_interval_is_the_jackknife_with_every_image_left_out() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(7, 3)), rng.normal(size=(9, 3)) + 1
    left_a = np.array([by_pairs(np.delete(a, row, 0), b) for row in range(7)])
    left_b = np.array([by_pairs(a, np.delete(b, row, 0)) for row in range(9)])
    variance = 6 * left_a.var() + 8 * left_b.var()
    result = kernel_result(a, b, "toy")
    assert result.value == pytest.approx(by_pairs(a, b))
    assert result.high - result.value == pytest.approx(2.447 * np.sqrt(variance), rel=1e-3)
    assert result.value - result.low == pytest.approx(result.high - result.value)
    assert (result.network, result.n, result.m, result.dimensions) == ("toy", 7, 9, 3)


def test_whole_runs_are_left_out() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(9, 2)), rng.normal(size=(5, 2)) + 1
    runs = np.array([7, 2, 2, 7, 4, 4, 4, 9, 2])
    left_a = np.array([by_pairs(a[runs != run], b) for run in (2, 4, 7, 9)])
    left_b = np.array([by_pairs(a, np.delete(b, row, 0)) for row in range(5)])
    variance = 3 * left_a.var() + 4 * left_b.var()
    result = kernel_result(a, b, "toy", runs=runs)
    assert result.high - result.value == pytest.approx(3.182 * np.sqrt(variance), rel=1e-3)


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_interval_covers_the_true_distance(shift: float) -> None:
    # As above with d = 2, where k = ((x1 y1 + x2 y2) / 2 + 1)^3 and s in the first coordinate:
    # 3/2 s^2 + 3/4 s^4 + (m^2 + 3 s^2) / 8 with m = s^3 + 3 s, from the moments of each order.
    exact = 1.5 * shift**2 + 0.75 * shift**4 + ((shift**3 + 3 * shift) ** 2 + 3 * shift**2) / 8
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(500):
        queries = rng.normal(size=(150, 2)) + np.array([shift, 0])
        result = kernel_result(queries, rng.normal(size=(120, 2)), "toy")
        hits += result.low <= exact <= result.high
    assert hits / 500 >= 0.9


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "n >= 2"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "different networks"),
        (np.zeros((5, 3)), np.full((5, 3), np.inf), "finite"),
    ],
)
def test_refuses_what_has_no_distance(a: Matrix, b: Matrix, message: str) -> None:
    with pytest.raises(DataError, match=message):
        kernel_distance(a, b)


def test_refuses_what_has_no_interval() -> None:
    with pytest.raises(DataError, match="three images"):
        kernel_result(np.zeros((2, 3)), np.zeros((5, 3)), "toy")
    with pytest.raises(DataError, match="largest run"):
        kernel_result(np.zeros((5, 3)), np.zeros((5, 3)), "toy", runs=np.array([0, 0, 0, 0, 1]))
