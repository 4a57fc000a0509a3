"""From an ensemble and a choice of free cells to the small problem that the backends solve.

With t of the cells free, most splits are decided by the reference: of 800 trees over 64 cells a
few hundred still branch at t = 8, most of them on one free cell only. What is removed here would
otherwise be a column or a row of the integer programme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.trees.domains import Domain
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.instance import Instance
from solvers.trees.reduced import LabelSet, ReducedEnsemble, ReducedSplit, ReducedTree
from solvers.trees.side_model import SideModel

# A set of a cell's choices as an int whose bit c stands for choice c: cheap to intersect, compare
# and hash, which is what merging trees of the same structure needs.
Bits = int


class _Branch(NamedTuple):
    """A split that is still open: choices `left` and `right` of a free cell are told apart."""

    cell: int
    left: Bits
    right: Bits
    below_left: _Structure
    below_right: _Structure


_Structure = _Branch | None  # None is a leaf; the leaves' values are kept beside the structure


def reduce(instance: Instance) -> ReducedEnsemble:
    """Fix all cells but the free ones and simplify, keeping every value."""
    n_choices = [len(domain) for domain in instance.domains]
    constant = instance.ensemble.base + instance.constant
    unary = [unary.copy() for unary in instance.unary]
    builder = _TreeBuilder(n_choices)
    for structure, values in _merged(_OpenTrees(instance)):
        if structure is None:
            constant += values[0]
        else:
            builder.add(structure, values, unary)
    return _with_classes(constant, unary, builder, instance.side)


def without_dominated(reduced: ReducedEnsemble) -> ReducedEnsemble:
    """Keep, among labels that only their own contribution tells apart, the one of the highest.

    The others can never beat it, whatever the other cells hold. Valid for one maximiser; not
    where the k best are wanted.
    """
    kept = []
    for cell, (unary, members) in enumerate(zip(reduced.unary, reduced.sets, strict=True)):
        best: dict[bytes, int] = {}
        signatures = _signatures([members, *reduced.side.signature(cell)], len(unary))
        for label in np.argsort(-unary, kind="stable"):
            best.setdefault(signatures[label], int(label))
        kept.append(np.array(sorted(best.values()), dtype=np.int64))
    return ReducedEnsemble(
        constant=reduced.constant,
        choices=tuple(
            tuple(choices[label] for label in labels)
            for choices, labels in zip(reduced.choices, kept, strict=True)
        ),
        unary=tuple(unary[labels] for unary, labels in zip(reduced.unary, kept, strict=True)),
        sets=tuple(members[:, labels] for members, labels in zip(reduced.sets, kept, strict=True)),
        trees=reduced.trees,
        side=reduced.side.kept(kept),
    )


class _OpenTrees:
    """The trees as seen by the free cells: iterates over (structure, values of its leaves)."""

    def __init__(self, instance: Instance) -> None:
        ensemble = instance.ensemble
        position = np.full(ensemble.n_features, -1)
        position[instance.free] = np.arange(len(instance.free))
        cell = np.where(ensemble.feature >= 0, position[ensemble.feature], -1)
        follow = _decided(ensemble, cell, instance.reference)
        # Plain lists: a walk in Python reads single items of them several times faster.
        self._cell: list[int] = cell.tolist()
        self._value: list[float] = ensemble.value.tolist()
        self._left: list[int] = follow[ensemble.left].tolist()
        self._right: list[int] = follow[ensemble.right].tolist()
        self._roots: list[int] = follow[ensemble.roots].tolist()
        self._goes_left = _left_choices(ensemble, cell, instance.domains)
        self._all = [(1 << len(domain)) - 1 for domain in instance.domains]

    def __iter__(self) -> Iterator[tuple[_Structure, tuple[float, ...]]]:
        for root in self._roots:
            yield self._walk(root, {})

    def _walk(self, node: int, reach: dict[int, Bits]) -> tuple[_Structure, tuple[float, ...]]:
        """The part below `node` that choices in `reach` (all, where a cell is absent) can enter."""
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
        # Mirrored trees are the same: the side of the lowest choice is always called left.
        return _Branch(cell, right, left, below_right, below_left), right_values + left_values


def _decided(
    ensemble: TreeEnsemble, cell: NDArray[np.int64], reference: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(N,) the first node at or below each one that is a leaf or splits a free cell."""
    fixed = np.flatnonzero((ensemble.feature >= 0) & (cell < 0))
    left = ensemble.goes_left(fixed, reference[ensemble.feature[fixed]])
    follow = np.arange(len(cell))
    follow[fixed] = np.where(left, ensemble.left[fixed], ensemble.right[fixed])
    while (further := follow[follow]).tolist() != follow.tolist():
        follow = further
    return follow


