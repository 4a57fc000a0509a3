"""Among points of the same prediction, the one that is liked best."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from solvers.trees.arguments import as_numbers
from solvers.trees.features import Categorical
from solvers.trees.instance import Instance
from solvers.trees.traversal import Trees, goes_left
from vqlso.errors import SolverError


def preferred(
    instance: Instance, z: NDArray[np.float64], preference: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """(n_features,) z, with values that no split on the way to z's leaves tells apart.

    A free feature takes the reference's value if it is one of these, else the code of highest
    preference. All trees keep their leaf, so that the prediction stays the same to the last bit.
    With terms or constraints other things count as well, and z stays as it is.

    Args:
        instance: what z solves.
        z: (n_features,).
        preference: (n_features, K) weights of codes; z's own code wins where there are none.
    """
    if instance.terms or instance.constraints:
        return z
    ensemble = instance.ensemble
    told_apart = _diverging(ensemble.arrays, z, instance.reference)
    liked = np.where(told_apart, z, instance.reference)
    changed = np.flatnonzero(liked != z).tolist()
    for cell, free in enumerate(instance.free.tolist()):
        if preference is None and free not in changed:
            continue
        keeps = not told_apart[free] and instance.domains[cell].choice(liked[free]) >= 0
        if keeps:
            continue
        liked[free] = z[free]
        if preference is None:
            continue
        if isinstance(instance.features[free], Categorical):
            codes = instance.domains[cell].values
            candidates = codes[_alike(ensemble.arrays, z, free, codes)]
            weights = preference[free, candidates.astype(np.int64)]
            liked[free] = candidates[np.argmax(weights)]
    return liked


def checked_preference(
    preference: ArrayLike | None, instance: Instance
) -> NDArray[np.float64] | None:
    """(n_features, K) the weights of codes, if any.

    Raises:
        SolverError: another shape, no numbers, or features that are no codes.
    """
    if preference is None:
        return None
    categories = instance.ensemble.categories
    if categories is None:
        raise SolverError("Preferences are of codes, but some features are no codes.")
    weights = as_numbers("preference", preference)
    expected = (len(categories), max(categories))
    if weights.shape != expected:
        raise SolverError(
            f"Preferences are one per feature and code, shape {expected}; got {weights.shape}."
        )
    return weights


@njit(cache=True)
def _diverging(
    trees: Trees, z: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(F,) features that some node on z's way splits, sending the other point's value away."""
    out = np.zeros(len(z), dtype=np.bool_)
    may_diverge = z != other
    for root in trees.roots:
        node = root
        while trees.feature[node] >= 0:
            feature = trees.feature[node]
            left = goes_left(trees, node, z[feature])
            if may_diverge[feature] and left != goes_left(trees, node, other[feature]):
                out[feature], may_diverge[feature] = True, False
            node = trees.left[node] if left else trees.right[node]
    return out


@njit(cache=True)
def _alike(
    trees: Trees, z: NDArray[np.float64], feature: int, values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(n,) which values of a feature every node on z's way sends where it sends z's."""
    out = np.ones(len(values), dtype=np.bool_)
    for root in trees.roots:
        node = root
        while trees.feature[node] >= 0:
            left = goes_left(trees, node, z[trees.feature[node]])
            if trees.feature[node] == feature:
                for a in range(len(values)):
                    out[a] &= goes_left(trees, node, values[a]) == left
            node = trees.left[node] if left else trees.right[node]
    return out
