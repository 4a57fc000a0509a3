"""Frechet distance between two sets of images, in the features of any named network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.errors import DataError
from vqlso.metrics.resampling import drawn, half_width, resampled, runs_of

# Enough for a standard error (Efron and Tibshirani 1993, section 6.4).
RESAMPLES = 200


class FeatureNetwork(Protocol):
    """Images -> features. Distances in different networks' features are not comparable."""

    @property
    def name(self) -> str:
        """The network and its weights; it stands beside every number."""

    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float32 in [0, 1] -> (n, d) features."""


def features(
    network: FeatureNetwork, images: NDArray[np.uint8], batch: int = 64
) -> NDArray[np.float64]:
    """(n, 3, H, W) uint8 images -> (n, d) float64 features, `batch` images at once.

    Raises:
        DataError: the images are not of shape (n, 3, H, W) and dtype uint8 with n > 0.
    """
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8 or not len(images):
        raise DataError(
            "Features need at least one image as a uint8 array of shape (n, 3, H, W); got "
            f"{images.dtype} of shape {images.shape}."
        )
    rows = [
        network(torch.from_numpy(np.array(images[start : start + batch])).float() / 255)
        for start in range(0, len(images), batch)
    ]
    return np.asarray(torch.cat(rows).cpu().numpy(), dtype=np.float64)


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Squared Frechet distance of the Gaussians fitted to two feature sets.

    Heusel et al. 2017, equation 6:
    |mean_a - mean_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a^(1/2) C_b C_a^(1/2))^(1/2)), the
    covariances with n - 1. It is biased: sets of one distribution are at a distance above 0
    that shrinks about like 1/n, and for n <= d the covariance is singular and the bias large
    (Chong and Forsyth 2020, "Effectively Unbiased FID"). Compare only distances between sets of
    equal sizes in the same network's features.

    Args:
        a: (n, d) features, n >= 2.
        b: (m, d) features, m >= 2.

    Returns:
        The distance, >= 0, computed in float64.

    Raises:
        DataError: not two matrices of equal width, fewer than 2 rows, or values not finite.
    """
    first, second = _checked(a), _checked(b)
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"The two feature sets have {first.shape[1]} and {second.shape[1]} columns: they "
            "come from different networks."
        )
    return _distance(_Gaussian.of(first), _Gaussian.of(second))


@dataclass(frozen=True)
class FrechetResult:
    """A distance with all that is needed to read it.

    Attributes:
        value: squared Frechet distance of n queries and n target images.
        low: lower end of the 95 % interval, >= 0.
        high: its upper end.
        network: whose features they are.
        n: images on each side.
        dimensions: of the features.
    """

    value: float
    low: float
    high: float
    network: str
    n: int
    dimensions: int

    @property
    def rank_deficient(self) -> bool:
        """Whether the covariances are singular: then mostly bias, and to be read as such.

        A narrower tap or the kernel distance, which is unbiased, serves instead.
        """
        return self.n <= self.dimensions


def frechet_result(
    queries: NDArray[np.floating],
    target: NDArray[np.floating],
    network: str,
    rng: np.random.Generator,
    *,
    runs: NDArray[Any] | None = None,
    most: int | None = None,
    resamples: int = RESAMPLES,
) -> FrechetResult:
    """The distance of equally many queries and target images, with its interval.

    The distance falls with the number of images, so the larger side is reduced by drawing. The
    interval is that of the distance at this n, the one to compare with others at this n: value
    -+ t times the bootstrap's standard error. Percentiles would not do, because a bootstrap
    sample has the bias of its fewer different rows on top.

    Args:
        queries: (q, d) features, of several runs together where there are several.
        target: (m, d) features of the same network.
        network: its name.
        rng: for the drawing and the bootstrap.
        runs: (q,) the run of each query; whole runs are then resampled.
        most: the largest n, >= 2; None takes all that the smaller side has.
        resamples: bootstrap samples; each costs as much as the distance itself.

    Raises:
        DataError: as `frechet_distance`; or the runs do not fit the queries.
    """
    first, second = _checked(queries), _checked(target)
    numbers = runs_of(runs, len(first))
    n = min(len(first), len(second), len(first) if most is None else most)
    rows = drawn(len(first), n, rng)
    first, second = first[rows], second[drawn(len(second), n, rng)]
    value = frechet_distance(first, second)
    units = runs_of(numbers[rows], n)
    scatter = [
        _distance(_Gaussian.of_sample(first, a), _Gaussian.of_sample(second, b))
        for a, b in zip(
            resampled(units, resamples, rng), resampled(np.arange(n), resamples, rng), strict=True
        )
    ]
    margin = half_width(float(np.std(scatter, ddof=1)), int(units.max()) + 1)
    low, high = max(value - margin, 0.0), value + margin
    return FrechetResult(value, low, high, network, n, first.shape[1])


