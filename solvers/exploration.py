"""How far a grid is from all known ones, as a term of the exact acquisition (ENTMOOT)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from solvers.trees import DistanceTerm, LinearTerm, Optimum, Solution, Term
from vqlso.errors import SolverError
from vqlso.records import SolveStatus

Codes = NDArray[np.int64]

# The most certain first.
_CERTAINTY = (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE, SolveStatus.UNPROVEN)


@dataclass(frozen=True)
class Exploration:
    """acquisition = prediction + kappa d(z), d the distance to the nearest known grid.

    Known are the training grids and the queries; the distance is the number of cells that
    differ. In ENTMOOT (Thebelt et al., Computers and Chemical Engineering 151, 2021) a distance
    to data either rewards exploration, within a bound, or penalises it. Here the free cells are
    the bound: around a known reference d <= t.

    Attributes:
        kappa: score a cell, finite; above 0 it seeks the unknown, below 0 it stays near the data
            and may propose a known grid again, 0 leaves the prediction alone.

    Raises:
        SolverError: kappa is not finite.
    """

    kappa: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.kappa):
            raise SolverError(f"Exploration needs a finite kappa; got {self.kappa}.")

    @property
    def asked(self) -> bool:
        """Whether distance counts at all."""
        return self.kappa != 0

    def maximised(
        self,
        solve: Callable[[list[Term]], Optimum],
        known: Codes,
        free: Codes,
        reference: Codes,
        categories: int,
    ) -> Optimum:
        """The best points for what `solve` maximises plus kappa d(z), proven if it proves.

        Args:
            solve: the maximiser, given terms to add.
            known: (n, h, w) grids, n >= 1.
            free: (t,) cells.
            reference: (cells,) codes of all others.
            categories: K.
        """
        if not self.asked:
            return solve([])
        rows = possibly_nearest(known.reshape(len(known), -1), free, reference)
        if self.kappa < 0:
            # kappa times the least distance is the greatest of kappa times each. Of 100 grids,
            # 8 free cells and 800 trees HiGHS took 6-10 s in one programme, `tables` .5 s so.
            return best_of([solve([self._term(row[None], categories)]) for row in rows])
        return self._farthest(solve, rows, categories)

    def _farthest(
        self, solve: Callable[[list[Term]], Optimum], rows: Codes, categories: int
    ) -> Optimum:
        """Count distances to a few rows, and to more of them as long as others are nearer.

        The distance to the nearest of a few is never too short: solutions at which it is right
        are the best for all rows. Doubling the few keeps the rounds few.
        """
        counted = np.arange(len(rows)) == 0
        optima: list[Optimum] = []
        while True:
            optima.append(solve([self._term(rows[counted], categories)]))
            distance = np.array([(rows != each.z).sum(axis=1) for each in optima[-1].solutions])
            wrong = distance.min(axis=1) < distance[:, counted].min(axis=1)
            if not wrong.any():
                return _together(optima[-1], optima)
            left = np.flatnonzero(~counted)
            nearest = np.argsort(distance[wrong][:, left].min(axis=0), kind="stable")
            counted[left[nearest[: counted.sum()]]] = True

    def _term(self, rows: Codes, categories: int) -> Term:
        """kappa times the distance to the nearest row; to one, a sum that every engine takes."""
        if len(rows) > 1:
            return DistanceTerm(rows.astype(np.float64), self.kappa)
        differs = np.arange(categories) != rows[0][:, None]
        return LinearTerm(dict(enumerate(self.kappa * differs)))


def best_of(optima: Sequence[Optimum]) -> Optimum:
    """The best points for an objective that is the greatest of several.

    A point's value is the highest that it has anywhere: among the k best of all, it is among the
    k best of the objective that is the greatest there.

    Args:
        optima: of each objective, with k solutions or all there are.
    """
    distinct: dict[bytes, Solution] = {}
    solutions = (solution for optimum in optima for solution in optimum.solutions)
    for solution in sorted(solutions, key=lambda solution: -solution.value):
        distinct.setdefault(solution.z.tobytes(), solution)
    most = max(len(optimum.solutions) for optimum in optima)
    best = replace(
        max(optima, key=lambda optimum: optimum.value),
        solutions=tuple(distinct.values())[:most],
        bound=max(optimum.bound for optimum in optima),
        status=max((optimum.status for optimum in optima), key=_CERTAINTY.index),
    )
    return _together(best, optima)


def _together(answer: Optimum, optima: Sequence[Optimum]) -> Optimum:
    """The answer that several solves led to, at their common expense."""
    counted = [optimum.nodes for optimum in optima if optimum.nodes is not None]
    return replace(
        answer,
        seconds=sum(optimum.seconds for optimum in optima),
        build_seconds=sum(optimum.build_seconds for optimum in optima),
        nodes=sum(counted) if len(counted) == len(optima) else None,
    )


def possibly_nearest(known: Codes, free: Codes, reference: Codes) -> Codes:
    """The (m, cells) rows that decide the distance, whatever codes the free cells take.

    In the fixed cells a row's distance is f. Of rows with equal codes in the free cells that of
    the least f is never farther; and a row whose f is t above the least one never is nearer than
    the row of that.

    Args:
        known: (n, cells) grids, n >= 1.
        free: (t,) cells, t >= 1.
        reference: (cells,) codes of the fixed cells.
    """
    differs = known != reference
    fixed = differs.sum(axis=1) - differs[:, free].sum(axis=1)
    order = np.argsort(fixed, kind="stable")
    order = order[fixed[order] < fixed.min() + len(free)]
    _, first = np.unique(known[order][:, free], axis=0, return_index=True)
    nearest: Codes = known[order[np.sort(first)]]
    return nearest


def distance_to_nearest(z: Codes, known: Codes) -> Codes:
    """(n, h, w), (m, h, w) -> (n,) in how many cells each grid differs from the nearest known."""
    flat = known.reshape(len(known), -1)
    return np.array([(flat != grid.ravel()).sum(axis=1).min() for grid in z], dtype=np.int64)
