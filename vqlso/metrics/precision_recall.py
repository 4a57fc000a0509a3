"""Precision and recall of a set of images: how many look like the target, how much is covered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from vqlso.errors import DataError

NEIGHBOURS = 3  # as Kynkaanniemi et al. 2019
BLOCK = 1024


@dataclass(frozen=True)
class PrecisionRecall:
    """Four shares, all of equally many images on both sides in one network's features.

    Attributes:
        precision: queries within the target's manifold, in [0, 1].
        recall: target images within the queries' manifold, in [0, 1].
        density: in how many of the target's balls a query lies, over k; near 1 for sets alike.
        coverage: target images whose ball holds a query, in [0, 1].
        network: whose features they are.
        n: images on each side.
        k: the neighbour at whose distance a ball ends.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    network: str
    n: int
    k: int


def precision_recall(
    queries: NDArray[np.floating],
    target: NDArray[np.floating],
    network: str,
    k: int = NEIGHBOURS,
) -> PrecisionRecall:
    """Shares by manifolds of balls, each reaching an image's k-th nearest neighbour in its set.

    Precision and recall after Kynkaanniemi et al. 2019, equations 1 and 2; density and coverage,
    which single outliers cannot inflate, after Naeem et al. 2020 ("Reliable Fidelity and
    Diversity Metrics"), section 3, there with k = 5. All depend on the sizes, which must be
    equal; a bootstrap would change them, because repeated images shrink the balls.

    Args:
        queries: (n, d) features.
        target: (n, d) features of the same network.
        network: its name.
        k: >= 1 and < n.

    Raises:
        DataError: the two are not finite matrices of one shape, or k is outside its range.
    """
    first = np.asarray(queries, dtype=np.float64)
    second = np.asarray(target, dtype=np.float64)
    _check(first, second, k)
    query_radius, target_radius = _radii(first, k), _radii(second, k)
    n = len(first)
    balls = np.zeros(n, dtype=np.int64)
    recalled, covered = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for start, distances in _blocks(first, second):
        within = distances <= target_radius
        balls[start : start + BLOCK] = within.sum(axis=1)
        covered |= within.any(axis=0)
        recalled |= (distances <= query_radius[start : start + BLOCK, None]).any(axis=0)
    return PrecisionRecall(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
        network=network,
        n=n,
        k=k,
    )


def _check(first: NDArray[np.float64], second: NDArray[np.float64], k: int) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise DataError(
            "Precision and recall need equally many images on both sides, as features of shape "
            f"(n, d); got {first.shape} and {second.shape}. Draw from the larger set."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("Precision and recall need finite features; some are NaN or infinite.")
    if not 1 <= k < len(first):
        raise DataError(f"{len(first)} images have no {k}-th neighbours: choose k in [1, n).")


def _radii(x: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(n,) the distance to the k-th nearest other row; the row itself comes before the first."""
    return np.concatenate([np.partition(near, k, axis=1)[:, k] for _, near in _blocks(x, x)])


def _blocks(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """First row and distances of each block, for ten thousand images have 800 MB of them."""
    for start in range(0, len(a), BLOCK):
        yield start, cdist(a[start : start + BLOCK], b)
