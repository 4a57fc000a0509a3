"""The ends of an order, without sorting all of it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Keys that are sorted at once: a loop of known length, which becomes vector instructions.
AT_ONCE = 64
# Thresholds tried; where many keys are equal more than AT_ONCE are left, which costs time only.
TRIES = 24


@njit(cache=True, nogil=True)
def sort(
    key: NDArray[np.float64],
    k: int,
    category: NDArray[np.int64],
    order: NDArray[np.int64],
) -> None:
    """The first k categories by ascending key into `order`, equal keys as they stand.

    By counting the keys below each: quadratic, but without branches. All arrays have room for
    AT_ONCE entries; keys beyond the first k are overwritten.
    """
    for i in range(k, AT_ONCE):
        key[i] = np.inf
    for i in range(k):
        order[i] = -1
    for i in range(k):
        x, place = key[i], 0
        if k <= AT_ONCE:
            for j in range(AT_ONCE):
                place += key[j] < x
        else:
            for j in range(k):
                place += key[j] < x
        while order[place] >= 0:
            place += 1
        order[place] = category[i]


@njit(cache=True, nogil=True, error_model="numpy")
def select(
    key: NDArray[np.float64],
    category: NDArray[np.int64],
    most: int,
    sign: float,
    hint: float,
    end_key: NDArray[np.float64],
    end: NDArray[np.int64],
) -> int:
    """The lowest (sign 1) or highest (sign -1) keys, as they stand: at least `most` of them.

    Args:
        hint: a threshold that might do; any number is correct.

    Returns:
        How many; at most AT_ONCE unless many are equal.
    """
    low, high, below, within = -np.inf, np.inf, 0, len(key)
    threshold, x = np.inf, sign * hint
    for _ in range(TRIES):
        k = 0
        for i in range(len(key)):
            k += sign * key[i] <= x
        if k >= most:
            high, within, threshold = x, k, x
            if k <= AT_ONCE:
                break
        else:
            low, below = x, k
        if not np.isfinite(low + high):
            a, b = np.inf, -np.inf
            for i in range(len(key)):
                a, b = min(a, sign * key[i]), max(b, sign * key[i])
            low, high = max(low, a), min(high, b)
        share = (0.5 * (most + AT_ONCE) - below) / (within - below)
        x = low + (high - low) * min(max(share, 0.1), 0.9)
    k = 0
    for i in range(len(key)):
        end_key[k] = key[i]
        end[k] = category[i]
        k += sign * key[i] <= threshold
    return k
