"""Diversity against pairs counted one by one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.metrics.diversity import (
    distinct,
    mean_hamming_distance,
    mean_pairwise_distance,
    mean_pixel_distance,
)

grids = st.integers(2, 9).flatmap(
    lambda n: hnp.arrays(np.int64, (n, 2, 3), elements=st.integers(0, 3))
)


@given(codes=grids)
def test_hamming_distance_equals_the_mean_over_pairs(codes: NDArray[np.int64]) -> None:
    expected = np.mean([(a != b).sum() for a, b in itertools.combinations(codes, 2)])
    assert mean_hamming_distance(codes) == pytest.approx(expected)


@given(codes=grids)
def test_distinct_equals_a_set(codes: NDArray[np.int64]) -> None:
    assert distinct(codes) == len({code.tobytes() for code in codes})


def test_distinct_counts_real_latents_and_none() -> None:
    assert distinct(np.array([[0.5, 1.0], [0.5, 1.0], [0.5, 1.0000001]])) == 2
    assert distinct(np.zeros((0, 8, 8), dtype=np.int64)) == 0


def test_distances_of_three_points() -> None:
    assert mean_pairwise_distance(np.array([[0.0, 0], [3, 4], [0, 4]])) == pytest.approx(4)


def test_pixels_are_in_units_of_the_whole_range() -> None:
    images = np.zeros((3, 3, 4, 4), dtype=np.uint8)
    assert mean_pixel_distance(images) == 0
    images[2] = 255
    assert mean_pixel_distance(images) == pytest.approx(2 / 3)
    images[2, :, :2] = 0
    assert mean_pixel_distance(images) == pytest.approx(2 / 3 * np.sqrt(0.5))


def test_what_has_no_pairs() -> None:
    with pytest.raises(DataError, match="n >= 2"):
        mean_pairwise_distance(np.zeros((1, 3)))
    with pytest.raises(DataError, match="uint8"):
        mean_pixel_distance(np.zeros((3, 3, 4, 4)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="integer codes"):
        mean_hamming_distance(np.zeros((3, 4)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="two grids"):
        mean_hamming_distance(np.zeros((1, 4), dtype=np.int64))
