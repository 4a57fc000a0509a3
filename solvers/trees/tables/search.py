"""Depth-first branch and bound over the labels that all pruning has left.

The bound of a node is what its decided cells hold plus each open cell's best label. Deciding the
last but one cell of a table adds the table's remainder, which is never positive, to the last; the
first of three adds as much of it as holds whatever the third does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.dual import SLACK
from solvers.trees.tables.factors import Factors, classes_of, entry
from solvers.trees.tables.rows import Rows, could_hold


class Pool(NamedTuple):
    """The k best points that are known, best first.

    Attributes:
        values: (k,) float64; -inf where there is none yet.
        points: (k, t + 1) int64 labels.
    """

    values: NDArray[np.float64]
    points: NDArray[np.int64]


class SearchTree(NamedTuple):
    """The branch that is being looked at; n open cells of at most W labels.

    Attributes:
        cells: (n,) int64, the open cells, numbered by their position here.
        place: (t + 1,) int64, that position of each cell; -1 of a decided one.
        remainder: what the tables hold after all that was moved out of them.
        held: (n + 1, n, W) float64 a depth: what each label of an open cell contributes.
        best: (n + 1, n) the maximum of it.
        decided: (n + 1,) what the decided cells contribute, constant included.
        least, most: (n + 1, R) between which the rows' sums can still lie.
        lowest, highest: (t, R) between which the weights of a cell's labels lie.
        shifted: (C,) float64, what each class of a slot was given of a triple's remainder when
            the first of its cells was decided.
        receiver: (F,) int64, that slot; -1 while no cell is decided.
        branch: (n,) int64 a depth: the open cell decided there.
        order: (n, W) int64 a depth: its labels worth trying, best first.
        worth, tried: (n,) int64 a depth: how many there are, how many were entered.
        labels: (t + 1,) of the branch.
        status: (3,) int64: depth, -1 once all is searched; nodes entered; whether the node at
            this depth is still to be entered.
    """

    cells: NDArray[np.int64]
    place: NDArray[np.int64]
    remainder: NDArray[np.float64]
    held: NDArray[np.float64]
    best: NDArray[np.float64]
    decided: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    shifted: NDArray[np.float64]
    receiver: NDArray[np.int64]
    branch: NDArray[np.int64]
    order: NDArray[np.int64]
    worth: NDArray[np.int64]
    tried: NDArray[np.int64]
    labels: NDArray[np.int64]
    status: NDArray[np.int64]


@njit(cache=True)
def insert(pool: Pool, value: float, labels: NDArray[np.int64]) -> None:
    """Add a point to the pool if it is new and among the k best."""
    k = len(pool.values)
    if value <= pool.values[k - 1]:
        return
    for m in range(k):
        # The same point has the same value, but for rounding.
        if abs(pool.values[m] - value) <= SLACK and (pool.points[m] == labels).all():
            return
    m = k - 1
    while m > 0 and pool.values[m - 1] < value:
        pool.values[m] = pool.values[m - 1]
        pool.points[m] = pool.points[m - 1]
        m -= 1
    pool.values[m] = value
    pool.points[m] = labels


def bytes_of_tree(factors: Factors) -> int:
    """What `plant` takes: the remainder, and for every depth what all open labels contribute."""
    n_labels = factors.n_labels[:-1]
    n = int((n_labels > 1).sum())
    return 8 * (len(factors.tables) + n * (n + 2) * int(n_labels.max()))


@njit(cache=True)
def plant(
    factors: Factors, rows: Rows, theta: NDArray[np.float64], moved: NDArray[np.float64]
) -> SearchTree:
    """The root: every cell with more than one label is open."""
    t, n_rows = len(factors.n_labels) - 1, len(rows.lower)
    cells = np.flatnonzero(factors.n_labels[:t] > 1)
    n = len(cells)
    width = factors.n_labels.max()
    place = np.full(t + 1, -1)
    place[cells] = np.arange(n)
    lowest, highest = np.zeros((t, n_rows)), np.zeros((t, n_rows))
    least, most = np.zeros((n + 1, n_rows)), np.zeros((n + 1, n_rows))
    for cell in range(t):
        _measure(factors, rows, cell, lowest[cell], highest[cell])
        for r in range(n_rows):
            least[0, r] += lowest[cell, r]
            most[0, r] += highest[cell, r]
    tree = SearchTree(
        cells,
        place,
        _remainder(factors, moved),
        np.full((n + 1, n, width), -np.inf),
        np.zeros((n + 1, n)),
        np.zeros(n + 1),
        least,
        most,
        lowest,
        highest,
        np.zeros(len(moved)),
        np.full(len(factors.cells), -1),
        np.zeros(n, dtype=np.int64),
        np.zeros((n, width), dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(t + 1, dtype=np.int64),
        np.array([0, 0, 1]),
    )
    tree.decided[0] = factors.constant
    for cell in range(t):
        if place[cell] < 0:
            tree.decided[0] += theta[cell, 0]
        else:
            labels = factors.n_labels[cell]
            tree.held[0, place[cell], :labels] = theta[cell, :labels]
    for p in range(len(factors.cells)):
        last, n_open = _open_cells(factors, tree, p)
        if n_open == 0:
            tree.decided[0] += tree.remainder[entry(factors, p, tree.labels)]
        elif n_open == 1:
            _fold(factors, tree, p, last, 0)
        elif n_open == 2 and factors.cells[p, 0] < t:
            _shift(factors, tree, p, last, 0)
    for number in range(n):
        tree.best[0, number] = tree.held[0, number, : factors.n_labels[cells[number]]].max()
    if not could_hold(rows, least[0], most[0]):
        tree.status[0] = -1
    return tree


@njit(cache=True)
def search(factors: Factors, rows: Rows, tree: SearchTree, pool: Pool, most_nodes: int) -> float:
    """Go on until all is searched or `most_nodes` more were entered; a bound on what is not."""
    last = tree.status[1] + most_nodes
    while tree.status[0] >= 0:
        if tree.status[1] >= last:
            return _open_bound(tree)
        depth = tree.status[0]
        if tree.status[2]:
            tree.status[1] += 1
            tree.status[2] = 0
            if depth == len(tree.cells):
                insert(pool, tree.decided[depth], tree.labels)
                tree.status[0] -= 1
                continue
            _branch(factors, tree, pool, depth)
        if _descend(factors, rows, tree, pool, depth):
            tree.status[0] += 1
            tree.status[2] = 1
        else:
            tree.status[0] -= 1
    return -np.inf


@njit(cache=True)
def _remainder(factors: Factors, moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tables without what was moved to their cells."""
    rest = factors.tables.copy()
    for p in range(len(factors.cells)):
        z = factors.start[p]
        n, first = factors.n_classes[p], factors.first_class[p]
        for a in range(n[0]):
            for b in range(n[1]):
                for c in range(n[2]):
                    rest[z] -= moved[first[0] + a] + moved[first[1] + b] + moved[first[2] + c]
                    z += 1
    return rest


