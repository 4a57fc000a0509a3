"""From coded rows and scores to a forest: memory, units and settings around `growth`."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.surrogates.boosting.binning import Bins, binned
from solvers.surrogates.boosting.forest import Forest
from solvers.surrogates.boosting.growth import grow
from solvers.surrogates.boosting.histograms import CHUNK, COUNT_BITS, Scale, Sums, Task
from solvers.surrogates.boosting.leaves import Grown
from solvers.surrogates.boosting.rows import Rows
from solvers.surrogates.boosting.rules import EPSILON, MAX_CATEGORIES
from solvers.surrogates.boosting.search import Found, Search
from solvers.surrogates.boosting.team import helpers, new_board
from solvers.surrogates.samples import Samples
from solvers.trees.bitsets import from_pairs

# Bits of a float64's significand, and of an int64 without sign, both with one of reserve.
_SIGNIFICAND = 52
_WHOLE = 62


def fitted(
    samples: Samples,
    *,
    trees: int,
    min_samples_leaf: int,
    learning_rate: float,
    threads: int,
) -> tuple[Forest, NDArray[np.float64]]:
    """Boost; returns the forest and (n,) what it leaves of the scores, both on their scale."""
    # LightGBM's labels and weights are float32.
    label = samples.moved.astype(np.float32).astype(np.float64)
    weight = np.zeros(0)
    if samples.weight is not None:
        weight = samples.weight.astype(np.float32).astype(np.float64)
    mean = float(np.average(label, weights=weight if len(weight) else None))
    start = mean if abs(mean) > EPSILON else 0.0
    n, cells = samples.codes.shape
    bins = binned(samples.codes, blocks=min(threads, cells), pruned=not len(weight))
    scale = _scale(start - label, weight)
    rows = _rows(start - label, weight, scale, bins)
    grown = _room_for_trees(trees)
    search = Search(
        bins,
        _sums(bins, rows.weight),
        scale,
        _task(n, weighted=len(weight) > 0),
        _room_for_splits(cells),
        float(min_samples_leaf),
        int(np.diff(bins.first).max()),
    )
    board = new_board()
    with helpers(len(bins.rows) - 1, search, board):
        count = grow(search, rows, learning_rate, grown, board)
    # Where not even a root splits, LightGBM's one tree is the mean.
    kept: list[NDArray[Any]] = [array[: max(count, 1)] for array in grown]
    grown = Grown(*kept)
    if count == 0:
        grown.leaf[:] = 0.0
        grown.rows[:, 0] = n
    grown.leaf[0] += start
    forest = _forest(grown, bins, samples)
    return forest, -(rows.residual + rows.offset[0]) * samples.scale


def _scale(residual: NDArray[np.float64], weight: NDArray[np.float64]) -> Scale:
    """Units small enough to lose nothing that matters and large enough for exact sums.

    Sums of |gradients| are bounded for all of boosting: by Cauchy's inequality they are at most
    sqrt(sum of weights * weighted squares), and a tree never adds to the squares.
    """
    n = len(residual)
    if len(weight):
        total = float(weight.sum())
        squares = float((residual**2 * weight).sum())
        unit = 2.0 ** (_log2_up((total * squares) ** 0.5) - _SIGNIFICAND)
        return Scale(unit, 2.0 ** (_log2_up(total) - _SIGNIFICAND))
    squares = float((residual**2).sum())
    all_rows = _log2_up((n * squares) ** 0.5) - _SIGNIFICAND
    chunk = _log2_up((min(n, CHUNK) * squares) ** 0.5) - (_WHOLE - COUNT_BITS)
    return Scale(2.0 ** max(all_rows, chunk), 0.0)


def _log2_up(number: float) -> int:
    return ceil(log2(number)) if number > 0 else 0


def _rows(
    residual: NDArray[np.float64], weight: NDArray[np.float64], scale: Scale, bins: Bins
) -> Rows:
    if len(weight):
        weight = np.rint(weight / scale.weight_unit) * scale.weight_unit
    else:
        residual = np.rint(residual / scale.unit) * scale.unit
    right = np.zeros(len(residual), dtype=np.uint8)
    goes_right = np.zeros((2, len(bins.category)), dtype=np.uint8)
    return Rows(residual, np.zeros(1), weight, right, goes_right)


def _sums(bins: Bins, weight: NDArray[np.float64]) -> Sums:
    size = len(bins.category)
    hessian = np.zeros(size)
    for column in bins.columns:
        hessian += np.bincount(column, weight if len(weight) else None, minlength=size)
    return Sums(
        np.zeros(size), hessian, np.zeros(size), np.zeros(size), np.zeros(size, dtype=np.int64)
    )


def _task(n: int, *, weighted: bool) -> Task:
    apart, packed = (n, 0) if weighted else (0, n)
    return Task(
        nodes=np.zeros((3, 3)),
        shifts=np.zeros(2),
        rows=np.zeros(n, dtype=np.int32),
        values=np.zeros(n),
        small_rows=np.zeros(n, dtype=np.int32),
        small_packed=np.zeros(packed, dtype=np.int64),
        small_gradient=np.zeros(apart),
        small_hessian=np.zeros(apart),
        sizes=np.zeros(2, dtype=np.int64),
        anew=np.zeros(1, dtype=np.bool_),
    )


def _room_for_splits(cells: int) -> Found:
    return Found(
        gain=np.zeros((3, cells)),
        size=np.zeros((3, cells), dtype=np.int64),
        left=np.zeros((3, cells, MAX_CATEGORIES), dtype=np.int64),
        hints=np.zeros((3, cells, 2)),
    )


def _room_for_trees(trees: int) -> Grown:
    return Grown(
        cell=np.full((trees, 3), -1),
        size=np.zeros((trees, 3), dtype=np.int64),
        left=np.zeros((trees, 3, MAX_CATEGORIES), dtype=np.int64),
        gain=np.zeros((trees, 3)),
        leaf=np.zeros((trees, 4)),
        rows=np.zeros((trees, 4), dtype=np.int64),
    )


def _forest(grown: Grown, bins: Bins, samples: Samples) -> Forest:
    nodes = grown.size.size
    taken = np.arange(MAX_CATEGORIES) < grown.size.reshape(nodes, 1)
    node, _ = np.nonzero(taken)
    category = bins.category[grown.left.reshape(nodes, -1)[taken]]
    sets = from_pairs(node, category, n_sets=nodes, n_categories=samples.categories)
    return Forest(
        grown.cell,
        sets.reshape(*grown.cell.shape, -1),
        grown.gain,
        grown.leaf * samples.scale,
        grown.rows,
        samples.offset,
    )
