"""Top-k: how good the k-th best novel query is, as the search goes on."""

from __future__ import annotations

import hashlib
import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import DataError


def top_k_curve(scores: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """After each query the score of the WORST of the k best so far, not their mean.

    Paper 003, section 3, "Evaluation metrics" (k = 10 and 50), as Tripp et al. 2020. Queries
    that do not count, because they failed or are not novel, are given as NaN.

    Args:
        scores: (m,) float64 in the order of the queries.
        k: >= 1.

    Returns:
        (m,) float64, NaN until k queries count; it never falls.

    Raises:
        DataError: k below 1 or scores not of shape (m,).
    """
    scores = np.asarray(scores, dtype=np.float64)
    if k < 1 or scores.ndim != 1:
        raise DataError(f"Top-k needs k >= 1 and scores of shape (m,); got k={k}, {scores.shape}.")
    best: list[float] = []
    curve = np.full(len(scores), np.nan)
    for query, score in enumerate(scores):
        if not np.isnan(score):
            if len(best) < k:
                heapq.heappush(best, score)
            else:
                heapq.heappushpop(best, score)
        if len(best) == k:
            curve[query] = best[0]
    return curve


def novel(queried: NDArray[Any], training: NDArray[Any]) -> NDArray[np.bool_]:
    """Which queries are first occurrences that the training set does not contain.

    Paper 003, section 3, counts only novel points. Rows are compared byte by byte, so both may
    be images or both latents.

    Args:
        queried: (m, ...) in the order of the queries.
        training: (n, ...), rows of the same shape and dtype; may be memory-mapped.

    Returns:
        (m,) bool.

    Raises:
        DataError: rows of different shapes or dtypes, which could never be equal.
    """
    if queried.shape[1:] != training.shape[1:] or queried.dtype != training.dtype:
        raise DataError(
            f"Novelty compares rows of one kind; got {queried.dtype} {queried.shape[1:]} and "
            f"{training.dtype} {training.shape[1:]}."
        )
    seen = {_digest(row) for row in training}
    mask = np.zeros(len(queried), dtype=bool)
    for query, row in enumerate(queried):
        digest = _digest(row)
        mask[query] = digest not in seen
        seen.add(digest)
    return mask


def _digest(row: NDArray[Any]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
