"""What a backend is: the engine that solves an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from solvers.trees.errors import InfeasibleError, UnsupportedError
from solvers.trees.instance import Instance
from solvers.trees.limits import UNLIMITED, Limits
from vqlso.records import SolveStatus

__all__ = [
    "UNLIMITED",
    "Backend",
    "BackendResult",
    "InfeasibleError",
    "Limits",
    "Task",
    "UnsupportedError",
]


@dataclass(frozen=True, eq=False)
class Task:
    """What a backend is asked for.

    Attributes:
        instance: what is maximised.
        k: how many distinct best points, >= 1. Points are distinct if a cell's choice is.
        limits: when to stop without a proof.
        start: (n_features,) a known feasible point, if any.
    """

    instance: Instance
    k: int = 1
    limits: Limits = UNLIMITED
    start: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class BackendResult:
    """A backend's claim.

    Attributes:
        points: (m, t) float64, the values of the free cells, best first; m < k if there are no
            more, or a limit came first.
        values: (m,) what the backend says the objective is there.
        bound: no point has a higher objective; inf where nothing is known.
        spread: no two points' objectives differ by more: what is rounding depends on it.
        status: OPTIMAL if the points are proven to be the m best, FEASIBLE if a limit came first,
            UNPROVEN if the backend proves nothing.
        nodes: of the branch-and-bound tree; None if the backend does not say.
        build_seconds: wall-clock time spent on stating the problem in the backend's terms.
        sizes: of the problem as stated, by name.
        solved_by: the engine's name where the backend handed the instance on; else empty.
        note: why it did so.
    """

    points: NDArray[np.float64]
    values: NDArray[np.float64]
    bound: float
    spread: float
    status: SolveStatus
    nodes: int | None
    build_seconds: float
    sizes: Mapping[str, int] = field(default_factory=dict)
    solved_by: str = ""
    note: str = ""


@runtime_checkable
class Backend(Protocol):
    """Maximises an instance exactly."""

    def solve(self, task: Task) -> BackendResult:
        """The points of highest objective, or the best found, with a valid bound.

        Raises:
            InfeasibleError: it is proven that no point satisfies the constraints.
            UnsupportedError: the instance is beyond what the backend can do.
            SolverError: the engine failed.
        """
