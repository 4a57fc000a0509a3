"""What surrogates of real vectors share about their samples: checks, and the scales learnt on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.surrogates.samples import checked_scores
from vqlso.errors import SolverError

# Below this share of the largest absolute value a deviation is the rounding of equal numbers.
ROUNDING = 1e-12


class Scale(NamedTuple):
    """An affine map to mean 0 and deviation 1; equal values keep their unit.

    Attributes:
        offset: () or (d,) float64, the mean.
        unit: () or (d,) float64, the standard deviation, or 1 where it is 0.
    """

    offset: NDArray[np.float64]
    unit: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], weight: NDArray[np.float64]) -> Scale:
        """That of (n,) or (n, d) values under (n,) weights."""
        offset = np.average(values, axis=0, weights=weight)
        deviation = np.sqrt(np.average((values - offset) ** 2, axis=0, weights=weight))
        varies = deviation > ROUNDING * np.abs(values).max(axis=0)
        return cls(np.asarray(offset), np.where(varies, deviation, 1.0))

    def standardised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) or (n, d) values in units of their deviation."""
        return (values - self.offset) / self.unit


class Vectors(NamedTuple):
    """What a surrogate is fitted to, checked; samples of weight 0 are left out.

    Attributes:
        z: (n, d) float64 latents.
        y: (n,) float64 scores.
        weight: (n,) float64 > 0 with mean 1.
    """

    z: NDArray[np.float64]
    y: NDArray[np.float64]
    weight: NDArray[np.float64]

    def r2(self, predicted: NDArray[np.float64]) -> float:
        """The weighted share of the scores' variance that (n,) predictions explain."""
        mean = np.average(self.y, weights=self.weight)
        variance = np.average((self.y - mean) ** 2, weights=self.weight)
        left = np.average((self.y - predicted) ** 2, weights=self.weight)
        return float(1 - left / variance) if variance > 0 else 0.0


def checked_vectors(
    z: NDArray[Any], y: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> Vectors:
    """Latents, scores and weights as a fit takes them.

    Raises:
        SolverError: shapes that do not match, numbers that are not finite, scores beyond 1e150,
            or weights that are negative or all 0.
    """
    z = real_vectors(z)
    y = checked_scores(y, len(z))
    if weight is None:
        return Vectors(z, y, np.ones(len(y)))
    weight = np.asarray(weight, dtype=np.float64)
    if weight.shape != y.shape:
        raise SolverError(f"{len(y)} samples need as many weights; got {weight.shape}.")
    if not (np.isfinite(weight).all() and weight.min() >= 0 and weight.max() > 0):
        raise SolverError("Weights must be finite, at least 0, and not all 0.")
    kept = weight > 0
    return Vectors(z[kept], y[kept], weight[kept] / weight[kept].mean())


def real_vectors(z: NDArray[Any], dimensions: int | None = None) -> NDArray[np.float64]:
    """`z` as (n, d) float64.

    Args:
        z: latents.
        dimensions: d of the fit, where there was one.

    Raises:
        SolverError: another shape than (n, d), no real numbers, or not all finite.
    """
    z = np.asarray(z)
    if z.ndim != 2 or not z.shape[1] or not np.issubdtype(z.dtype, np.floating):
        raise SolverError(
            f"Latents are real vectors of shape (n, d); got {z.dtype} of shape {z.shape}."
        )
    if dimensions is not None and z.shape[1] != dimensions:
        raise SolverError(f"Fitted to {dimensions} dimensions; got latents of {z.shape[1]}.")
    if not np.isfinite(z).all():
        raise SolverError("Latents must be finite; some here are not.")
    return z.astype(np.float64, copy=False)
