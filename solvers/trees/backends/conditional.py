"""A reduced ensemble as a function of one cell's label, the others fixed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.contract import UnsupportedError
from solvers.trees.reduced import LabelSet, ReducedEnsemble
from solvers.trees.side_model import ROW_TOLERANCE, DataDistance


class Conditional:
    """Evaluates all labels of a cell at once.

    Raises:
        UnsupportedError: numbers within intervals matter.
    """

    def __init__(self, reduced: ReducedEnsemble) -> None:
        if reduced.side.numbers:
            raise UnsupportedError(
                "Local search chooses labels, but numbers within intervals matter here: use a "
                "backend for mixed-integer programmes, such as 'highs'."
            )
        self._reduced = reduced
        # Condition r of cell i has number first[i] + r; the last number is of what always holds.
        self._first = np.cumsum([0, *(len(sets) for sets in reduced.sets)])
        leaves = [leaf for t in reduced.trees for leaf in zip(t.values, t.paths, strict=True)]
        self._value = np.array([value for value, _ in leaves])
        self._path = self._numbered(path for _, path in leaves)
        cells = range(len(reduced.unary))
        own = [
            [
                (n, condition)
                for n, (_, path) in enumerate(leaves)
                for condition in path
                if condition.cell == cell
            ]
            for cell in cells
        ]
        # Of each cell: the leaves with it on their path, whether each of its labels lets them be
        # active, and what else they depend on.
        self._leaf = [np.array([n for n, _ in found], dtype=np.int64) for found in own]
        self._members = [
            reduced.sets[cell][[condition.row for _, condition in found]].astype(np.float64)
            for cell, found in enumerate(own)
        ]
        self._others = [
            self._numbered((c for c in leaves[n][1] if c != condition) for n, condition in found)
            for found in own
        ]

    def values(self, cell: int, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n_labels,) the objective for each label of the cell."""
        sets = zip(self._reduced.sets, labels, strict=True)
        holds = np.append(np.concatenate([members[:, label] for members, label in sets]), True)
        active = self._value[self._leaf[cell]] * holds[self._others[cell]].all(axis=1)
        gains = self._reduced.unary[cell] + active @ self._members[cell]
        rest = self._reduced.constant + float(self._value @ holds[self._path].all(axis=1))
        rest += sum(unary[k] for unary, k in zip(self._reduced.unary, labels, strict=True))
        rest -= float(gains[labels[cell]])
        for pair in self._reduced.side.pairs:
            if pair.first == cell:
                gains = gains + pair.values[:, labels[pair.second]]
            elif pair.second == cell:
                gains = gains + pair.values[labels[pair.first]]
            else:
                rest += float(pair.values[labels[pair.first], labels[pair.second]])
        for part in self._reduced.side.nearest:
            gains = gains + part.weight * _nearest(part.distance, cell, labels)
        total: NDArray[np.float64] = rest + gains
        return total

    def misses(self, cell: int, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n_labels,) by how much constraints are missed, in sum; 0 where `feasible` holds."""
        total = np.zeros(len(self._reduced.unary[cell]))
        for row in self._reduced.side.rows:
            value = np.zeros(len(total))
            for other, weights in row.weights.items():
                value += weights if other == cell else weights[labels[other]]
            miss = np.maximum(row.lower - value, value - row.upper)
            total += np.where(row.holds(value), 0.0, miss)
        for limit in self._reduced.side.limits:
            excess = _nearest(limit.distance, cell, labels) - limit.radius
            total += np.where(excess <= ROW_TOLERANCE, 0.0, excess)
        return total

    def _numbered(self, paths: Iterable[Iterable[LabelSet]]) -> NDArray[np.int64]:
        """(leaves, depth) the numbers of the conditions on each path."""
        numbers = [[int(self._first[c.cell]) + c.row for c in path] for path in paths]
        depth = max(map(len, numbers), default=0)
        always = int(self._first[-1])
        padded = [[*path, *[always] * (depth - len(path))] for path in numbers]
        return np.array(padded, dtype=np.int64).reshape(len(numbers), depth)


def _nearest(distance: DataDistance, cell: int, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n_labels,) distance to the nearest point for each label of the cell."""
    total = distance.fixed[:, None] + distance.of(cell)
    for other, label in enumerate(labels):
        if other != cell:
            total += distance.of(other)[:, label, None]
    nearest: NDArray[np.float64] = total.min(axis=0)
    return nearest
