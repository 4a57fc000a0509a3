"""Our own branch and bound over tables of one, two and three cells."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from solvers.trees.backends.contract import (
    BackendResult,
    InfeasibleError,
    Limits,
    Task,
    UnsupportedError,
)
from solvers.trees.instance import Instance
from solvers.trees.tables.building import Scopes, build, scopes
from solvers.trees.tables.factors import Factors
from solvers.trees.tables.labels import Labels, all_labels, undominated_labels
from solvers.trees.tables.proof import find_points, tighten
from solvers.trees.tables.rows import Rows
from solvers.trees.tables.search import Pool, plant, search
from solvers.trees.tables.statement import cells_of, pairs_of, rows_of, standardised, unary_of
from solvers.trees.tables.terms import WIDEST, Terms, expand
from vqlso.records import SolveStatus

_MOST_SWEEPS = 200
# Between two looks at the clock.
_NODES_AT_ONCE = 2000
_SEED = 0


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
    side = instance.side
    if side.limits or side.nearest or side.numbers:
        raise UnsupportedError(
            "Tables cannot express distances to several points, nor constraints on continuous "
            "numbers."
        )
    width = -(-max(map(len, instance.domains)) // 8) * 8
    cells = cells_of(instance, width)
    raw = expand(instance.ensemble.arrays, cells, unary_of(instance, width))
    if raw.is_too_wide:
        raise UnsupportedError(f"Some leaves depend on more than {WIDEST} free cells.")
    terms, pairs, size, constant = standardised(raw, pairs_of(instance), cells.n_choices)
    rows, group = rows_of(instance, width)
    # Of the k best, some may be dominated by others.
    may_dominate = task.k == 1
    if may_dominate:
        labels = undominated_labels(terms, pairs, cells.n_choices, group)
    else:
        labels = all_labels(cells.n_choices, width)
    scope = scopes(terms, pairs, labels)
    _check_memory(task.limits, terms, scope)
    factors = build(terms, pairs, labels, scope, group)
    sizes = _sizes(labels, scope)
    spread = size * _spread(factors)
    build_seconds = perf_counter() - began

    pool = Pool(np.full(task.k, -np.inf), np.zeros((task.k, len(labels.n_labels)), dtype=np.int64))
    find_points(factors, rows, pool, _starts(task, factors))
    theta = factors.unary.copy()
    moved = np.zeros((*scope.n_classes.shape, int(scope.n_classes.max(initial=1))))
    bound = tighten(factors, rows, pool, theta, moved, may_dominate, _MOST_SWEEPS)
    nodes, left = _search(factors, rows, pool, theta, moved, bound, task.limits, began)

    found = np.flatnonzero(pool.values > -np.inf)
    proven = left == -np.inf
    if proven and not found.size:
        raise InfeasibleError("No choice of labels satisfies the constraints.")
    best = float(pool.values[0])
    offset = constant + instance.constant
    return BackendResult(
        points=_points(instance, factors, pool.points[found]),
        values=offset + size * pool.values[found],
        bound=offset + size * (best if proven else max(best, min(bound, left))),
        spread=spread,
        status=SolveStatus.OPTIMAL if proven else SolveStatus.FEASIBLE,
        nodes=nodes,
        build_seconds=build_seconds,
        sizes=sizes,
    )


def _search(
    factors: Factors,
    rows: Rows,
    pool: Pool,
    theta: NDArray[np.float64],
    moved: NDArray[np.float64],
    bound: float,
    limits: Limits,
    began: float,
) -> tuple[int, float]:
    """Nodes entered, and a bound on what was not searched: -inf if nothing is left."""
    if bound <= pool.values[-1]:
        return 0, -np.inf
    tree = plant(factors, rows, theta, moved)
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


def _check_memory(limits: Limits, terms: Terms, scope: Scopes) -> None:
    megabytes = (8 * scope.entries + 4 * scope.classes.size + terms.members.size) / (1 << 20)
    if limits.megabytes is not None and megabytes > limits.megabytes:
        raise UnsupportedError(
            f"The tables would take {megabytes:.0f} MB, above the limit of {limits.megabytes:g}."
        )


def _sizes(labels: Labels, scope: Scopes) -> dict[str, int]:
    return {
        "free": len(labels.n_labels) - 1,
        "labels": int(labels.n_labels[:-1].sum()),
        "tables": len(scope.cells),
        "triples": int((scope.n_classes[:, 0] > 1).sum()),
        "entries": scope.entries,
    }


def _starts(task: Task, factors: Factors) -> NDArray[np.int64]:
    """(3, t + 1) labels: the known point's, the best of each cell by itself, and random ones.

    Where the known point's choice was dropped, another one takes its place.
    """
    n_labels = factors.n_labels
    starts = np.zeros((3, len(n_labels)), dtype=np.int64)
    choices = None if task.start is None else task.instance.choices(task.start)
    for cell, n in enumerate(n_labels[:-1]):
        if choices is not None:
            known = factors.choice[cell, :n]
            starts[0, cell] = max(0, int(known.searchsorted(choices[cell], side="right")) - 1)
        starts[1, cell] = factors.unary[cell, :n].argmax()
    starts[2] = np.random.default_rng(_SEED).integers(n_labels)
    return starts


def _spread(factors: Factors) -> float:
    """The sum of the ranges of all contributions."""
    spread = 0.0
    for cell, n in enumerate(factors.n_labels[:-1]):
        spread += float(np.ptp(factors.unary[cell, :n]))
    if len(factors.tables):
        begin = factors.start[:-1]
        highest = np.maximum.reduceat(factors.tables, begin)
        spread += float((highest - np.minimum.reduceat(factors.tables, begin)).sum())
    return spread


def _points(instance: Instance, factors: Factors, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(m, t + 1) labels -> (m, t) values of the free cells."""
    points = np.empty((len(labels), len(instance.domains)))
    for cell, domain in enumerate(instance.domains):
        points[:, cell] = domain.values[factors.choice[cell, labels[:, cell]]]
    return points
