"""From an ensemble and a choice of free cells to the small problem that the backends solve.

With t of the cells free, most splits are decided by the reference: of 800 trees over 64 cells a
few hundred still branch at t = 8, most of them on one free cell only. What is removed here would
otherwise be a column or a row of the integer programme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.reduced import LabelSet, ReducedEnsemble, ReducedSplit, ReducedTree
from vqlso.errors import SolverError

# A set of a cell's codes as an int whose bit c stands for code c: cheap to intersect, to compare
# and to hash, which is what merging trees of the same structure needs.
Bits = int


class _Branch(NamedTuple):
    """A split that is still open: codes `left` and `right` of a free cell are told apart."""

    cell: int
    left: Bits
    right: Bits
    below_left: _Structure
    below_right: _Structure


_Structure = _Branch | None  # None is a leaf; the leaves' values are kept beside the structure


def reduce(
    ensemble: TreeEnsemble, free: Sequence[int] | NDArray[np.int64], reference: NDArray[np.int64]
) -> ReducedEnsemble:
    """Fix all cells but `free` to the reference's codes and simplify, keeping every value.

    Args:
        ensemble: over n_features cells of known `categories`.
        free: (t,) distinct cells; free cell i of the result is `free[i]`.
        reference: (n_features,) codes.

    Raises:
        SolverError: the ensemble's categories are unknown.
    """
    if ensemble.categories is None:
        raise SolverError(
            "The codes to choose from are unknown: read the ensemble with `categories=K`."
        )
    K = [ensemble.categories[feature] for feature in free]
    constant = ensemble.base
    unary = [np.zeros(k) for k in K]
    builder = _TreeBuilder(K)
    for structure, values in _merged(_OpenTrees(ensemble, free, reference, K)):
        if structure is None:
            constant += values[0]
        else:
            builder.add(structure, values, unary)
    return _with_classes(constant, unary, builder, K)


def without_dominated(reduced: ReducedEnsemble) -> ReducedEnsemble:
    """Keep, among labels that no tree over several cells separates, the one of highest unary.

    The others can never beat it, whatever the other cells hold. Valid for one maximiser; not
    where the k best are wanted or where constraints tell such labels apart.
    """
    codes, unaries, sets = [], [], []
    for cell_codes, unary, members in zip(reduced.codes, reduced.unary, reduced.sets, strict=True):
        best: dict[bytes, int] = {}
        signatures = np.packbits(members, axis=0).T
        for label in np.argsort(-unary, kind="stable"):
            best.setdefault(signatures[label].tobytes(), int(label))
        kept = sorted(best.values())
        codes.append(tuple(cell_codes[label] for label in kept))
        unaries.append(unary[kept])
        sets.append(members[:, kept])
    return ReducedEnsemble(
        reduced.constant, tuple(codes), tuple(unaries), tuple(sets), reduced.trees
    )


class _OpenTrees:
    """The trees as seen by the free cells: iterates over (structure, values of its leaves)."""

    def __init__(
        self,
        ensemble: TreeEnsemble,
        free: Sequence[int] | NDArray[np.int64],
        reference: NDArray[np.int64],
        K: Sequence[int],
    ) -> None:
        position = np.full(ensemble.n_features, -1)
        position[np.asarray(free)] = np.arange(len(free))
        cell = np.where(ensemble.feature >= 0, position[ensemble.feature], -1)
        follow = _decided(ensemble, cell, reference)
        # Plain lists: a walk in Python reads single items of them several times faster.
        self._cell: list[int] = cell.tolist()
        self._value: list[float] = ensemble.value.tolist()
        self._left: list[int] = follow[ensemble.left].tolist()
        self._right: list[int] = follow[ensemble.right].tolist()
        self._roots: list[int] = follow[ensemble.roots].tolist()
        self._goes_left = _left_codes(ensemble, cell, K)
        self._all = [(1 << k) - 1 for k in K]

    def __iter__(self) -> Iterator[tuple[_Structure, tuple[float, ...]]]:
        for root in self._roots:
            yield self._walk(root, {})

    def _walk(self, node: int, reach: dict[int, Bits]) -> tuple[_Structure, tuple[float, ...]]:
        """The part below `node` that codes in `reach` (all, where a cell is absent) can enter."""
        cell = self._cell[node]
        if cell < 0:
            return None, (self._value[node],)
        reaching = reach.get(cell, self._all[cell])
        left = reaching & self._goes_left[node]
        right = reaching & ~left
        if not right:
            return self._walk(self._left[node], reach)
        if not left:
            return self._walk(self._right[node], reach)
        below_left, left_values = self._walk(self._left[node], {**reach, cell: left})
        below_right, right_values = self._walk(self._right[node], {**reach, cell: right})
        if left & (reaching & -reaching):
            return _Branch(cell, left, right, below_left, below_right), left_values + right_values
        # Mirrored trees are the same: the side of the lowest code is always called left.
        return _Branch(cell, right, left, below_right, below_left), right_values + left_values


def _decided(
    ensemble: TreeEnsemble, cell: NDArray[np.int64], reference: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(N,) the first node at or below each one that is a leaf or splits a free cell."""
    fixed = np.flatnonzero((ensemble.feature >= 0) & (cell < 0))
    left = ensemble.goes_left(fixed, reference[ensemble.feature[fixed]].astype(np.float64))
    follow = np.arange(len(cell))
    follow[fixed] = np.where(left, ensemble.left[fixed], ensemble.right[fixed])
    while (further := follow[follow]).tolist() != follow.tolist():
        follow = further
    return follow


