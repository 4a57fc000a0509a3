"""The C library's float32 functions, which compiled predictors call.

NumPy's float32 functions, and float64 ones rounded, differ from them in the last bit now and then.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def exponentials(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) expf of each number."""
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = math.exp(x[i])
    return out


@njit(cache=True)
def logarithm(x: np.float32) -> np.float32:
    """logf of a positive number."""
    return np.float32(math.log(x))
