"""Our own branch and bound over tables of one, two and three cells."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np

from solvers.trees.backends.contract import (
    BackendResult,
    InfeasibleError,
    Limits,
    Task,
    UnsupportedError,
)
from solvers.trees.tables.problem import Problem
from solvers.trees.tables.proof import MOST_SWEEPS, Outcome, tightened
from solvers.trees.tables.rows import Rows
from solvers.trees.tables.search import bytes_of_tree, plant, search
from solvers.trees.tables.statement import as_problem, points_of
from vqlso.records import SolveStatus

# Between two looks at the clock.
_NODES_AT_ONCE = 2000


class TablesBackend:
    """Exact for ensembles whose leaves depend on at most three free cells each.

    Deeper ones, distances to data and numbers within intervals are handed to `fallback`.

    Args:
        fallback: whether to hand over; otherwise such instances are refused.
    """

    def __init__(self, fallback: bool = True) -> None:
        self.fallback = fallback

    def solve(self, task: Task) -> BackendResult:
        """See `Backend.solve`; nodes are those of the search that is left after all pruning."""
        try:
            return _solve(task)
        except UnsupportedError as error:
            if not self.fallback:
                raise
            from solvers.trees.backends.highs import HighsBackend

            result = HighsBackend().solve(task)
            return replace(result, solved_by="highs", note=f"{error} Solved by 'highs' instead.")


def _solve(task: Task) -> BackendResult:
    began = perf_counter()
    instance = task.instance
    # Of the k best, some may be dominated by others.
    may_dominate = task.k == 1
    problem, rows = as_problem(instance, task.limits, may_dominate)
    factors, size = problem.factors, problem.size
    sizes = {
        "free": len(factors.n_labels) - 1,
        "labels": int(factors.n_labels[:-1].sum()),
        "tables": len(factors.cells),
        "triples": problem.triples,
        "entries": problem.entries,
    }
    start = None if task.start is None else instance.choices(task.start)
    if start is None:
        start = np.full(len(instance.free), -1)
    build_seconds = perf_counter() - began

    before = tightened(factors, rows, start, task.k, may_dominate, MOST_SWEEPS)
    pool = before.pool
    nodes, left = _search(problem, rows, before, task.limits, began)

    found = np.flatnonzero(pool.values > -np.inf)
    proven = left == -np.inf
    if proven and not found.size:
        raise InfeasibleError("No choice of labels satisfies the constraints.")
    best = float(pool.values[0])
    offset = problem.constant + instance.constant
    return BackendResult(
        points=points_of(instance, factors, pool.points[found]),
        values=offset + size * pool.values[found],
        bound=offset + size * (best if proven else max(best, min(before.bound, left))),
        spread=size * problem.spread,
        status=SolveStatus.OPTIMAL if proven else SolveStatus.FEASIBLE,
        nodes=nodes,
        build_seconds=build_seconds,
        sizes=sizes,
    )


def _search(
    problem: Problem, rows: Rows, before: Outcome, limits: Limits, began: float
) -> tuple[int, float]:
    """Nodes entered, and a bound on what was not searched: -inf if nothing is left."""
    factors, pool = problem.factors, before.pool
    if before.bound <= pool.values[-1]:
        return 0, -np.inf
    taken = (problem.bytes + bytes_of_tree(factors)) / 2**20
    if limits.megabytes is not None and taken > limits.megabytes:
        return 0, before.bound
    tree = plant(factors, rows, before.theta, before.moved)
    nodes = 0
    while True:
        budget = _NODES_AT_ONCE
        if limits.nodes is not None:
            budget = min(budget, limits.nodes - nodes)
        left = search(factors, rows, tree, pool, budget)
        nodes = int(tree.status[1])
        timed_out = limits.seconds is not None and perf_counter() - began > limits.seconds
        spent = limits.nodes is not None and nodes >= limits.nodes
        if left == -np.inf or timed_out or spent:
            return nodes, left
