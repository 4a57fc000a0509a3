"""Mišić's leaf formulation of a reduced ensemble as a CP-SAT model.

Every row of the formulation is a clause of the kind "exactly (or at most) one of these literals",
which CP-SAT both propagates and relaxes well: a sum of leaves is at most s if, and only if, at most
one of them and of not-s is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from ortools.sat.cp_model_pb2 import ConstraintProto, CpModelProto

from solvers.trees.backends.contract import UnsupportedError
from solvers.trees.backends.whole_numbers import Scale, WholeRow, distance_row, whole_row
from solvers.trees.reduced import LabelSet, ReducedEnsemble, ReducedTree
from solvers.trees.side_model import DistanceLimit, NearestDistance, PairTable

_OPEN = 2**62


class CpSatModel:
    """The model, and how to read its answer.

    Attributes:
        proto: to minimise: the objective in negative units.

    Raises:
        UnsupportedError: numbers within intervals matter, or sizes differ too much.
    """

    def __init__(self, reduced: ReducedEnsemble) -> None:
        side = reduced.side
        if side.numbers:
            raise UnsupportedError(
                "CP-SAT counts in whole numbers, but numbers within intervals matter here: use a "
                "backend for mixed-integer programmes, such as 'highs'."
            )
        self.proto = CpModelProto()
        self._reduced = reduced
        nearest = [_WholeDistance(part) for part in side.nearest]
        n_terms = len(reduced.unary) + len(reduced.trees) + len(side.pairs)
        self._scale = Scale.of(n_terms + sum(part.farthest for part in nearest))
        self._sets: dict[tuple[int, bytes], int] = {}
        self._labels = [self._booleans(unary) for unary in reduced.unary]
        for labels in self._labels:
            self._one_of(labels)
        for tree in reduced.trees:
            self._add_tree(tree)
        for pair in side.pairs:
            self._add_pair(pair)
        for row in side.rows:
            self._add_row(whole_row(row))
        for limit in side.limits:
            self._add_limit(limit)
        for part in nearest:
            self._add_nearest(part)

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of variables and constraints."""
        return {"columns": len(self.proto.variables), "rows": len(self.proto.constraints)}

    def suggest(self, labels: NDArray[np.int64]) -> None:
        """Let the search begin at these (t,) labels."""
        for literals, label in zip(self._labels, labels.tolist(), strict=True):
            self.proto.solution_hint.vars.extend(literals)
            self.proto.solution_hint.values.extend(int(k == label) for k in range(len(literals)))

    def labels(self, solution: Sequence[int]) -> NDArray[np.int64]:
        """(t,) the labels of a solution."""
        return np.array([[solution[v] for v in cell].index(1) for cell in self._labels])

    def objective(self, minimum: float) -> float:
        """The objective at which the model's own is `minimum`."""
        return self._reduced.constant - minimum / self._scale.units

    def _booleans(self, gains: NDArray[np.float64]) -> list[int]:
        """New Boolean variables, and what each contributes to the objective."""
        return [self._variable(0, 1, gain) for gain in self._scale.up(gains).tolist()]

    def _variable(self, lower: int, upper: int, gain: int) -> int:
        variable = len(self.proto.variables)
        self.proto.variables.add(domain=[lower, upper])
        if gain:
            self.proto.objective.vars.append(variable)
            self.proto.objective.coeffs.append(-gain)
        return variable

    def _one_of(self, literals: Iterable[int]) -> None:
        self.proto.constraints.add().exactly_one.literals.extend(literals)

    def _is_in(self, cell: int, members: NDArray[np.bool_]) -> int:
        """The literal of the cell's label being in a set; -1 - v is the negation of v."""
        if members[0]:
            # A set and its complement share a variable.
            return -1 - self._is_in(cell, ~members)
        chosen = np.flatnonzero(members).tolist()
        if len(chosen) == 1:
            return self._labels[cell][chosen[0]]
        key = (cell, members.tobytes())
        if key not in self._sets:
            self._sets[key] = self._variable(0, 1, 0)
            self._one_of([*(self._labels[cell][label] for label in chosen), -1 - self._sets[key]])
        return self._sets[key]

    def _literal(self, labels: LabelSet) -> int:
        return self._is_in(labels.cell, self._reduced.members(labels))

    def _add_tree(self, tree: ReducedTree) -> None:
        leaves = self._booleans(np.array(tree.values))
        self._one_of([*leaves, -1 - self._literal(tree.domain)])
        for split in tree.splits:
            for below, labels in (
                (leaves[split.first : split.middle], split.left),
                (leaves[split.middle : split.end], split.right),
            ):
                if below:
                    literals = [*below, -1 - self._literal(labels)]
                    self.proto.constraints.add().at_most_one.literals.extend(literals)

    def _add_pair(self, pair: PairTable) -> None:
        """One literal per entry of the table; equal rows and columns share theirs."""
        table, row_class = np.unique(pair.values, axis=0, return_inverse=True)
        table, column_class = np.unique(table, axis=1, return_inverse=True)
        joint = np.array(self._booleans(table.ravel())).reshape(table.shape)
        for cell, entries, classes in (
            (pair.first, joint, row_class),
            (pair.second, joint.T, column_class),
        ):
            for group, literals in enumerate(entries.tolist()):
                self._one_of([*literals, -1 - self._is_in(cell, classes.ravel() == group)])

    def _add_row(self, row: WholeRow) -> ConstraintProto:
        constraint: ConstraintProto = self.proto.constraints.add()
        for cell, weights in row.weights.items():
            counted = np.flatnonzero(weights)
            constraint.linear.vars.extend(np.array(self._labels[cell])[counted].tolist())
            constraint.linear.coeffs.extend(weights[counted].tolist())
        lower = -_OPEN if row.lower is None else row.lower
        constraint.linear.domain.extend([lower, _OPEN if row.upper is None else row.upper])
        return constraint

    def _add_limit(self, limit: DistanceLimit) -> None:
        """One of the points is near enough."""
        n = len(limit.distance.fixed)
        some = self._booleans(np.zeros(n))
        self.proto.constraints.add().bool_or.literals.extend(some)
        for point, literal in enumerate(some):
            row = distance_row(limit.name, limit.distance, point, limit.radius)
            self._add_row(row).enforcement_literal.append(literal)

    def _add_nearest(self, part: _WholeDistance) -> None:
        """A variable for the distance to the nearest point.

        Seeking distance, it is below every distance; seeking nearness, above that of one point.
        """
        gain = int(self._scale.up(np.array([part.weight]))[0])
        distance = self._variable(0, part.farthest, gain)
        some: list[int] = []
        if part.weight <= 0:
            some = self._booleans(np.zeros(len(part.fixed)))
            self._one_of(some)
        for point, fixed in enumerate(part.fixed.tolist()):
            weights = {cell: counted[point] for cell, counted in enumerate(part.cells)}
            ends = (None, -fixed) if some else (-fixed, None)
            constraint = self._add_row(WholeRow(weights, *ends))
            constraint.linear.vars.append(distance)
            constraint.linear.coeffs.append(-1)
            constraint.enforcement_literal.extend(some[point : point + 1])


class _WholeDistance:
    """A distance term in whole numbers, which CP-SAT needs: it searches wide ranges step by step.

    Attributes:
        weight: per unit of distance.
        fixed: (n,) int64, as of `DataDistance`.
        cells: of each (n, n_labels) int64, what its labels add.
        farthest: no distance is larger.

    Raises:
        UnsupportedError: the distances are no whole numbers.
    """

    def __init__(self, part: NearestDistance) -> None:
        cells = [part.distance.of(cell) for cell in range(len(part.distance.values))]
        if any((counted % 1).any() for counted in (part.distance.fixed, *cells)):
            raise UnsupportedError(
                "CP-SAT seeks distances between codes only, not between numbers: use a backend "
                "for mixed-integer programmes, such as 'highs'."
            )
        self.weight = part.weight
        self.fixed = part.distance.fixed.astype(np.int64)
        self.cells = [counted.astype(np.int64) for counted in cells]
        self.farthest = int(self.fixed.max()) + sum(int(c.max()) for c in self.cells)
