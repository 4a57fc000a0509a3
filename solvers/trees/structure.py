"""What the arrays of an ensemble must satisfy before a kernel may follow them blindly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from solvers.trees.features import Categorical, Feature
from vqlso.errors import SolverError

if TYPE_CHECKING:
    from solvers.trees.ensemble import TreeEnsemble

_PER_NODE = (
    "threshold",
    "subset",
    "unknown_left",
    "left",
    "right",
    "missing_left",
    "zero_is_missing",
    "value",
)


def check_structure(ensemble: TreeEnsemble) -> None:
    """Refuse arrays that are no trees, and leaves that are no numbers.

    Raises:
        SolverError: arrays of different lengths, indices out of range, nodes with two parents,
            thresholds that are nan, leaves that are nan or infinite.
    """
    n = len(ensemble.feature)
    for name in _PER_NODE:
        if len(getattr(ensemble, name)) != n:
            raise SolverError(
                f"An ensemble of {n} nodes needs as many entries of `{name}`; "
                f"got {len(getattr(ensemble, name))}."
            )
    _check_range("feature", ensemble.feature, -1, ensemble.n_features)
    _check_range("subset", ensemble.subset, -1, len(ensemble.subsets))
    for name in ("left", "right", "roots"):
        _check_range(name, getattr(ensemble, name), 0, n)
    splits = np.flatnonzero(ensemble.feature >= 0)
    _check_parents(ensemble, splits)
    numeric = splits[ensemble.subset[splits] < 0]
    _check_numbers(ensemble, numeric[np.isnan(ensemble.threshold[numeric])], "threshold")
    leaves = np.flatnonzero(ensemble.feature < 0)
    parents = leaves[(ensemble.left[leaves] != leaves) | (ensemble.right[leaves] != leaves)]
    if parents.size:
        raise SolverError(f"Node {parents[0]} has children and splits no feature: damaged model.")
    _check_numbers(ensemble, leaves[~np.isfinite(ensemble.value[leaves])], "value")
    if not np.isfinite(ensemble.base):
        raise SolverError(f"What is added to the sum of the trees is {ensemble.base}.")


def check_features(ensemble: TreeEnsemble, features: Sequence[Feature]) -> None:
    """Refuse features that cannot be those that the ensemble splits.

    Raises:
        SolverError: another number of features, or a categorical split on an ordered one.
    """
    if len(features) != ensemble.n_features:
        raise SolverError(
            f"The ensemble has {ensemble.n_features} features; {len(features)} were stated. State "
            "one each."
        )
    for feature in np.unique(ensemble.feature[ensemble.subset >= 0]):
        if feature >= 0 and not isinstance(features[feature], Categorical):
            raise SolverError(
                f"The model splits feature {feature} by sets of categories: it is Categorical, "
                f"not {type(features[feature]).__name__}."
            )


def _check_range(name: str, index: NDArray[np.int64], first: int, end: int) -> None:
    outside = np.flatnonzero((index < first) | (index >= end))
    if outside.size:
        raise SolverError(
            f"The entries of `{name}` lie in {first}..{end - 1}; got {index[outside[0]]}."
        )


def _check_parents(ensemble: TreeEnsemble, splits: NDArray[np.int64]) -> None:
    # At most one parent each and none for the roots: what is reached from a root is a tree, and
    # following it ends.
    n = len(ensemble.feature)
    children = np.concatenate([ensemble.left[splits], ensemble.right[splits], ensemble.roots])
    shared = np.flatnonzero(np.bincount(children, minlength=n) > 1)
    if shared.size:
        tree = _tree_of(ensemble, int(shared[0]))
        raise SolverError(f"Node {shared[0]} in tree {tree} is reached twice: that is no tree.")


def _check_numbers(ensemble: TreeEnsemble, faulty: NDArray[np.int64], name: str) -> None:
    if faulty.size:
        node = int(faulty[0])
        noun = "leaf" if name == "value" else "threshold"
        raise SolverError(
            f"A {noun} of tree {_tree_of(ensemble, node)} is {getattr(ensemble, name)[node]}: the "
            "model is damaged, or its training diverged."
        )


def _tree_of(ensemble: TreeEnsemble, node: int) -> int | str:
    """The number of the tree that a node belongs to, for a message."""
    seen = np.zeros(len(ensemble.feature), dtype=bool)
    for tree, root in enumerate(ensemble.roots):
        stack = [int(root)]
        while stack:
            at = stack.pop()
            if at == node:
                return tree
            if not seen[at]:
                seen[at] = True
                stack += [int(ensemble.left[at]), int(ensemble.right[at])]
    return "none"


def centres(trees: TreeEnsemble) -> NDArray[np.float64]:
    """(N,) half way between the lowest and the highest leaf of each node's tree."""
    tree = np.full(len(trees.feature), -1)
    reached, of = trees.roots, np.arange(len(trees.roots))
    while reached.size:
        tree[reached] = of
        splits = trees.feature[reached] >= 0
        below = reached[splits]
        reached = np.concatenate([trees.left[below], trees.right[below]])
        of = np.concatenate([of[splits], of[splits]])
    leaf = (trees.feature < 0) & (tree >= 0)
    lowest, highest = np.full(len(trees.roots), np.inf), np.full(len(trees.roots), -np.inf)
    np.minimum.at(lowest, tree[leaf], trees.value[leaf])
    np.maximum.at(highest, tree[leaf], trees.value[leaf])
    middle: NDArray[np.float64] = (lowest + (highest - lowest) / 2)[tree]
    return middle
