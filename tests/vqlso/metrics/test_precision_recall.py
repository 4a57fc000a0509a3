"""Precision, recall, density and coverage against the definitions, point by point."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.metrics import precision_recall as module
from vqlso.metrics.precision_recall import precision_recall

Matrix = NDArray[np.float64]


def balls(x: Matrix, k: int) -> list[float]:
    return [
        sorted(np.linalg.norm(x[i] - x[j]) for j in range(len(x)) if j != i)[k - 1]
        for i in range(len(x))
    ]


def by_definition(queries: Matrix, target: Matrix, k: int) -> tuple[float, float, float, float]:
    n = len(queries)
    query_balls, target_balls = balls(queries, k), balls(target, k)
    apart = [[np.linalg.norm(q - t) for t in target] for q in queries]
    precise = [any(apart[i][j] <= target_balls[j] for j in range(n)) for i in range(n)]
    recalled = [any(apart[i][j] <= query_balls[i] for i in range(n)) for j in range(n)]
    covered = [any(apart[i][j] <= target_balls[j] for i in range(n)) for j in range(n)]
    hits = sum(apart[i][j] <= target_balls[j] for i in range(n) for j in range(n))
    return sum(precise) / n, sum(recalled) / n, hits / (k * n), sum(covered) / n


@given(n=st.integers(4, 14), d=st.integers(1, 4), k=st.integers(1, 3), seed=st.integers(0, 999))
@settings(max_examples=40)
def test_equals_the_definition(n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, target = rng.normal(size=(n, d)) * 1.5, rng.normal(size=(n, d)) + 0.5
    found = precision_recall(queries, target, "toy", k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(
        by_definition(queries, target, k)
    )
    assert (found.network, found.n, found.k) == ("toy", n, k)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, target = rng.normal(size=(2, 20, 3))
    whole = precision_recall(queries, target, "toy")
    monkeypatch.setattr(module, "BLOCK", 7)
    assert precision_recall(queries, target, "toy") == whole


# torch-fidelity 0.4.0: prc_features_to_metric(a, b, prc_neighborhood=k) of `torch.from_numpy`
# of these.
@pytest.mark.parametrize(("k", "precision"), [(3, 0.14), (5, 0.21)])
def test_equals_torch_fidelity(k: int, precision: float) -> None:
    queries = np.random.default_rng(1).normal(size=(200, 16)) * 1.5
    target = np.random.default_rng(2).normal(size=(200, 16)) + 0.3
    found = precision_recall(queries, target, "toy", k)
    assert (found.precision, found.recall) == pytest.approx((precision, 1.0))


def test_a_set_covers_itself_and_nothing_far_away() -> None:
    x = np.random.default_rng(3).normal(size=(30, 5))
    same, far = precision_recall(x, x, "toy"), precision_recall(x, x + 100, "toy")
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_queries_of_one_mode_are_precise_and_recall_half() -> None:
    rng = np.random.default_rng(4)
    target = rng.normal(size=(200, 2)) + np.repeat([[0.0], [50.0]], 100, axis=0)
    found = precision_recall(rng.normal(size=(200, 2)), target, "toy")
    assert found.precision > 0.9
    assert 0.4 < found.recall <= 0.5
    assert 0.4 < found.coverage <= 0.5


@pytest.mark.parametrize(
    ("queries", "target", "k", "message"),
    [
        (np.zeros((5, 2)), np.zeros((6, 2)), 3, "equally many"),
        (np.zeros((5, 2)), np.zeros((5, 2)), 5, "5-th neighbours"),
        (np.zeros((5, 2)), np.zeros((5, 2)), 0, "0-th neighbours"),
        (np.zeros((5, 2)), np.full((5, 2), np.nan), 3, "finite"),
    ],
)
def test_refuses_other_arguments(queries: Matrix, target: Matrix, k: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        precision_recall(queries, target, "toy", k)