def _left_choices(
    ensemble: TreeEnsemble, cell: NDArray[np.int64], domains: Sequence[Domain]
) -> dict[int, Bits]:
    """The choices that go left, of each node that splits a free cell."""
    sets: dict[int, Bits] = {}
    for position, domain in enumerate(domains):
        nodes = np.flatnonzero(cell == position)
        left = ensemble.left_table(nodes, domain.values)
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
    """Flattens structures into `ReducedTree`s and numbers the sets of choices that they test."""

    def __init__(self, n_choices: Sequence[int]) -> None:
        self._n_choices = n_choices
        self._rows: list[dict[Bits, int]] = [{} for _ in n_choices]
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
        """(choices of the cell,) membership of each choice."""
        k = self._n_choices[cell]
        packed = np.frombuffer(codes.to_bytes((k + 7) // 8, "little"), dtype=np.uint8)
        return np.unpackbits(packed, bitorder="little", count=k).astype(bool)

    def table(self, cell: int) -> NDArray[np.bool_]:
        """(n_sets, choices of the cell) all sets of a cell, in the order of their rows."""
        rows = [self.members(cell, codes) for codes in self._rows[cell]]
        return np.array(rows, dtype=bool).reshape(len(rows), self._n_choices[cell])

    def _set(self, cell: int, codes: Bits) -> LabelSet:
        rows = self._rows[cell]
        return LabelSet(cell, rows.setdefault(codes, len(rows)))


def _with_classes(
    constant: float, unary: list[NDArray[np.float64]], builder: _TreeBuilder, side: SideModel
) -> ReducedEnsemble:
    """Merge choices that contribute the same and play the same part into labels."""
    choices, unaries, sets = [], [], []
    for cell, contribution in enumerate(unary):
        table = builder.table(cell)
        classes: dict[bytes, list[int]] = {}
        columns = [table, contribution[None], *side.signature(cell)]
        for choice, signature in enumerate(_signatures(columns, len(contribution))):
            classes.setdefault(signature, []).append(choice)
        first = np.array([members[0] for members in classes.values()])
        choices.append(tuple(np.array(members, dtype=np.int64) for members in classes.values()))
        unaries.append(contribution[first])
        sets.append(table[:, first])
    kept = [np.array([label[0] for label in labels]) for labels in choices]
    return ReducedEnsemble(
        constant, tuple(choices), tuple(unaries), tuple(sets), tuple(builder.trees), side.kept(kept)
    )


def _signatures(columns: Sequence[NDArray[Any]], n: int) -> list[bytes]:
    """Bytes that are equal for equal columns; every array's last axis has length n."""
    parts = [np.empty((n, 0), dtype=np.uint8)]
    for array in columns:
        if array.dtype == bool:
            parts.append(np.packbits(array, axis=0).T)
        else:
            # Adding 0 turns -0.0 into 0.0, which is equal but has other bytes.
            parts.append(np.ascontiguousarray((array + 0).T).view(np.uint8))
    return [row.tobytes() for row in np.concatenate(parts, axis=1)]
