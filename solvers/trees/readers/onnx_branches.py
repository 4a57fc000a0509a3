"""ONNX's kinds of branches, turned into the two that a `TreeEnsemble` has.

A branch of ONNX tests its feature and goes to its true or its false node. Tests of order become
value <= threshold, swapping the two where needed; tests of equality become sets of categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.trees import bitsets
from solvers.trees.readers.assembly import below
from vqlso.errors import SolverError

LEAF = "LEAF"
_SWAPPED = {"BRANCH_GTE", "BRANCH_GT", "BRANCH_NEQ"}
_STRICT = {"BRANCH_LT", "BRANCH_GTE"}
_SETS = {"BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"}
_MODES = {LEAF, "BRANCH_LEQ", *_SWAPPED, *_STRICT, *_SETS}

# Bitsets are as wide as the highest code, however few codes there are.
_MOST_CODES = 2**16


@dataclass(frozen=True, eq=False)
class Branches:
    """The n nodes of all trees as ONNX has them.

    Attributes:
        mode: (n,) LEAF or the test of a branch.
        feature: (n,) what is tested.
        split: (n,) what it is compared with, in the dtype of the comparison.
        true, false: (n,) the next node, out of all n.
        missing_true: (n,) whether a missing value goes to the true node.
        weight: (n,) float64, contribution of a leaf.
        members: the set of each BRANCH_MEMBER node.
        roots: the first node of each tree.
    """

    mode: Sequence[str]
    feature: Sequence[int]
    split: NDArray[np.floating]
    true: Sequence[int]
    false: Sequence[int]
    missing_true: Sequence[bool]
    weight: NDArray[np.float64]
    members: dict[int, list[float]]
    roots: Sequence[int]


def node_arrays(branches: Branches) -> dict[str, Any]:
    """Node arrays of an ensemble, in the order in which a walk from the roots meets them.

    Raises:
        SolverError: an unknown test, a node that is reached twice, or a comparison for equality
            with a number that is no code.
    """
    unknown = set(branches.mode) - _MODES
    if unknown:
        raise SolverError(f"ONNX has no branches of mode '{sorted(unknown)[0]}': damaged model.")
    walk = _Walk(branches)
    roots = [walk.visit(root) for root in branches.roots]
    walk.check_completeness()
    at = np.array(walk.source)
    mode = np.array(branches.mode)[at]
    is_leaf = mode == LEAF
    in_set = np.isin(mode, list(_SETS))
    swapped = np.isin(mode, list(_SWAPPED))
    split = branches.split[at]
    threshold = np.where(np.isin(mode, list(_STRICT)), below(split), split.astype(np.float64))
    # NaN equals nothing: it passes a test of inequality.
    missing_true = np.array(walk.missing_true) | (mode == "BRANCH_NEQ")
    node = np.arange(len(at))
    return {
        "feature": np.where(is_leaf, -1, np.array(branches.feature)[at]),
        "threshold": np.where(is_leaf | in_set, 0.0, threshold),
        "subset": np.where(in_set, np.cumsum(in_set) - 1, -1),
        "subsets": _subsets([walk.members[int(i)] for i in np.flatnonzero(in_set)]),
        "unknown_left": np.zeros(len(at), dtype=bool),
        "left": np.where(is_leaf, node, np.where(swapped, walk.false, walk.true)),
        "right": np.where(is_leaf, node, np.where(swapped, walk.true, walk.false)),
        "missing_left": (missing_true != swapped) & ~is_leaf,
        "zero_is_missing": np.zeros(len(at), dtype=bool),
        "value": np.where(is_leaf, branches.weight[at], 0.0),
        "roots": np.array(roots),
    }


class _Walk:
    """Depth first over the branches, joining chains of tests for equality on the way.

    A set of categories is written as a chain of BRANCH_EQ with one common true node, so that the
    trees of ONNX may be graphs; joined, they are trees again.
    """

    def __init__(self, branches: Branches) -> None:
        self._branches = branches
        self._seen: set[int] = set()
        self.source: list[int] = []
        self.true: list[int] = []
        self.false: list[int] = []
        self.missing_true: list[bool] = []
        self.members: dict[int, list[float]] = {}

    def visit(self, root: int) -> int:
        """Append the nodes below `root`; returns the new number of the root."""
        first = len(self.source)
        stack = [(root, self.true, -1)]
        while stack:
            node, side, parent = stack.pop()
            new = self._append(node)
            if parent >= 0:
                side[parent] = new
            if self._branches.mode[node] == LEAF:
                continue
            end = self._chain_end(node, new)
            stack.append((self._branches.false[end], self.false, new))
            stack.append((self._branches.true[node], self.true, new))
        return first

    def check_completeness(self) -> None:
        """Refuse nodes that no root leads to, as a damaged child leaves them behind."""
        lost = set(range(len(self._branches.mode))) - self._seen
        if lost:
            raise SolverError(
                f"Node {min(lost)} of the ONNX ensemble is reached from no root: damaged model."
            )

    def _append(self, node: int) -> int:
        if node in self._seen:
            raise SolverError(
                f"Node {node} of the ONNX ensemble is reached twice: such graphs are not read."
            )
        self._seen.add(node)
        new = len(self.source)
        self.source.append(node)
        self.true.append(new)
        self.false.append(new)
        self.missing_true.append(bool(self._branches.missing_true[node]))
        return new

    def _chain_end(self, node: int, new: int) -> int:
        """The last test of a chain that starts at `node`, whose members go to node `new`."""
        known = self._branches
        if known.mode[node] not in _SETS:
            return node
        is_member = known.mode[node] == "BRANCH_MEMBER"
        if is_member and node not in known.members:
            raise SolverError(f"Node {node} of the ONNX ensemble, a BRANCH_MEMBER, has no set.")
        self.members[new] = [*known.members[node]] if is_member else [float(known.split[node])]
        if known.mode[node] != "BRANCH_EQ":
            return node
        following = known.false[node]
        while (
            known.mode[following] == "BRANCH_EQ"
            and known.feature[following] == known.feature[node]
            and known.true[following] == known.true[node]
            and following not in self._seen
        ):
            self._seen.add(following)
            self.members[new].append(float(known.split[following]))
            self.missing_true[new] |= bool(known.missing_true[following])
            following, node = known.false[following], following
        return node


def _subsets(members: list[list[float]]) -> NDArray[np.uint64]:
    row = np.repeat(np.arange(len(members)), [len(numbers) for numbers in members])
    numbers = np.array([number for one_set in members for number in one_set])
    bad = (numbers < 0) | (numbers % 1 != 0) | ~(numbers < _MOST_CODES)
    if bad.any():
        raise SolverError(
            f"The ONNX ensemble tests for equality with {numbers[bad][0]}; only codes from 0 to "
            f"{_MOST_CODES - 1} can be categories."
        )
    if not len(numbers):
        return np.zeros((len(members), 0), dtype=np.uint64)
    n_categories = int(numbers.max()) + 1
    return bitsets.from_pairs(
        row, numbers.astype(np.int64), n_sets=len(members), n_categories=n_categories
    )
