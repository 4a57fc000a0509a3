"""toulbar2 through pytoulbar2: a network of cost tables, one variable per free cell."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from pytoulbar2.pytb2 import Contradiction, InternalError

from solvers.trees.backends.contract import InfeasibleError, Limits, UnsupportedError
from solvers.trees.backends.reduced import LabelResult, ReducedBackend
from solvers.trees.backends.toulbar2_network import Network, tables
from solvers.trees.reduced import ReducedEnsemble
from vqlso.records import SolveStatus

_INFEASIBLE = "No choice of labels satisfies the constraints."


class Toulbar2Backend(ReducedBackend):
    """Hybrid best-first search under soft local consistency, deterministic on one thread.

    A backtrack counts as a node. Seconds are of processor time and rounded up to whole ones:
    toulbar2's clock knows no others.

    Args:
        most_entries: number of table entries above which an instance is refused.
    """

    def __init__(self, most_entries: int = 10_000_000) -> None:
        self.most_entries = most_entries

    def maximise(
        self, reduced: ReducedEnsemble, limits: Limits, start: NDArray[np.int64] | None
    ) -> LabelResult:
        """See `ReducedBackend.maximise`."""
        began = perf_counter()
        if limits.megabytes is not None:
            raise UnsupportedError(
                "toulbar2 has no limit of memory: leave it out, or use another backend."
            )
        contributions = tables(reduced, self.most_entries)
        floor = None if start is None else float(reduced.values(start[None])[0]) - reduced.constant
        try:
            network = Network(reduced, contributions, floor)
        except Contradiction as error:
            raise InfeasibleError(_INFEASIBLE) from error
        except InternalError as error:
            raise UnsupportedError(
                "toulbar2 works only in the thread that first imported it: solve there, or use "
                "another backend."
            ) from error
        network.limit(limits)
        build_seconds = perf_counter() - began

        labels, is_complete = network.solve()
        if labels is None and is_complete:
            raise InfeasibleError(_INFEASIBLE)
        value = -np.inf if labels is None else float(reduced.values(labels[None])[0])
        return LabelResult(
            labels=labels,
            value=value,
            bound=max(value, reduced.constant + network.bound),
            status=SolveStatus.OPTIMAL if is_complete else SolveStatus.FEASIBLE,
            nodes=network.backtracks,
            build_seconds=build_seconds,
            sizes=network.sizes,
        )