@njit(cache=True)
def _measure(
    factors: Factors,
    rows: Rows,
    cell: int,
    lowest: NDArray[np.float64],
    highest: NDArray[np.float64],
) -> None:
    """(R,) the least and the most that any label of a cell adds to each row."""
    lowest[:] = np.inf
    highest[:] = -np.inf
    for a in range(factors.n_labels[cell]):
        weights = rows.weights[cell, factors.group[cell, a]]
        for r in range(len(weights)):
            lowest[r] = min(lowest[r], weights[r])
            highest[r] = max(highest[r], weights[r])


@njit(cache=True)
def _open_cells(factors: Factors, tree: SearchTree, p: int) -> tuple[int, int]:
    """The last cell of table p that is not decided, and how many there are."""
    last, n_open = -1, 0
    for cell in factors.cells[p]:
        if tree.place[cell] >= 0:
            last = cell
            n_open += 1
    return last, n_open


@njit(cache=True)
def _fold(factors: Factors, tree: SearchTree, p: int, cell: int, depth: int) -> None:
    """Add table p, all of whose other cells are decided, to the labels of its open cell.

    What was shifted before is not added again.
    """
    stride = base = open_slot = 0
    for slot in range(3):
        base *= factors.n_classes[p, slot]
        stride *= factors.n_classes[p, slot]
        if factors.cells[p, slot] == cell:
            stride, open_slot = 1, slot
        else:
            own = factors.first_label[p, slot] + tree.labels[factors.cells[p, slot]]
            base += factors.classes[own]
    receiver = tree.receiver[p]
    given = 0.0
    if receiver >= 0 and receiver != open_slot:
        own = factors.first_label[p, receiver] + tree.labels[factors.cells[p, receiver]]
        given = tree.shifted[factors.first_class[p, receiver] + factors.classes[own]]
    held = tree.held[depth, tree.place[cell]]
    classes = classes_of(factors, p, open_slot)
    shifted = tree.shifted[factors.first_class[p, open_slot] :]
    for a in range(len(classes)):
        rest = tree.remainder[factors.start[p] + base + classes[a] * stride] - given
        if receiver == open_slot:
            rest -= shifted[classes[a]]
        held[a] += rest


@njit(cache=True)
def _shift(factors: Factors, tree: SearchTree, p: int, cell: int, depth: int) -> None:
    """Give one of two open cells of a triple what the other cannot better."""
    n = factors.n_classes[p]
    strides = (n[1] * n[2], n[2], 1)
    base, receiver, other = factors.start[p], -1, -1
    for slot in range(3):
        if factors.cells[p, slot] == cell:
            receiver = slot
        elif tree.place[factors.cells[p, slot]] >= 0:
            other = slot
        else:
            own = factors.first_label[p, slot] + tree.labels[factors.cells[p, slot]]
            base += factors.classes[own] * strides[slot]
    shifted = tree.shifted[factors.first_class[p, receiver] :]
    left = factors.present[factors.first_class[p, other] :]
    for c in range(n[receiver]):
        shifted[c] = -np.inf
        for d in range(n[other]):
            if left[d]:
                rest = tree.remainder[base + c * strides[receiver] + d * strides[other]]
                shifted[c] = max(shifted[c], rest)
    tree.receiver[p] = receiver
    held = tree.held[depth, tree.place[cell]]
    classes = classes_of(factors, p, receiver)
    for a in range(len(classes)):
        held[a] += shifted[classes[a]]


