"""An instance in the words of the compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from solvers.trees.domains import Domain
from solvers.trees.errors import UnsupportedError
from solvers.trees.instance import Instance
from solvers.trees.limits import Limits
from solvers.trees.side_model import row_slack
from solvers.trees.tables.factors import Factors
from solvers.trees.tables.labels import PairTables
from solvers.trees.tables.problem import Problem, numbering, stated
from solvers.trees.tables.rows import Rows
from solvers.trees.tables.terms import WIDEST, Cells

_NOTHING = np.zeros(0, dtype=np.int64)
NO_PAIRS = PairTables(_NOTHING.reshape(0, 2), _NOTHING, _NOTHING, np.zeros(0))


def as_problem(instance: Instance, limits: Limits, may_dominate: bool) -> tuple[Problem, Rows]:
    """The sum that is searched, and the constraints.

    Args:
        instance: what is maximised.
        limits: of memory.
        may_dominate: whether labels may go that only match better ones: not for the k best.

    Raises:
        UnsupportedError: it cannot be expressed, or not within the limits.
    """
    side = instance.side
    if side.limits or side.nearest or side.numbers:
        raise UnsupportedError(
            "Tables cannot express distances to several points, nor constraints on continuous "
            "numbers."
        )
    width = max(map(len, instance.domains))
    rows, group = rows_of(instance, width)
    problem = stated(
        instance.ensemble.arrays,
        cells_of(instance, width),
        unary_of(instance, width),
        pairs_of(instance),
        group,
        numbering(width),
        may_dominate,
        np.inf if limits.megabytes is None else limits.megabytes * 2.0**20,
    )
    if problem.is_too_wide:
        raise UnsupportedError(f"Some leaves depend on more than {WIDEST} free features.")
    if problem.is_too_large:
        raise UnsupportedError(
            f"The tables would take {problem.bytes / 2**20:.0f} MB, above the limit of "
            f"{limits.megabytes:g}."
        )
    return problem, rows


def points_of(
    instance: Instance, factors: Factors, labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(m, t + 1) labels -> (m, t) values of the free cells."""
    choices = factors.choice[np.arange(len(instance.free)), labels[:, :-1]]
    if instance.n_codes is not None:
        return choices.astype(np.float64)
    points = np.empty(choices.shape)
    for cell, domain in enumerate(instance.domains):
        points[:, cell] = domain.values[choices[:, cell]]
    return points


def cells_of(instance: Instance, width: int) -> Cells:
    """The free cells; arrays of choices are padded to `width`."""
    t = len(instance.free)
    position = np.full(instance.ensemble.n_features, -1)
    position[instance.free] = np.arange(t)
    values = np.zeros((t, width))
    n_choices = np.empty(t, dtype=np.int64)
    are_codes = np.empty(t, dtype=np.bool_)
    # Many cells share their domain, as those of a grid of codes.
    for domain, cells in _by_domain(instance.domains).items():
        n = len(domain)
        n_choices[cells] = n
        values[cells, :n] = domain.values
        are_codes[cells] = domain.are_codes
    return Cells(position, instance.reference, n_choices, values, are_codes)


def _by_domain(domains: Sequence[Domain]) -> dict[Domain, list[int]]:
    cells: dict[Domain, list[int]] = {}
    for cell, domain in enumerate(domains):
        cells.setdefault(domain, []).append(cell)
    return cells


def unary_of(instance: Instance, width: int) -> NDArray[np.float64]:
    """(t + 1, width) what terms contribute by each choice."""
    unary = np.zeros((len(instance.free) + 1, width))
    for cell, contribution in enumerate(instance.unary):
        unary[cell, : len(contribution)] = contribution
    return unary


def pairs_of(instance: Instance) -> PairTables:
    """The pairwise terms."""
    pairs = instance.side.pairs
    if not pairs:
        return NO_PAIRS
    sizes = np.array([pair.values.size for pair in pairs], dtype=np.int64)
    return PairTables(
        cells=np.array([(p.first, p.second) for p in pairs], dtype=np.int64).reshape(-1, 2),
        start=np.cumsum(sizes) - sizes,
        across=np.array([pair.values.shape[1] for pair in pairs], dtype=np.int64),
        values=np.concatenate([np.zeros(0), *(pair.values.ravel() for pair in pairs)]),
    )


def rows_of(instance: Instance, width: int) -> tuple[Rows, NDArray[np.int64]]:
    """The linear constraints, and the group (t + 1, width) of each choice."""
    rows, t = instance.side.rows, len(instance.free)
    group = np.zeros((t + 1, width), dtype=np.int64)
    if not rows:
        return Rows(np.zeros((t, 1, 0)), np.zeros(0), np.zeros(0)), group
    weights: list[NDArray[np.float64]] = []
    for cell in range(t):
        n = len(instance.domains[cell])
        columns = np.array([row.weights.get(cell, np.zeros(n)) for row in rows]).reshape(-1, n)
        if columns.any():
            distinct, inverse = np.unique(columns.T, axis=0, return_inverse=True)
            group[cell, :n] = inverse.ravel()
        else:
            distinct = np.zeros((1, len(rows)))
        weights.append(distinct)
    table = np.zeros((t, max(map(len, weights)), len(rows)))
    for cell, distinct in enumerate(weights):
        table[cell, : len(distinct)] = distinct
    lower = np.array([row.lower - row_slack(row.lower) for row in rows])
    upper = np.array([row.upper + row_slack(row.upper) for row in rows])
    return Rows(table, lower, upper), group
