"""Real latents: what is allowed, and whose distribution a sample follows."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vqlso.contracts import LatentSpace
from vqlso.errors import LatentSpaceError
from vqlso.spaces import RealVectors

SPACE = RealVectors("z", (3,))


def test_is_a_latent_space() -> None:
    assert isinstance(SPACE, LatentSpace)
    assert (SPACE.name, SPACE.shape) == ("z", (3,))


def test_samples_are_standard_normal_and_repeatable() -> None:
    z = SPACE.sample(40_000, np.random.default_rng(0))
    np.testing.assert_array_equal(z, SPACE.sample(40_000, np.random.default_rng(0)))
    assert z.dtype == np.float64
    # Five standard errors: 1 / sqrt(40,000) of a mean, sqrt(2) times that of a variance.
    assert np.abs(z.mean(axis=0)).max() < 5 / 200
    assert np.abs(np.cov(z.T) - np.eye(3)).max() < 5 * 2**0.5 / 200


def test_a_distribution_of_its_own() -> None:
    space = RealVectors("w+", (2, 3), lambda n, rng: np.full((n, 2, 3), rng.integers(7), "f4"))
    z = space.sample(4, np.random.default_rng(1))
    assert (z.shape, z.dtype) == ((4, 2, 3), np.float64)
    assert len(np.unique(z)) == 1


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((2, 4)), r"shape \(n, 3\); got \(2, 4\)"),
        (np.zeros(3), r"got \(3,\)"),
        (np.zeros((1, 1, 3)), r"got \(1, 1, 3\)"),
        (np.zeros((2, 3), dtype=np.int64), "real numbers, got dtype int64"),
        (np.array([[0, np.nan, 0]]), "finite"),
        (np.array([[0, np.inf, 0]]), "finite"),
    ],
)
def test_what_is_no_latent_is_refused(z: NDArray[np.generic], message: str) -> None:
    with pytest.raises(LatentSpaceError, match=message):
        SPACE.validate(z)