@njit(cache=True)
def _bound(tree: SearchTree, depth: int) -> float:
    """No point below the node has a higher value."""
    total: float = tree.decided[depth]
    for place in range(len(tree.cells)):
        if tree.place[tree.cells[place]] >= 0:
            total += tree.best[depth, place]
    return total


@njit(cache=True)
def _branch(factors: Factors, tree: SearchTree, pool: Pool, depth: int) -> None:
    """Decide next on the cell with the fewest labels worth trying, best label first."""
    spare = pool.values[-1] + SLACK - _bound(tree, depth)
    chosen, fewest = -1, 1 << 62
    for place, cell in enumerate(tree.cells):
        if tree.place[cell] < 0:
            continue
        trials = 0
        for a in range(factors.n_labels[cell]):
            trials += tree.held[depth, place, a] - tree.best[depth, place] > spare
        if trials < fewest:
            chosen, fewest = place, trials
    tree.branch[depth], tree.tried[depth] = chosen, 0
    held = tree.held[depth, chosen]
    worth = 0
    for a in range(factors.n_labels[tree.cells[chosen]]):
        if held[a] - tree.best[depth, chosen] > spare:
            z = worth
            while z > 0 and held[tree.order[depth, z - 1]] < held[a]:
                tree.order[depth, z] = tree.order[depth, z - 1]
                z -= 1
            tree.order[depth, z] = a
            worth += 1
    tree.worth[depth] = worth
    tree.place[tree.cells[chosen]] = -1


@njit(cache=True)
def _descend(factors: Factors, rows: Rows, tree: SearchTree, pool: Pool, depth: int) -> bool:
    """Enter the next label of the cell decided at this depth; False if none is worth it."""
    place = tree.branch[depth]
    cell = tree.cells[place]
    while tree.tried[depth] < tree.worth[depth]:
        label = tree.order[depth, tree.tried[depth]]
        if _bound(tree, depth) + tree.held[depth, place, label] <= pool.values[-1] + SLACK:
            break
        tree.tried[depth] += 1
        tree.labels[cell] = label
        if _decide(factors, rows, tree, depth, cell, label):
            return True
    tree.labels[cell] = 0
    tree.place[cell] = place
    return False


@njit(cache=True)
def _decide(
    factors: Factors, rows: Rows, tree: SearchTree, depth: int, cell: int, label: int
) -> bool:
    """State the next depth; False if the rows can no longer hold."""
    below = depth + 1
    if len(rows.lower):
        weights = rows.weights[cell, factors.group[cell, label]]
        for r in range(len(weights)):
            tree.least[below, r] = tree.least[depth, r] - tree.lowest[cell, r] + weights[r]
            tree.most[below, r] = tree.most[depth, r] - tree.highest[cell, r] + weights[r]
        if not could_hold(rows, tree.least[below], tree.most[below]):
            return False
    place = tree.branch[depth]
    tree.decided[below] = tree.decided[depth] + tree.held[depth, place, label]
    for other, other_cell in enumerate(tree.cells):
        if tree.place[other_cell] >= 0:
            n = factors.n_labels[other_cell]
            tree.held[below, other, :n] = tree.held[depth, other, :n]
            tree.best[below, other] = tree.best[depth, other]
    for z in range(factors.first[cell], factors.first[cell + 1]):
        p = factors.touching[z, 0]
        last, n_open = _open_cells(factors, tree, p)
        if n_open == 0:
            continue
        if n_open == 1:
            _fold(factors, tree, p, last, below)
        else:
            _shift(factors, tree, p, last, below)
        held = tree.held[below, tree.place[last], : factors.n_labels[last]]
        tree.best[below, tree.place[last]] = held.max()
    return True


@njit(cache=True)
def _open_bound(tree: SearchTree) -> float:
    """No point that was not searched has a higher value."""
    bound = -np.inf
    is_open = np.ones(len(tree.cells), dtype=np.bool_)
    entering = tree.status[2]
    for depth in range(tree.status[0] + 1):
        is_branched = depth < tree.status[0] or not entering
        if is_branched:
            is_open[tree.branch[depth]] = False
        total = tree.decided[depth]
        for place in range(len(is_open)):
            if is_open[place]:
                total += tree.best[depth, place]
        if not is_branched:
            bound = max(bound, total)
        elif tree.tried[depth] < tree.worth[depth]:
            label = tree.order[depth, tree.tried[depth]]
            bound = max(bound, total + tree.held[depth, tree.branch[depth], label])
    return bound
