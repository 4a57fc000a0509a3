"""Frechet distance between two sets of images, in the features of any named network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.errors import DataError


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
    """Squared Frechet distance of the Gaussians fitted to two feature sets (Heusel et al. 2017).

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
    shift = first.mean(axis=0) - second.mean(axis=0)
    root_a, root_b = _covariance_root(first), _covariance_root(second)
    # With C = R^T R the trace of the root of the product is the sum of the singular values of
    # R_a R_b^T. Nothing is squared first, so that singular covariances lose no digits.
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = shift @ shift + np.square(root_a).sum() + np.square(root_b).sum() - 2 * overlap
    return max(float(distance), 0.0)


def _checked(x: NDArray[np.floating]) -> NDArray[np.float64]:
    matrix = np.asarray(x, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) < 2:
        raise DataError(
            f"A Frechet distance needs features of shape (n, d) with n >= 2; got {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        raise DataError("A Frechet distance needs finite features; some are NaN or infinite.")
    return matrix


def _covariance_root(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """R of shape (min(n, d), d) with R^T R the covariance."""
    centred = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"), dtype=np.float64)
