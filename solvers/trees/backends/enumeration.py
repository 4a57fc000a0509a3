"""Every combination of labels in turn: slow, and too simple to be wrong."""

from __future__ import annotations

from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.contract import InfeasibleError, Limits, UnsupportedError
from solvers.trees.backends.reduced import LabelResult, ReducedBackend
from solvers.trees.reduced import ReducedEnsemble
from vqlso.records import SolveStatus

_BLOCK = 1 << 16


class EnumerationBackend(ReducedBackend):
    """The oracle that the others are tested against.

    A combination counts as a node. Combinations beyond a limit are bounded by the sum of every
    term's own maximum.

    Args:
        most: the number of combinations above which an instance is refused.
    """

    def __init__(self, most: int = 2_000_000) -> None:
        self.most = most

    def maximise(
        self, reduced: ReducedEnsemble, limits: Limits, start: NDArray[np.int64] | None
    ) -> LabelResult:
        """See `ReducedBackend.maximise`; ties go to the first combination."""
        began = perf_counter()
        if reduced.side.numbers:
            raise UnsupportedError("Constraints on continuous numbers cannot be enumerated.")
        combinations = prod(reduced.n_labels)
        if combinations > self.most:
            raise UnsupportedError(
                f"{combinations:,} combinations of labels are too many to enumerate (at most "
                f"{self.most:,}): free fewer features, or use another backend."
            )
        last = combinations if limits.nodes is None else min(combinations, limits.nodes)
        best, value, tried = start, -np.inf, 0
        if start is not None:
            value = float(reduced.values(start[None])[0])
        while tried < last:
            if limits.seconds is not None and perf_counter() - began > limits.seconds:
                break
            numbers = np.arange(tried, min(tried + _BLOCK, last))
            labels = np.stack(np.unravel_index(numbers, reduced.n_labels), axis=1)
            values = np.where(reduced.feasible(labels), reduced.values(labels), -np.inf)
            if values.max() > value:
                best, value = labels[values.argmax()], float(values.max())
            tried += len(numbers)
        proven = tried == combinations
        if proven and best is None:
            raise InfeasibleError("No combination of labels satisfies the constraints.")
        return LabelResult(
            labels=best,
            value=value,
            bound=value if proven else reduced.upper_bound(),
            status=SolveStatus.OPTIMAL if proven else SolveStatus.FEASIBLE,
            nodes=tried,
            build_seconds=0.0,
            sizes={"combinations": combinations},
        )
