"""How much of the training distribution each image gets, and batches drawn accordingly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Batches = list[NDArray[np.int64]]


def rank_weights(scores: NDArray[np.float64], k: float = 1e-3) -> NDArray[np.float64]:
    """w(x) proportional to 1 / (k N + rank(x)), rank 0 for the highest score.

    Tripp et al. 2020, section 3.1; k = infinity gives uniform weights. Tied scores share their
    average rank: broken arbitrarily, weights inside a tie would differ by orders of magnitude.

    Args:
        scores: (N,) float64, higher is better.
        k: how far the weight spreads over the ranks, > 0; 1e-3 in paper 003.

    Returns:
        (N,) float64, sums to 1.
    """
    if not k > 0:
        raise ValueError(f"k must be positive, got {k}.")
    if np.isinf(k):
        return np.full(len(scores), 1 / len(scores))
    ranks = rankdata(-np.asarray(scores), method="average") - 1
    weights = 1 / (k * len(scores) + ranks)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def epochs(n: int, epochs: int, batch_size: int, rng: np.random.Generator) -> Batches:
    """Batches of shuffled rows, every row once an epoch; the last batch may be smaller."""
    return [rows for _ in range(epochs) for rows in _cut(rng.permutation(n), batch_size)]


def weighted_draws(
    weights: NDArray[np.float64], draws: int, batch_size: int, rng: np.random.Generator
) -> Batches:
    """Batches of `draws` rows sampled with replacement by weight (Tripp et al. 2020)."""
    rows = rng.choice(len(weights), size=draws, p=weights)
    return list(_cut(rows, batch_size))


def _cut(rows: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]
