"""Where the proof of a certificate divides a box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.trees.certificate_bounds import Box, Objective
from solvers.trees.side_model import ROW_TOLERANCE, Row

Part = NDArray[np.int64]


class Splitter:
    """Divides boxes so that few parts need to be divided again.

    Args:
        objective: whose bounds are to fall.
        rows: constraints.
    """

    def __init__(self, objective: Objective, rows: tuple[Row, ...]) -> None:
        self._objective = objective
        self._weights = []
        for cell, own in enumerate(objective.theta):
            zero = np.zeros(len(own))
            weights = [row.weights.get(cell, zero) for row in rows]
            self._weights.append(np.array(weights).reshape(len(rows), len(own)))
        self._lower = np.array([row.lower - _slack(row.lower) for row in rows])
        self._upper = np.array([row.upper + _slack(row.upper) for row in rows])

    def missed(self, box: Box) -> list[int]:
        """The constraints that no point of the box satisfies."""
        least, most = self._activities(box)
        outside = (least.sum(axis=0) > self._upper) | (most.sum(axis=0) < self._lower)
        return [int(row) for row in np.flatnonzero(outside)]

    def split(self, box: Box, target: float) -> tuple[int, list[Part]]:
        """A cell of several choices, and the parts that these are divided into.

        Choices that a constraint excludes make one part a constraint, choices that still allow
        more than `target` one each, and the others one together. The cell is the one of fewest
        choices that allow too much.
        """
        highest = self._highest(box)
        excluding = self._excluding(box)
        wide = [cell for cell, choices in enumerate(box.choices) if len(choices) > 1]
        open_ = {c: (highest[c] > target) & (excluding[c] < 0) for c in wide}
        cell = min(wide, key=lambda c: (int(open_[c].sum()), len(box.choices[c])))
        choices, others = box.choices[cell], (excluding[cell] < 0) & ~open_[cell]
        parts = [choices[excluding[cell] == r] for r in np.unique(excluding[cell]) if r >= 0]
        parts += [choices[a : a + 1] for a in np.flatnonzero(open_[cell])]
        parts += [choices[others]] if others.any() else []
        if len(parts) == 1:
            order = np.argsort(highest[cell])
            middle = len(order) // 2
            parts = [np.sort(choices[order[:middle]]), np.sort(choices[order[middle:]])]
        return cell, parts

    def _highest(self, box: Box) -> list[NDArray[np.float64]]:
        """Per cell and choice in the box, the bound if the choice is made."""
        objective, bound = self._objective, self._objective.bound(box)
        highest = [
            bound + (objective.theta[cell][choices] - box.own[cell])
            for cell, choices in enumerate(box.choices)
        ]
        for f, factor in enumerate(objective.factors):
            table, kept, least = factor.within(box.choices)
            for axis, (cell, shifts) in enumerate(zip(*factor.scope, strict=True)):
                if len(box.choices[cell]) == 1:
                    continue
                choices = box.choices[cell]
                others = tuple(a for a in range(table.ndim) if a != axis)
                of_class = table.max(axis=others) + least[axis]
                at = np.searchsorted(kept[axis], factor.classes[axis][choices])
                highest[cell] += of_class[at] - shifts[choices] - box.joint[f]
        return highest

    def _excluding(self, box: Box) -> list[NDArray[np.int64]]:
        """Per cell and choice in the box, a constraint that excludes the choice; -1 if none."""
        if not len(self._lower):
            return [np.full(len(choices), -1) for choices in box.choices]
        least, most = self._activities(box)
        excluding = []
        for cell, choices in enumerate(box.choices):
            weights = self._weights[cell][:, choices]
            lowest = (least.sum(axis=0) - least[cell])[:, None] + weights
            highest = (most.sum(axis=0) - most[cell])[:, None] + weights
            outside = (lowest > self._upper[:, None]) | (highest < self._lower[:, None])
            excluding.append(np.where(outside.any(axis=0), outside.argmax(axis=0), -1))
        return excluding

    def _activities(self, box: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(t, R) the least and the most that each cell adds to each constraint."""
        inside = [w[:, choices] for w, choices in zip(self._weights, box.choices, strict=True)]
        return np.array([w.min(axis=1) for w in inside]), np.array([w.max(axis=1) for w in inside])


def _slack(bound: float) -> float:
    """More than what the checker allows for rounding."""
    return 2 * ROW_TOLERANCE * max(1.0, abs(bound)) if np.isfinite(bound) else 0.0
