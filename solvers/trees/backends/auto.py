"""The exact engine that is mostly the fastest, and another one where it turns out not to be."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from solvers.trees.backends.contract import BackendResult, Limits, Task, UnsupportedError
from solvers.trees.backends.tables import TablesBackend
from vqlso.records import SolveStatus

# About a second of `tables`. Where it has proven nothing by then, HiGHS is mostly faster on what
# its bounds leave: .2 s against 2 s at depth 3 with 32 of 64 cells free (docs/tree-benchmarks.md).
_PATIENCE = 20_000


class AutoBackend:
    """`tables` where it can express the instance, `highs` elsewhere or where that takes long."""

    def solve(self, task: Task) -> BackendResult:
        """See `Backend.solve`."""
        began = perf_counter()
        limits = task.limits
        patience = _PATIENCE if limits.nodes is None else min(_PATIENCE, limits.nodes)
        try:
            first = _tables(replace(task, limits=replace(limits, nodes=patience)))
        except UnsupportedError:
            return _highs(task)
        rest = _rest(limits, perf_counter() - began, first.nodes or 0)
        if first.status is SolveStatus.OPTIMAL or rest is None:
            return first
        # Stated for HiGHS, a prior on all pairs of codes takes gigabytes: then what was searched is
        # searched once more.
        other = _tables if task.instance.side.pairs else _highs
        known = first.points[0] if len(first.points) else None
        start = task.start if known is None else task.instance.point(known)
        return _better(first, other(replace(task, limits=rest, start=start)))


def _tables(task: Task) -> BackendResult:
    return replace(TablesBackend(fallback=False).solve(task), solved_by="tables")


def _highs(task: Task) -> BackendResult:
    from solvers.trees.backends.highs import HighsBackend

    return replace(HighsBackend().solve(task), solved_by="highs")


def _rest(limits: Limits, seconds: float, nodes: int) -> Limits | None:
    """What the second engine may take; None if nothing is left."""
    left = limits
    if limits.seconds is not None:
        if seconds >= limits.seconds:
            return None
        left = replace(left, seconds=limits.seconds - seconds)
    if limits.nodes is not None:
        if nodes >= limits.nodes:
            return None
        left = replace(left, nodes=limits.nodes - nodes)
    return left


def _better(first: BackendResult, second: BackendResult) -> BackendResult:
    """The proven result, or the better points of the two under the lower bound."""
    nodes = (first.nodes or 0) + (second.nodes or 0)
    if second.status is SolveStatus.OPTIMAL:
        return replace(second, nodes=nodes)
    values = [result.values.max(initial=float("-inf")) for result in (first, second)]
    best = first if values[0] >= values[1] else second
    return replace(best, bound=min(first.bound, second.bound), nodes=nodes)
