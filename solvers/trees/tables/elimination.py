"""Labels that another one beats whatever the other cells hold are removed.

Goldstein's criterion (R. F. Goldstein, Biophysical Journal 66, 1994, equation 4): label a of a
cell goes if U(b) - U(a) + sum over factors of min over the others of T(b, .) - T(a, .) >= 0 for
some label b, its champion.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.factors import Factors, conditional, keep_labels

# Champions tried a cell: the incumbent's label, then the best of the others beside it.
CHAMPIONS = 2


@njit(cache=True)
def eliminate(
    factors: Factors,
    incumbent: NDArray[np.int64],
    theta: NDArray[np.float64],
    waiting: NDArray[np.bool_],
    most_passes: int,
) -> int:
    """Remove dominated labels until no more are found, or for `most_passes`; how many.

    The incumbent (1, t + 1) keeps its labels, though others may equal them. `waiting` (t + 1,)
    says which cells have changed neighbours since they were looked at.
    """
    t = len(factors.n_labels) - 1
    width = factors.unary.shape[1]
    cost, margin = np.empty(width), np.empty(width)
    keep, tried = np.empty(width, dtype=np.bool_), np.empty(width, dtype=np.bool_)
    removed = 0
    for _ in range(most_passes):
        if not waiting[:t].any():
            break
        for cell in range(t):
            n = factors.n_labels[cell]
            if not waiting[cell]:
                continue
            waiting[cell] = False
            if n == 1:
                continue
            conditional(factors, cell, incumbent[0], cost)
            keep[:n] = True
            tried[:n] = False
            champion = incumbent[0, cell]
            for _ in range(CHAMPIONS):
                tried[champion] = True
                _margins(factors, cell, champion, margin)
                for a in range(n):
                    if (
                        margin[a] >= 0.0
                        and a != champion
                        and a != incumbent[0, cell]
                        and factors.group[cell, a] == factors.group[cell, champion]
                    ):
                        keep[a] = False
                champion = _next(cost, keep, tried, n)
                if champion < 0:
                    break
            lost = n - keep[:n].sum()
            if lost:
                removed += lost
                keep_labels(factors, cell, keep, theta, incumbent)
                wake(factors, cell, waiting)
    return removed


@njit(cache=True)
def wake(factors: Factors, cell: int, waiting: NDArray[np.bool_]) -> None:
    """The cell and its neighbours are to be looked at again."""
    for z in range(factors.first[cell], factors.first[cell + 1]):
        for slot in range(3):
            waiting[factors.cells[factors.touching[z, 0], slot]] = True
    waiting[len(waiting) - 1] = False


@njit(cache=True)
def _next(
    cost: NDArray[np.float64], keep: NDArray[np.bool_], tried: NDArray[np.bool_], n: int
) -> int:
    """The best label that is left and was not a champion yet; -1 if there is none."""
    best = -1
    for a in range(n):
        if keep[a] and not tried[a] and (best < 0 or cost[a] > cost[best]):
            best = a
    return best


@njit(cache=True)
def _margins(factors: Factors, cell: int, champion: int, margin: NDArray[np.float64]) -> None:
    """margin[a] = by how much the champion beats label a of the cell at least."""
    n = factors.n_labels[cell]
    worst = np.empty(factors.unary.shape[1])
    for a in range(n):
        margin[a] = factors.unary[cell, champion] - factors.unary[cell, a]
    for z in range(factors.first[cell], factors.first[cell + 1]):
        p, slot = factors.touching[z, 0], factors.touching[z, 1]
        own = factors.first_label[p, slot]
        _least_lead(factors, p, slot, factors.classes[own + champion], worst)
        for a in range(n):
            margin[a] += worst[factors.classes[own + a]]


@njit(cache=True)
def _least_lead(
    factors: Factors, p: int, slot: int, champion: int, worst: NDArray[np.float64]
) -> None:
    """worst[c] = min over present classes of the other slots of T(champion, .) - T(c, .)."""
    n = factors.n_classes[p]
    stride = n[1] * n[2] if slot == 0 else (n[2] if slot == 1 else 1)
    outer, inner = (1 if slot == 0 else 0), (1 if slot == 2 else 2)
    across, along = n[1] * n[2] if outer == 0 else n[2], n[2] if inner == 1 else 1
    outer_left, inner_left = factors.first_class[p, outer], factors.first_class[p, inner]
    for c in range(n[slot]):
        worst[c] = np.inf
    for d in range(n[outer]):
        if factors.present[outer_left + d] == 0:
            continue
        for e in range(n[inner]):
            if factors.present[inner_left + e] == 0:
                continue
            at = factors.start[p] + d * across + e * along
            best = factors.tables[at + champion * stride]
            for c in range(n[slot]):
                lead = best - factors.tables[at + c * stride]
                worst[c] = lead if lead < worst[c] else worst[c]
