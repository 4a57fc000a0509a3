"""Mišić's leaf formulation of a reduced ensemble as one sparse mixed-integer programme.

V. V. Mišić, Optimization of Tree Ensembles, Operations Research 68(5), 2020, problem (2): binary
x[cell, label] choose a label per free cell, continuous y[tree, leaf] the leaf that this activates.
The y need not be integer: with x fixed, the split constraints leave one leaf per tree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.trees.reduced import LabelSet, ReducedEnsemble, ReducedTree


@dataclass(frozen=True, eq=False)
class LeafFormulation:
    """max objective @ v + offset subject to row_lower <= A v <= row_upper and 0 <= v <= 1.

    Attributes:
        objective: (columns,) float64.
        offset: what every solution contributes.
        n_binary: the first columns are the binary x, cell by cell; the rest the continuous y.
        first_label: (t + 1,) column where each free cell's labels begin.
        row_start, column, coefficient: A by rows (CSR): (rows + 1,), (nonzeros,), (nonzeros,).
        row_lower, row_upper: (rows,) float64.
    """

    objective: NDArray[np.float64]
    offset: float
    n_binary: int
    first_label: NDArray[np.int64]
    row_start: NDArray[np.int64]
    column: NDArray[np.int64]
    coefficient: NDArray[np.float64]
    row_lower: NDArray[np.float64]
    row_upper: NDArray[np.float64]

    @classmethod
    def of(cls, reduced: ReducedEnsemble) -> LeafFormulation:
        """The formulation of `reduced`."""
        rows = _Rows(reduced)
        for cell in range(len(reduced.unary)):
            rows.one_label(cell)
        first_leaf = int(rows.first_label[-1])
        for tree in reduced.trees:
            rows.tree(tree, first_leaf)
            first_leaf += len(tree.values)
        leaf_values = [value for tree in reduced.trees for value in tree.values]
        return cls(
            objective=np.concatenate([*reduced.unary, np.array(leaf_values)]),
            offset=reduced.constant,
            n_binary=int(rows.first_label[-1]),
            first_label=rows.first_label,
            row_start=np.cumsum([0, *map(len, rows.columns)]),
            column=np.concatenate(rows.columns),
            coefficient=np.concatenate(rows.coefficients),
            row_lower=np.array(rows.lower),
            row_upper=np.array(rows.upper),
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of columns, binary columns, rows and nonzeros."""
        return {
            "columns": len(self.objective),
            "binaries": self.n_binary,
            "rows": len(self.row_lower),
            "nonzeros": len(self.column),
        }

    def labels(self, solution: NDArray[np.float64]) -> NDArray[np.int64]:
        """(columns,) a solution -> (t,) the label it chooses for each free cell."""
        cells = zip(self.first_label[:-1], self.first_label[1:], strict=True)
        return np.array([np.argmax(solution[start:end]) for start, end in cells], dtype=np.int64)


class _Rows:
    """Collects the rows; one method per family of constraints."""

    def __init__(self, reduced: ReducedEnsemble) -> None:
        self._reduced = reduced
        self.first_label = np.cumsum([0, *reduced.n_labels])
        self.columns: list[NDArray[np.int64]] = []
        self.coefficients: list[NDArray[np.float64]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._choices: dict[LabelSet, tuple[NDArray[np.int64], float, float]] = {}

    def one_label(self, cell: int) -> None:
        """sum_j x[cell, j] = 1 (2e)."""
        columns = np.arange(self.first_label[cell], self.first_label[cell + 1])
        self._append(columns, np.ones(len(columns)), 1.0, 1.0)

    def tree(self, tree: ReducedTree, first_leaf: int) -> None:
        """One active leaf (2b), on the side of each split that its cell's label is on (2c, 2d).

        Equation (2b) has a 1 on its right where here is x[domain]: the tree's other leaves
        depend on the root's cell alone and have become unary terms.
        """
        self._leaves_within(first_leaf, 0, len(tree.values), tree.domain, equal=True)
        for split in tree.splits:
            self._leaves_within(first_leaf, split.first, split.middle, split.left)
            self._leaves_within(first_leaf, split.middle, split.end, split.right)

    def _leaves_within(
        self, first_leaf: int, start: int, end: int, labels: LabelSet, *, equal: bool = False
    ) -> None:
        """sum of the leaves start..end-1 <= (or =) sum of x over the labels."""
        if start == end:
            return
        columns, coefficient, right = self._choice(labels)
        self._append(
            np.concatenate([np.arange(first_leaf + start, first_leaf + end), columns]),
            np.concatenate([np.ones(end - start), np.full(len(columns), -coefficient)]),
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
            columns = self.first_label[labels.cell] + np.flatnonzero(members == direct)
            known = (columns, 1.0, 0.0) if direct else (columns, -1.0, 1.0)
            self._choices[labels] = known
        return known

    def _append(
        self,
        columns: NDArray[np.int64],
        coefficients: NDArray[np.float64],
        lower: float,
        upper: float,
    ) -> None:
        self.columns.append(columns)
        self.coefficients.append(coefficients)
        self.lower.append(lower)
        self.upper.append(upper)
