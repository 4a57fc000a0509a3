"""How different the queries are from each other: in features, in pixels and in codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from vqlso.errors import DataError


def mean_pairwise_distance(features: NDArray[np.floating]) -> float:
    """Mean Euclidean distance over all pairs of rows, in the units of the features.

    Two tight clumps far apart have a large mean distance too: to be read beside the number of
    distinct latents.

    Args:
        features: (n, d), n >= 2; all n (n - 1) / 2 distances are held at once.

    Raises:
        DataError: another shape or fewer than 2 rows.
    """
    if features.ndim != 2 or len(features) < 2:
        raise DataError(f"Pairs need features of shape (n, d), n >= 2; got {features.shape}.")
    return float(pdist(np.asarray(features, dtype=np.float64)).mean())


def mean_pixel_distance(images: NDArray[np.uint8]) -> float:
    """Mean over all pairs of the root mean square difference of their pixels, in [0, 1].

    Args:
        images: (n, 3, H, W) uint8, n >= 2.

    Raises:
        DataError: another shape or dtype, or fewer than 2 images.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or len(images) < 2:
        raise DataError(
            "Pairs need images as uint8 of shape (n, 3, H, W), n >= 2; got "
            f"{images.dtype} of shape {images.shape}."
        )
    pixels = images.reshape(len(images), -1)
    return mean_pairwise_distance(pixels / 255) / float(np.sqrt(pixels.shape[1]))


def distinct(latents: NDArray[Any]) -> int:
    """How many different latents there are among (n, ...) latents."""
    return len(np.unique(latents.reshape(len(latents), -1), axis=0)) if len(latents) else 0


def mean_hamming_distance(codes: NDArray[np.integer]) -> float:
    """Mean over all pairs of the number of cells in which two grids of codes differ.

    Counted by code and cell, which takes n steps a cell where the pairs would take n^2.

    Args:
        codes: (n, ...) integers, n >= 2.

    Returns:
        Cells, from 0 (all equal) to the number of cells.

    Raises:
        DataError: fewer than 2 grids or no integers.
    """
    if len(codes) < 2 or not np.issubdtype(codes.dtype, np.integer):
        raise DataError(
            "Pairs need at least two grids of integer codes; got "
            f"{codes.dtype} of shape {codes.shape}."
        )
    n = len(codes)
    alike = 0
    cells = codes.reshape(n, -1).T
    for cell in cells:
        count = np.unique(cell, return_counts=True)[1].astype(np.int64)
        alike += int((count * (count - 1)).sum())
    return len(cells) - alike / (n * (n - 1))