def _left_codes(
    ensemble: TreeEnsemble, cell: NDArray[np.int64], K: Sequence[int]
) -> dict[int, Bits]:
    """The codes that go left, of each node that splits a free cell."""
    sets: dict[int, Bits] = {}
    for position, k in enumerate(K):
        nodes = np.flatnonzero(cell == position)
        left = ensemble.goes_left(nodes[:, None], np.arange(k, dtype=np.float64))
        packed = np.packbits(left, axis=1, bitorder="little")
        sets |= {
            int(node): int.from_bytes(row.tobytes(), "little")
            for node, row in zip(nodes, packed, strict=True)
        }
    return sets


def _merged(
    trees: _OpenTrees,
) -> Iterator[tuple[_Structure, tuple[float, ...]]]:
    """Trees of the same structure become one whose leaves are the sums of theirs."""
    values: dict[_Structure, NDArray[np.float64]] = {}
    for structure, leaves in trees:
        known = values.get(structure)
        values[structure] = np.array(leaves) if known is None else known + leaves
    for structure, total in values.items():
        yield structure, tuple(total.tolist())


class _TreeBuilder:
    """Flattens structures into `ReducedTree`s and numbers the code sets that they test."""

    def __init__(self, K: Sequence[int]) -> None:
        self._K = K
        self._rows: list[dict[Bits, int]] = [{} for _ in K]
        self.trees: list[ReducedTree] = []

    def add(
        self, root: _Branch, values: tuple[float, ...], unary: list[NDArray[np.float64]]
    ) -> None:
        """Add a tree; leaves that depend on one cell go into `unary` instead."""
        kept: list[tuple[float, dict[int, Bits]]] = []
        splits: list[ReducedSplit] = []
        remaining = iter(values)

        def flatten(structure: _Structure, path: dict[int, Bits]) -> None:
            if structure is not None:
                cell = structure.cell
                first = len(kept)
                flatten(structure.below_left, {**path, cell: structure.left})
                middle = len(kept)
                flatten(structure.below_right, {**path, cell: structure.right})
                if len(kept) > first:
                    left, right = self._set(cell, structure.left), self._set(cell, structure.right)
                    splits.append(ReducedSplit(left, right, first, middle, len(kept)))
            elif len(path) == 1:
                ((cell, codes),) = path.items()
                unary[cell][self.members(cell, codes)] += next(remaining)
            else:
                kept.append((next(remaining), path))

        flatten(root, {})
        if not kept:
            return
        domain = 0
        for _, path in kept:
            domain |= path[root.cell]
        self.trees.append(
            ReducedTree(
                values=tuple(value for value, _ in kept),
                paths=tuple(
                    tuple(self._set(cell, codes) for cell, codes in path.items())
                    for _, path in kept
                ),
                splits=tuple(splits),
                domain=self._set(root.cell, domain),
            )
        )

    def members(self, cell: int, codes: Bits) -> NDArray[np.bool_]:
        """(K of the cell,) membership of each code."""
        k = self._K[cell]
        packed = np.frombuffer(codes.to_bytes((k + 7) // 8, "little"), dtype=np.uint8)
        return np.unpackbits(packed, bitorder="little", count=k).astype(bool)

    def table(self, cell: int) -> NDArray[np.bool_]:
        """(n_sets, K of the cell) all code sets of a cell, in the order of their rows."""
        rows = [self.members(cell, codes) for codes in self._rows[cell]]
        return np.array(rows, dtype=bool).reshape(len(rows), self._K[cell])

    def _set(self, cell: int, codes: Bits) -> LabelSet:
        rows = self._rows[cell]
        return LabelSet(cell, rows.setdefault(codes, len(rows)))


def _with_classes(
    constant: float, unary: list[NDArray[np.float64]], builder: _TreeBuilder, K: Sequence[int]
) -> ReducedEnsemble:
    """Merge codes of the same memberships and the same unary value into labels."""
    codes, unaries, sets = [], [], []
    for cell in range(len(K)):
        table = builder.table(cell)
        # Adding 0.0 turns -0.0 into 0.0, which is equal but has other bytes.
        signatures = np.concatenate(
            [np.packbits(table, axis=0).T, (unary[cell] + 0.0)[:, None].view(np.uint8)], axis=1
        )
        classes: dict[bytes, list[int]] = {}
        for code, signature in enumerate(signatures):
            classes.setdefault(signature.tobytes(), []).append(code)
        first = [members[0] for members in classes.values()]
        codes.append(tuple(np.array(members, dtype=np.int64) for members in classes.values()))
        unaries.append(unary[cell][first])
        sets.append(table[:, first])
    return ReducedEnsemble(
        constant, tuple(codes), tuple(unaries), tuple(sets), tuple(builder.trees)
    )