def rows_by_degree(
    degrees: NDArray[np.floating], levels: Sequence[int] = (3, 4, 5)
) -> dict[int, NDArray[np.int64]]:
    """The rows whose degree is nearest to each level, a half counting to the upper one.

    Args:
        degrees: (m,) in [0, 5].
        levels: the degrees that are told apart; rows nearest to others belong nowhere.
    """
    nearest = np.floor(np.asarray(degrees) + 0.5)
    return {level: np.flatnonzero(nearest == level) for level in levels}


def frechet_by_degree(
    queries: NDArray[np.floating],
    target: NDArray[np.floating],
    degrees: NDArray[np.floating],
    network: str,
    rng: np.random.Generator,
    *,
    levels: Sequence[int] = (3, 4, 5),
    runs: NDArray[Any] | None = None,
    most: int | None = None,
    resamples: int = RESAMPLES,
) -> dict[int, FrechetResult]:
    """The distance to each degree's target images apart (paper 003, section 3, figure 3 b).

    All have the same n, that of the rarest degree at most, for otherwise the bias would order
    them; and the same queries, so that their drawing does not.

    Args:
        queries: (q, d) features.
        target: (m, d) features of the same network.
        degrees: (m,) of the target images.
        network: its name.
        rng: for the drawing and the bootstrap.
        levels: the degrees that are told apart.
        runs: (q,) the run of each query; whole runs are then resampled.
        most: the largest n, >= 2.
        resamples: bootstrap samples.

    Raises:
        DataError: not one degree a target image, a level with fewer than two of them, or as
            `frechet_result`.
    """
    if len(degrees) != len(target):
        raise DataError(f"{len(target)} target images need a degree each; got {len(degrees)}.")
    groups = {level: target[rows] for level, rows in rows_by_degree(degrees, levels).items()}
    for level, group in groups.items():
        if len(group) < 2:
            raise DataError(
                f"Degree {level} has {len(group)} target images, and a distance needs two: leave "
                "the level out or take more data."
            )
    most = len(queries) if most is None else most
    n = min([most, len(queries), *map(len, groups.values())])
    rows = drawn(len(queries), n, rng)
    chosen, units = queries[rows], runs_of(runs, len(queries))[rows]
    return {
        level: frechet_result(chosen, group, network, rng, runs=units, resamples=resamples)
        for level, group in groups.items()
    }


def _checked(x: NDArray[np.floating]) -> NDArray[np.float64]:
    matrix = np.asarray(x, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) < 2:
        raise DataError(
            f"A Frechet distance needs features of shape (n, d) with n >= 2; got {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        raise DataError("A Frechet distance needs finite features; some are NaN or infinite.")
    return matrix


class _Gaussian(NamedTuple):
    """What a set of features is taken for.

    Attributes:
        mean: (d,).
        root: (r, d) with root^T root the covariance, r at most n and at most d.
    """

    mean: NDArray[np.float64]
    root: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[np.float64], counts: NDArray[np.int64] | None = None) -> _Gaussian:
        """That of (n, d) rows; (n,) counts tell how often each of them stands there."""
        n = len(x) if counts is None else int(counts.sum())
        mean = np.average(x, axis=0, weights=counts)
        root = (x - mean) / np.sqrt(n - 1)
        if counts is not None:
            root *= np.sqrt(counts)[:, None]
        if len(root) > root.shape[1]:
            root = np.asarray(np.linalg.qr(root, mode="r"))
        return cls(mean, root)

    @classmethod
    def of_sample(cls, x: NDArray[np.float64], rows: NDArray[np.int64]) -> _Gaussian:
        """That of rows drawn with replacement: a third of a bootstrap sample repeats the rest."""
        different, counts = np.unique(rows, return_counts=True)
        return cls.of(x[different], counts)


def _distance(a: _Gaussian, b: _Gaussian) -> float:
    shift = a.mean - b.mean
    # With C = R^T R the trace of the root of the product is the sum of the singular values of
    # R_a R_b^T. Nothing is squared first, so that singular covariances lose no digits.
    overlap = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    distance = shift @ shift + np.square(a.root).sum() + np.square(b.root).sum() - 2 * overlap
    return max(float(distance), 0.0)
