"""What is left of an instance once all but a few cells are fixed: a small sum over label classes.

Choices of a free cell that nothing left tells apart form a *label class*, or label: the objective
is the same for all of them, so the engines choose among labels only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.trees.side_model import NearestDistance, SideModel


class LabelSet(NamedTuple):
    """A subset of one free cell's labels: row `row` of `ReducedEnsemble.sets[cell]`."""

    cell: int
    row: int


class ReducedSplit(NamedTuple):
    """A split and the leaves below it, which are consecutive in their tree.

    Leaves first..middle-1 lie to its left, where the cell's label is in `left`; leaves
    middle..end-1 to its right, where it is in `right`. Both sets hold only labels that reach
    the split; for a label in neither, no leaf below is active.
    """

    left: LabelSet
    right: LabelSet
    first: int
    middle: int
    end: int


@dataclass(frozen=True)
class ReducedTree:
    """A tree over at least two free cells; leaves that depend on one cell are gone from it.

    Attributes:
        values: of the leaves.
        paths: of each leaf, the conditions that together make it the active one, one a cell.
        splits: every split that still has leaves.
        domain: exactly one leaf is active if the root's cell has a label of this set, else none.
    """

    values: tuple[float, ...]
    paths: tuple[tuple[LabelSet, ...], ...]
    splits: tuple[ReducedSplit, ...]
    domain: LabelSet


@dataclass(frozen=True, eq=False)
class ReducedEnsemble:
    """constant + unary terms + trees + side terms over t free cells, counted from 0.

    Attributes:
        constant: contribution of everything that is fixed.
        choices: per free cell and label, the choices of that class, ascending.
        unary: per free cell (n_labels,), what a label contributes by itself.
        sets: per free cell (n_sets, n_labels) bool, the label sets that splits test.
        trees: what couples the cells.
        side: terms and constraints, over labels.
    """

    constant: float
    choices: tuple[tuple[NDArray[np.int64], ...], ...]
    unary: tuple[NDArray[np.float64], ...]
    sets: tuple[NDArray[np.bool_], ...]
    trees: tuple[ReducedTree, ...]
    side: SideModel = field(default_factory=SideModel)

    @property
    def n_labels(self) -> tuple[int, ...]:
        """Number of labels of each free cell."""
        return tuple(len(unary) for unary in self.unary)

    def members(self, labels: LabelSet) -> NDArray[np.bool_]:
        """(n_labels of the cell,) membership in a label set."""
        members: NDArray[np.bool_] = self.sets[labels.cell][labels.row]
        return members

    def label(self, cell: int, choice: int) -> int | None:
        """The label of a choice; None if it was found not to matter and dropped."""
        for label, members in enumerate(self.choices[cell]):
            if choice in members:
                return label
        return None

    def values(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, t) labels -> (n,) the objective, without what numbers within intervals add."""
        total = np.full(len(labels), self.constant)
        for cell, unary in enumerate(self.unary):
            total += unary[labels[:, cell]]
        for tree in self.trees:
            for value, path in zip(tree.values, tree.paths, strict=True):
                active = np.ones(len(labels), dtype=bool)
                for condition in path:
                    active &= self.members(condition)[labels[:, condition.cell]]
                total += value * active
        for pair in self.side.pairs:
            total += pair.values[labels[:, pair.first], labels[:, pair.second]]
        for part in self.side.nearest:
            total += part.weight * part.distance.nearest(labels)
        return total

    def feasible(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n, t) labels -> (n,) whether the constraints hold, as far as labels decide it."""
        holds = np.ones(len(labels), dtype=bool)
        for row in self.side.rows:
            value = np.zeros(len(labels))
            for cell, weight in row.weights.items():
                value += weight[labels[:, cell]]
            holds &= row.holds(value)
        for limit in self.side.limits:
            holds &= limit.holds(labels)
        return holds

    @property
    def spread(self) -> float:
        """Sum of the ranges of all terms: no two solutions differ by more."""
        spread = sum(float(np.ptp(unary)) for unary in self.unary)
        spread += sum(max(0.0, *tree.values) - min(0.0, *tree.values) for tree in self.trees)
        spread += sum(float(np.ptp(pair.values)) for pair in self.side.pairs)
        spread += sum(abs(part.weight) * self._farthest(part) for part in self.side.nearest)
        for number in self.side.numbers.values():
            spread += abs(number.slope) * float(number.upper.max() - number.lower.min())
        return spread

    def standardised(self) -> tuple[ReducedEnsemble, float]:
        """The objective without its constant and with its largest term at 1, and that term's size.

        Solvers of linear programmes have absolute tolerances: a cost below them counts as 0, and
        an ensemble of tiny leaves would be called optimal anywhere.
        """
        terms = [
            *self.unary,
            *(np.array(tree.values) for tree in self.trees),
            *(pair.values for pair in self.side.pairs),
            *(np.array([part.weight]) for part in self.side.nearest),
            *(np.array([number.slope]) for number in self.side.numbers.values()),
        ]
        size = max((float(np.abs(term).max()) for term in terms), default=0.0) or 1.0
        trees = (
            replace(tree, values=tuple(value / size for value in tree.values))
            for tree in self.trees
        )
        unary = tuple(unary / size for unary in self.unary)
        return replace(
            self, constant=0.0, unary=unary, trees=tuple(trees), side=self.side.scaled(1 / size)
        ), size

    def upper_bound(self) -> float:
        """A bound that needs no solving: every term at its own maximum."""
        bound = self.constant + sum(float(unary.max()) for unary in self.unary)
        for tree in self.trees:
            always = self.members(tree.domain).all()
            bound += max(tree.values) if always else max(0.0, *tree.values)
        bound += sum(float(pair.values.max()) for pair in self.side.pairs)
        bound += sum(max(0.0, part.weight) * self._farthest(part) for part in self.side.nearest)
        for number in self.side.numbers.values():
            bound += max(number.slope * number.lower.min(), number.slope * number.upper.max())
        return bound

    def _farthest(self, part: NearestDistance) -> float:
        """No distance is larger."""
        cells = range(len(self.unary))
        return float(part.distance.fixed.max()) + sum(
            float(part.distance.of(cell).max()) for cell in cells
        )
