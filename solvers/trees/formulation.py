"""Mišić's leaf formulation of a reduced ensemble as one sparse mixed-integer programme.

V. V. Mišić, Optimization of Tree Ensembles, Operations Research 68(5), 2020, problem (2): binary
x[cell, label] choose a label per free cell, continuous y[tree, leaf] the leaf that this activates.
The y need not be integer: with x fixed, the split constraints leave one leaf per tree. What terms
and constraints add is stated by `solvers.trees.side_formulation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.trees.programme import Programme, ProgrammeBuilder
from solvers.trees.reduced import LabelSet, ReducedEnsemble, ReducedTree
from solvers.trees.side_formulation import add_sides


@dataclass(frozen=True, eq=False)
class LeafFormulation:
    """The programme, and where in its columns the answer stands.

    Attributes:
        programme: to maximise.
        first_label: (t + 1,) column where each free cell's labels begin.
        numbers: cell -> column of its number, for cells whose number matters.
    """

    programme: Programme
    first_label: NDArray[np.int64]
    numbers: dict[int, int]

    @classmethod
    def of(cls, reduced: ReducedEnsemble) -> LeafFormulation:
        """The formulation of `reduced`."""
        first_label = np.cumsum([0, *reduced.n_labels])
        builder = ProgrammeBuilder(reduced.constant)
        for unary in reduced.unary:
            labels = builder.columns(unary, integer=True)
            builder.row(labels, np.ones(len(labels)), 1.0, 1.0)  # (2e)
        trees = _TreeRows(reduced, builder, first_label)
        for tree in reduced.trees:
            trees.add(tree)
        numbers = add_sides(reduced, builder, first_label)
        return cls(builder.build(), first_label, numbers)

    def labels(self, solution: NDArray[np.float64]) -> NDArray[np.int64]:
        """(columns,) a solution -> (t,) the label it chooses for each free cell."""
        cells = zip(self.first_label[:-1], self.first_label[1:], strict=True)
        return np.array([np.argmax(solution[start:end]) for start, end in cells], dtype=np.int64)

    def number(self, solution: NDArray[np.float64]) -> dict[int, float]:
        """(columns,) a solution -> the number of each cell whose number matters."""
        return {cell: float(solution[column]) for cell, column in self.numbers.items()}


class _TreeRows:
    """The rows of trees."""

    def __init__(
        self,
        reduced: ReducedEnsemble,
        builder: ProgrammeBuilder,
        first_label: NDArray[np.int64],
    ) -> None:
        self._reduced = reduced
        self._builder = builder
        self._first_label = first_label
        self._choices: dict[LabelSet, tuple[NDArray[np.int64], float, float]] = {}

    def add(self, tree: ReducedTree) -> None:
        """One active leaf (2b), on the side of each split that its cell's label is on (2c, 2d).

        Equation (2b) has a 1 on its right where here is x[domain]: the tree's other leaves
        depend on the root's cell alone and have become unary terms.
        """
        leaves = self._builder.columns(np.array(tree.values))
        self._within(leaves, tree.domain, equal=True)
        for split in tree.splits:
            self._within(leaves[split.first : split.middle], split.left)
            self._within(leaves[split.middle : split.end], split.right)

    def _within(self, leaves: NDArray[np.int64], labels: LabelSet, *, equal: bool = False) -> None:
        """sum of the leaves <= (or =) sum of x over the labels."""
        if not leaves.size:
            return
        columns, coefficient, right = self._choice(labels)
        self._builder.row(
            np.concatenate([leaves, columns]),
            np.concatenate([np.ones(len(leaves)), np.full(len(columns), -coefficient)]),
            right if equal else -np.inf,
            right,
        )

    def _choice(self, labels: LabelSet) -> tuple[NDArray[np.int64], float, float]:
        """Columns, coefficient and constant whose sum is the sum of x over the labels.

        Since the x of a cell sum to 1, it is also 1 minus the sum over the complement; the
        smaller of the two keeps the matrix sparse.
        """
        known = self._choices.get(labels)
        if known is None:
            members = self._reduced.members(labels)
            direct = 2 * members.sum() <= len(members)
            columns = self._first_label[labels.cell] + np.flatnonzero(members == direct)
            known = (columns, 1.0, 0.0) if direct else (columns, -1.0, 1.0)
            self._choices[labels] = known
        return known
