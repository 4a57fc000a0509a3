"""A reduced ensemble as a network of cost functions.

A leaf is a table over the cells on its path; leaves over the same cells share one. Costs are minus
the objective, in whole units.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce as fold
from math import ceil

import numpy as np
from numpy.typing import NDArray
from pytoulbar2 import CFN

from solvers.trees.backends.contract import InfeasibleError, Limits, UnsupportedError
from solvers.trees.backends.whole_numbers import (
    PRECISION,
    Scale,
    WholeRow,
    distance_row,
    whole_row,
)
from solvers.trees.reduced import ReducedEnsemble, ReducedTree
from solvers.trees.side_model import DistanceLimit, NearestDistance

# toulbar2 propagates tables of up to three variables well; beyond, it merely stores them.
_MOST_CELLS = 3
# Costs are handed over as float64, which holds all whole numbers up to here.
_LARGEST_COST = 2**53
_UNLIMITED = 2**63 - 1

Tables = dict[tuple[int, ...], NDArray[np.float64]]


def tables(reduced: ReducedEnsemble, most_entries: int) -> Tables:
    """Cells -> what they contribute together, one axis of labels a cell.

    Raises:
        UnsupportedError: a leaf depends on too many cells, or there are too many entries.
    """
    result: Tables = {(cell,): unary.copy() for cell, unary in enumerate(reduced.unary)}
    entries = 0
    for cells, contribution in _contributions(reduced):
        if cells not in result:
            entries += contribution.size
            if entries > most_entries:
                raise UnsupportedError(
                    f"toulbar2's tables would have more than {most_entries:,} entries: free fewer "
                    "features, or use another backend."
                )
            result[cells] = np.zeros(contribution.shape)
        result[cells] += contribution
    return result


def _contributions(
    reduced: ReducedEnsemble,
) -> Iterator[tuple[tuple[int, ...], NDArray[np.float64]]]:
    for tree in reduced.trees:
        yield from _leaves(reduced, tree)
    for pair in reduced.side.pairs:
        yield (pair.first, pair.second), pair.values


def _leaves(
    reduced: ReducedEnsemble, tree: ReducedTree
) -> Iterator[tuple[tuple[int, ...], NDArray[np.float64]]]:
    """A leaf is active where the labels of all cells on its path are in their sets."""
    for value, path in zip(tree.values, tree.paths, strict=True):
        conditions = sorted(path)
        cells = tuple(condition.cell for condition in conditions)
        if len(cells) > _MOST_CELLS:
            raise UnsupportedError(
                f"A leaf depends on {len(cells)} free features, but toulbar2's tables span at most "
                f"{_MOST_CELLS}: use shallower trees or another backend."
            )
        members = [reduced.members(condition).astype(np.float64) for condition in conditions]
        yield cells, value * fold(np.multiply.outer, members)


class Network:
    """The network, stated and solved once.

    Args:
        reduced: what is maximised.
        contributions: its `tables`.
        floor: an objective, without the constant, that is known to be reached; if any.

    Raises:
        InfeasibleError, UnsupportedError: as `Backend.solve`.
        InternalError: of pytoulbar2, in another thread than the one that imported it.
    """

    def __init__(
        self, reduced: ReducedEnsemble, contributions: Tables, floor: float | None
    ) -> None:
        side = reduced.side
        if side.numbers:
            raise UnsupportedError(
                "toulbar2 counts in whole numbers, but numbers within intervals matter here: use "
                "a backend for mixed-integer programmes, such as 'highs'."
            )
        self._reduced = reduced
        self._n_tables = 0
        n_terms = len(contributions) + len(side.nearest) * (len(reduced.unary) + 1)
        self._scale = Scale.of(n_terms)
        # A solution has to cost less than the first upper bound, so that one lies above the floor.
        most = None if floor is None else ceil((PRECISION - floor) * self._scale.units)
        self._cfn = CFN(ubinit=most, verbose=-1)
        self._seconds = 0
        for cell, n in enumerate(reduced.n_labels):
            self._cfn.AddVariable(f"cell{cell}", range(n))
        for cells, table in contributions.items():
            self._add_table(cells, table)
        for row in side.rows:
            self._add_row(whole_row(row))
        for limit in side.limits:
            self._add_limit(limit)
        for part in side.nearest:
            self._add_nearest(part)

    @property
    def bound(self) -> float:
        """No solution has a higher objective, without the constant."""
        return -float(self._cfn.GetDDualBound()) / self._scale.units

    @property
    def backtracks(self) -> int:
        """Of the search."""
        return int(self._cfn.GetNbBacktracks())

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of variables and tables."""
        return {"columns": int(self._cfn.GetNbVars()), "tables": self._n_tables}

    def limit(self, limits: Limits) -> None:
        """State when to stop the search; without this the limit of the network before holds."""
        self._cfn.Option.backtrackLimit = _UNLIMITED if limits.nodes is None else limits.nodes
        self._seconds = 0 if limits.seconds is None else ceil(limits.seconds)

    def solve(self) -> tuple[NDArray[np.int64] | None, bool]:
        """(t,) the best labels found, if any, and whether the search came to its end."""
        # The search changes this setting, and a new network inherits it.
        self._cfn.Option.hbfs = 1
        try:
            answer = self._cfn.Solve(timeLimit=self._seconds)
        finally:
            if self._seconds:
                # It would go on counting, and end another network's solve.
                self._cfn.CFN.timerStop()
        is_complete = not self._cfn.Option.limited
        if answer is None:
            return None, is_complete
        return np.array(answer[0][: len(self._reduced.unary)], dtype=np.int64), is_complete

    def _add_table(self, variables: tuple[int, ...], table: NDArray[np.float64]) -> None:
        costs = -self._scale.up(table)
        if np.abs(costs).max() > _LARGEST_COST:
            raise UnsupportedError(
                "The terms differ too much in size to be counted in whole numbers: use a backend "
                "that computes in floating point, such as 'highs'."
            )
        self._n_tables += 1
        self._cfn.AddFunction(list(variables), costs.ravel().astype(np.float64).tolist())

    def _add_row(self, row: WholeRow) -> None:
        counted = [
            (variable, value, int(weights[value]))
            for variable, weights in row.weights.items()
            for value in np.flatnonzero(weights).tolist()
        ]
        if not counted and ((row.lower or 0) > 0 or (row.upper or 0) < 0):
            raise InfeasibleError("A constraint that no free feature counts in does not hold.")
        for operand, end in ((">=", row.lower), ("<=", row.upper)):
            if counted and end is not None:
                self._cfn.AddGeneralizedLinearConstraint(counted, operand, end)

    def _some_point(self, n: int) -> int:
        """A variable that chooses one of n points."""
        return int(self._cfn.AddVariable(f"point{self._cfn.GetNbVars()}", range(n)))

    def _add_limit(self, limit: DistanceLimit) -> None:
        """The chosen point is near enough: the row of every other one is slack."""
        n = len(limit.distance.fixed)
        some = self._some_point(n)
        for point in range(n):
            row = distance_row(limit.name, limit.distance, point, limit.radius)
            assert row.upper is not None
            farthest = sum(int(weights.max()) for weights in row.weights.values())
            excess = max(0, farthest - row.upper)
            weights = {**row.weights, some: excess * (np.arange(n) == point)}
            self._add_row(WholeRow(weights, None, row.upper + excess))

    def _add_nearest(self, part: NearestDistance) -> None:
        """Seeking nearness, the maximum itself chooses the nearest point."""
        if part.weight > 0:
            raise UnsupportedError(
                "toulbar2 cannot seek distance from the nearest of several points: use a backend "
                "for mixed-integer programmes, such as 'highs'."
            )
        some = self._some_point(len(part.distance.fixed))
        self._add_table((some,), part.weight * part.distance.fixed)
        for cell in range(len(self._reduced.unary)):
            self._add_table((cell, some), part.weight * part.distance.of(cell).T)
