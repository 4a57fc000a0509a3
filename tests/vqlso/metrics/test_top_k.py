"""Top-k curves against a naive sort; novelty against pairwise comparison."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.metrics.top_k import novel, top_k_curve

Vector = NDArray[np.float64]
scores_or_nan = hnp.arrays(
    np.float64, st.integers(0, 40), elements=st.one_of(st.integers(-3, 3), st.just(float("nan")))
)


def naive(scores: Vector, k: int) -> Vector:
    curve = []
    for query in range(len(scores)):
        counted = sorted((s for s in scores[: query + 1] if not np.isnan(s)), reverse=True)
        curve.append(counted[k - 1] if len(counted) >= k else np.nan)
    return np.array(curve)


@given(scores=scores_or_nan, k=st.integers(1, 12))
def test_equals_a_naive_sort(scores: Vector, k: int) -> None:
    np.testing.assert_array_equal(top_k_curve(scores, k), naive(scores, k))


@given(scores=scores_or_nan, k=st.integers(1, 12))
def test_never_falls(scores: Vector, k: int) -> None:
    curve = top_k_curve(scores, k)
    known = curve[~np.isnan(curve)]
    assert (np.diff(known) >= 0).all()
    assert not np.isnan(curve[len(curve) - len(known) :]).any()


def test_is_the_worst_of_the_best_and_not_their_mean() -> None:
    curve = top_k_curve(np.array([1.0, 5.0, 3.0, np.nan, 4.0]), 2)
    np.testing.assert_array_equal(curve, [np.nan, 1, 3, 3, 4])


@pytest.mark.parametrize(("scores", "k"), [(np.zeros(3), 0), (np.zeros((3, 2)), 1)])
def test_refuses_other_arguments(scores: Vector, k: int) -> None:
    with pytest.raises(DataError, match="k >= 1"):
        top_k_curve(scores, k)


grids = st.integers(0, 12).flatmap(
    lambda n: hnp.arrays(np.int64, (n, 2, 2), elements=st.integers(0, 1))
)


@given(queried=grids, training=grids)
def test_novel_equals_pairwise_comparison(
    queried: NDArray[np.int64], training: NDArray[np.int64]
) -> None:
    expected = [
        not any(np.array_equal(row, other) for other in [*training, *queried[:query]])
        for query, row in enumerate(queried)
    ]
    assert novel(queried, training).tolist() == expected


def test_novel_reads_images_whatever_their_memory_layout() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    strided = images.transpose(0, 3, 1, 2)
    packed = np.ascontiguousarray(strided)
    assert not novel(packed, strided).any()
    assert novel(packed[[0, 1, 0, 2]], strided[2:]).tolist() == [True, True, False, False]


def test_repeats_and_known_points_drop_out_of_the_curve() -> None:
    codes = np.array([[0], [1], [1], [2], [3]])
    scores = np.array([9.0, 4.0, 4.0, 2.0, 5.0])
    counted = np.where(novel(codes, np.array([[0]])), scores, np.nan)
    np.testing.assert_array_equal(top_k_curve(counted, 2), [np.nan, np.nan, np.nan, 2, 4])


@pytest.mark.parametrize("training", [np.zeros((3, 2, 3), np.int64), np.zeros((3, 2, 2), np.int32)])
def test_rows_that_could_never_be_equal_are_refused(training: NDArray[np.int64]) -> None:
    with pytest.raises(DataError, match="one kind"):
        novel(np.zeros((1, 2, 2), np.int64), training)
