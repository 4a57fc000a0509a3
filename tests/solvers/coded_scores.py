"""Codes and scores that the tests of every tree surrogate are fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

K = 12


def coded_scores() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(3000, 2, 3) grids, and scores that depend on cells 0, 4 and 5 only."""
    rng = np.random.default_rng(0)
    z = rng.integers(0, K, (3000, 2, 3))
    flat = z.reshape(len(z), -1)
    y = 3.0 * (flat[:, 0] % 3 == 0) * (flat[:, 4] % 2) + (flat[:, 5] < 4)
    return z, y + 0.1 * rng.normal(size=len(z))
