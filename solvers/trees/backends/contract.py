"""What a backend is: the engine that solves one reduced ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from solvers.trees.reduced import ReducedEnsemble
from vqlso.errors import SolverError
from vqlso.records import SolveStatus


@dataclass(frozen=True)
class Limits:
    """When a backend stops without a proof.

    Attributes:
        nodes: of the branch-and-bound tree; repeatable, unlike a time.
        seconds: of wall-clock time.
    """

    nodes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.nodes is not None and self.nodes < 0:
            raise SolverError(f"A node limit is a number >= 0 or None; got {self.nodes}.")
        if self.seconds is not None and not self.seconds > 0:
            raise SolverError(f"A time limit is a number > 0 or None; got {self.seconds}.")


UNLIMITED = Limits()


@dataclass(frozen=True, eq=False)
class BackendResult:
    """A backend's claim.

    Attributes:
        labels: (t,) the label of each free cell; None if a limit came before any solution.
        value: what the backend says the ensemble predicts there; -inf without a solution.
        bound: no choice of labels has a higher value; inf where nothing is known.
        status: OPTIMAL if the bound was proven to be reached, else FEASIBLE.
        nodes: of the branch-and-bound tree; None if the backend does not say.
        build_seconds: wall-clock time spent on stating the problem in the backend's terms.
        sizes: of the problem as stated, by name.
    """

    labels: NDArray[np.int64] | None
    value: float
    bound: float
    status: SolveStatus
    nodes: int | None
    build_seconds: float
    sizes: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Backend(Protocol):
    """Maximises a reduced ensemble exactly."""

    def solve(self, reduced: ReducedEnsemble, limits: Limits) -> BackendResult:
        """Labels of highest value, or the best found within the limits, with a valid bound.

        Raises:
            SolverError: the instance is beyond what the backend can do, or the engine failed.
        """
