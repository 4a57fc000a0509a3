"""What terms and constraints measure at a point, in plain NumPy: the truth they are checked by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.features import Categorical, Feature, Integer
from vqlso.errors import SolverError

# Per feature: a number counts per unit of its value, an array of K numbers per code.
Coefficients = Mapping[int, "float | ArrayLike"]
# Relative to the parts of a sum: what adding them in another order may change.
ROUNDING = 1e-12


def linear(coefficients: Coefficients, z: NDArray[np.float64]) -> float:
    """Sum over features of their coefficient at z (n_features,)."""
    return sum(_parts(coefficients, z))


def linear_violation(
    coefficients: Coefficients,
    z: NDArray[np.float64],
    features: Sequence[Feature],
    lower: float,
    upper: float,
) -> float:
    """By how much `linear` misses [lower, upper]; 0 inside.

    It is relative to the range of continuous parts, within which solvers keep their tolerances,
    and to the largest part if that is below 1. What may be rounding is taken off.
    """
    parts = _parts(coefficients, z)
    value, bound = sum(parts), lower if sum(parts) < lower else upper
    miss = max(lower - value, value - upper)
    rounding = ROUNDING * (abs(bound) + sum(map(abs, parts)))
    if miss <= rounding:
        return 0.0
    sizes = (_size(c, features[f], z[f]) for f, c in coefficients.items())
    return (miss - rounding) / (max(sizes, default=0.0) or 1.0)


def _parts(coefficients: Coefficients, z: NDArray[np.float64]) -> list[float]:
    return [
        float(np.asarray(coefficient)[int(z[feature])])
        if np.ndim(coefficient)
        else float(np.asarray(coefficient)) * float(z[feature])
        for feature, coefficient in coefficients.items()
    ]


def _size(coefficient: float | ArrayLike, kind: Feature, value: float) -> float:
    """What a miss is measured by, as far as one feature's part in a sum is concerned."""
    largest = float(np.abs(coefficient).max())
    if isinstance(kind, Categorical):
        return min(1.0, largest)
    width = kind.upper - kind.lower
    part = largest * (width if 0 < width < np.inf else max(1.0, abs(value)))
    return min(1.0, part) if isinstance(kind, Integer) else part


def scales(features: Sequence[Feature], purpose: str) -> NDArray[np.float64]:
    """(n_features,) what a unit of each feature counts in a distance; 0 where only == counts.

    Raises:
        SolverError: a numeric feature without finite bounds.
    """
    return np.array([_scale(kind, feature, purpose) for feature, kind in enumerate(features)])


def distances(
    data: NDArray[np.float64], z: NDArray[np.float64], features: Sequence[Feature]
) -> NDArray[np.float64]:
    """(n, n_features) points, (n_features,) z -> (n,) how far z is from each.

    Categorical features count 1 where they differ, numeric ones the difference as a share of
    their range (Gower, A General Coefficient of Similarity, Biometrics 27, 1971, unnormalised).
    Missing differs by 1 from everything else.
    """
    total: NDArray[np.float64] = feature_distances(data, z, scales(features, "A distance")).sum(1)
    return total


def feature_distances(
    data: NDArray[np.float64], z: NDArray[np.float64], scales: ArrayLike
) -> NDArray[np.float64]:
    """The part of each feature in `distances`; the arguments are broadcast together."""
    scales = np.asarray(scales)
    missing = np.isnan(data) | np.isnan(z)
    differs = (data != z) & ~(np.isnan(data) & np.isnan(z))
    numeric = (scales > 0) & ~missing
    out: NDArray[np.float64] = np.where(numeric, np.abs(data - z) * scales, differs)
    return out


def _scale(kind: Feature, feature: int, purpose: str) -> float:
    if isinstance(kind, Categorical):
        return 0.0
    width = kind.upper - kind.lower
    if not width < np.inf:
        raise SolverError(
            f"{purpose} counts feature {feature} as a share of its range, but it is {kind}: "
            "state finite bounds."
        )
    return 1.0 / width if width > 0 else 0.0
