"""The Frechet distance against closed forms and the textbook formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.metrics.frechet import features, frechet_distance

Matrix = NDArray[np.float64]


def exact_sample(n: int, mean: Matrix, covariance: Matrix, seed: int) -> Matrix:
    """n points whose sample mean and covariance are exactly these (up to rounding)."""
    d = len(mean)
    x = np.random.default_rng(seed).normal(size=(n, d))
    white = np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(n - 1)
    return white @ np.linalg.cholesky(covariance).T + mean


def random_covariance(d: int, seed: int) -> Matrix:
    root = np.random.default_rng(seed).normal(size=(d, d))
    return root @ root.T + 0.1 * np.eye(d)


def symmetric_root(c: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(c)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def textbook(mean_a: Matrix, cov_a: Matrix, mean_b: Matrix, cov_b: Matrix) -> float:
    root = symmetric_root(cov_a)
    cross = np.trace(symmetric_root(root @ cov_b @ root))
    shift = mean_a - mean_b
    return float(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


@given(
    deviations=st.lists(st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)), min_size=1, max_size=5),
    shift=st.floats(-10, 10),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50)
def test_commuting_covariances_have_a_closed_form(
    deviations: list[tuple[float, float]], shift: float, seed: int
) -> None:
    first, second = np.array(deviations).T
    d = len(first)
    a = exact_sample(30, np.zeros(d), np.diag(first**2), seed)
    b = exact_sample(40, np.full(d, shift), np.diag(second**2), seed + 1)
    expected = d * shift**2 + np.sum((first - second) ** 2)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(d=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(max_examples=50)
def test_general_covariances_equal_the_textbook_formula(d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean_a, mean_b = rng.normal(size=(2, d))
    cov_a, cov_b = random_covariance(d, seed + 1), random_covariance(d, seed + 2)
    a = exact_sample(d + 20, mean_a, cov_a, seed + 3)
    b = exact_sample(d + 25, mean_b, cov_b, seed + 4)
    expected = textbook(mean_a, cov_a, mean_b, cov_b)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_singular_covariances_equal_the_textbook_formula() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 40)), 2 * rng.normal(size=(9, 40)) + 1
    expected = textbook(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rows", [2, 5, 200])
def test_equal_sets_are_at_zero_even_where_n_is_below_d(rows: int) -> None:
    a = np.random.default_rng(rows).normal(size=(rows, 20))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-10)


@given(seed=st.integers(0, 1000), n=st.integers(2, 12), m=st.integers(2, 12))
@settings(max_examples=50)
def test_symmetric_non_negative_and_blind_to_common_motions(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 5)), rng.normal(size=(m, 5)) * 3
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    distance = frechet_distance(a, b)
    assert distance >= 0
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-9, abs=1e-9)
    moved = frechet_distance(a @ rotation + 100, b @ rotation + 100)
    assert moved == pytest.approx(distance, rel=1e-6, abs=1e-6)


def test_float32_features_are_computed_in_float64() -> None:
    offset = 1e4
    a = exact_sample(50, np.zeros(3), np.eye(3), 0)
    b = exact_sample(50, np.zeros(3), 4 * np.eye(3), 1)
    distance = frechet_distance((a + offset).astype(np.float32), (b + offset).astype(np.float32))
    assert distance == pytest.approx(3.0, rel=1e-2)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "n >= 2"),
        (np.zeros(5), np.zeros((5, 3)), "shape"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "different networks"),
        (np.zeros((5, 3)), np.full((5, 3), np.nan), "finite"),
    ],
)
def test_refuses_what_has_no_distance(a: Matrix, b: Matrix, message: str) -> None:
    with pytest.raises(DataError, match=message):
        frechet_distance(a, b)


class ChannelMeans:
    """A feature network small enough to check by eye."""

    name = "channel means"
    seen: list[int]

    def __init__(self) -> None:
        self.seen = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(images))
        return images.mean(dim=(2, 3))


def test_features_are_batched_and_scaled_to_one() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 4), dtype=np.uint8)
    network = ChannelMeans()
    result = features(network, images, batch=3)
    assert network.seen == [3, 3, 1]
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, images.mean(axis=(2, 3)) / 255, rtol=1e-6)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 3, 4, 4)),
        np.zeros((0, 3, 4, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
    ],
)
def test_features_refuse_other_arrays(images: NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match="uint8"):
        features(ChannelMeans(), images)
