"""Grids of codes: what is allowed, and that sampling covers exactly that."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vqlso.contracts import LatentSpace
from vqlso.errors import LatentSpaceError
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=5, height=2, width=3)


def test_is_a_latent_space_of_h_times_w_cells() -> None:
    assert isinstance(SPACE, LatentSpace)
    assert (SPACE.name, SPACE.shape, SPACE.cells) == ("codes", (2, 3), 6)


def test_samples_are_valid_uniform_and_repeatable() -> None:
    z = SPACE.sample(4000, np.random.default_rng(0))
    np.testing.assert_array_equal(SPACE.validate(z), z)
    np.testing.assert_array_equal(z, SPACE.sample(4000, np.random.default_rng(0)))
    assert z.dtype == np.int64
    for cell in z.reshape(4000, 6).T:
        # 800 expected of each code, with a standard deviation of 25.
        assert np.abs(np.bincount(cell, minlength=5) - 800).max() < 5 * 25


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
def test_whole_numbers_of_any_type_become_int64(dtype: type[np.integer]) -> None:
    z = SPACE.validate(np.full((2, 2, 3), 4, dtype=dtype))
    assert z.dtype == np.int64
    assert (z == 4).all()


def test_no_latents_are_latents() -> None:
    assert SPACE.validate(np.empty((0, 2, 3), dtype=np.int64)).shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((2, 3), np.int64), r"shape \(n, 2, 3\); got \(2, 3\)"),
        (np.zeros((1, 3, 2), np.int64), r"got \(1, 3, 2\)"),
        (np.zeros((1, 6), np.int64), r"got \(1, 6\)"),
        (np.zeros((1, 2, 3)), "dtype float64"),
        (np.zeros((1, 2, 3), bool), "dtype bool"),
        (np.full((1, 2, 3), 5), r"0\.\.4; got 5\.\.5"),
        (np.full((1, 2, 3), -1), r"0\.\.4; got -1\.\.-1"),
    ],
)
def test_anything_else_is_refused_and_told(z: NDArray[np.generic], message: str) -> None:
    with pytest.raises(LatentSpaceError, match=message):
        SPACE.validate(z)
