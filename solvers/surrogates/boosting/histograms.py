"""Sums of gradients by cell and code, which every split is searched in.

All of them are multiples of a unit that is small enough for float32's precision and large enough
that float64 adds them exactly: sums then depend on no order, nor on the number of threads, and
what is equal in theory is equal here.

Padding of `Bins` adds to position 0, which nothing reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.surrogates.boosting.binning import Bins
from solvers.surrogates.boosting.machine import prefetch

ROOT, SMALLER, LARGER = range(3)

# How many rows ahead memory is asked for, and positions of two bytes in a cache line.
AHEAD = 4
LINE = 32
# Rows that are counted in the low bits of a packed sum.
COUNT_BITS = 13
CHUNK = (1 << COUNT_BITS) - 1


class Scale(NamedTuple):
    """How numbers are rounded.

    Attributes:
        unit: of gradients.
        weight_unit: of weights; 0 without them.
    """

    unit: float
    weight_unit: float


class Sums(NamedTuple):
    """Histograms over the B positions of `Bins`.

    The root's is kept from tree to tree, since a tree moves the gradients of a leaf alike.

    Attributes:
        gradient, hessian: (B,) float64 of the root.
        small_gradient, small_hessian: (B,) float64 of the smaller child.
        packed: (B,) int64, gradients in units times 2^COUNT_BITS plus rows, of at most CHUNK
            rows: one addition does for both. 0 between the searches.
    """

    gradient: NDArray[np.float64]
    hessian: NDArray[np.float64]
    small_gradient: NDArray[np.float64]
    small_hessian: NDArray[np.float64]
    packed: NDArray[np.int64]


class Task(NamedTuple):
    """What the next search is about; every block of cells reads the same.

    Attributes:
        nodes: (3, 3) float64, gradient, Hessian and rows of root, smaller and larger child.
        shifts: (2,) float64, what the last tree added to the gradients of rows in the smaller
            and the larger child, but for what `values` add.
        rows, values: (n,) int32 and float64, rows of the root and what is to be added for them.
        small_rows: (n,) int32 of the smaller child.
        small_packed: (n,) int64 as `Sums.packed`, or with weights
        small_gradient, small_hessian: (n,) float64.
        sizes: (2,) int64, how many entries of `rows` and of `small_rows` hold.
        anew: (1,) bool, whether the root's histogram is to be summed from nothing.
    """

    nodes: NDArray[np.float64]
    shifts: NDArray[np.float64]
    rows: NDArray[np.int32]
    values: NDArray[np.float64]
    small_rows: NDArray[np.int32]
    small_packed: NDArray[np.int64]
    small_gradient: NDArray[np.float64]
    small_hessian: NDArray[np.float64]
    sizes: NDArray[np.int64]
    anew: NDArray[np.bool_]


@njit(cache=True, nogil=True)
def add_rows(
    positions: NDArray[Any],
    rows: NDArray[np.int32],
    values: NDArray[Any],
    sums: NDArray[Any],
) -> None:
    """Add a value for each listed row at all its positions."""
    width, last = positions.shape[1], len(rows) - 1
    for k in range(len(rows)):
        # Rows are listed with gaps, which no processor foresees: this halves the time.
        ahead = rows[min(k + AHEAD, last)]
        for f in range(0, width, LINE):
            prefetch(positions, ahead, f)
        i, value = rows[k], values[k]
        for f in range(width):
            sums[positions[i, f]] += value


@njit(cache=True, nogil=True, error_model="numpy")
def update_root(block: int, bins: Bins, sums: Sums, task: Task) -> None:
    """The root's histogram for a block of cells, after what the last tree did to gradients."""
    begin, end = cells_of(block, bins)
    lo, hi = bins.first[begin], bins.first[end]
    if task.anew[0]:
        sums.gradient[lo:hi] = 0.0
    else:
        smaller, larger = task.shifts[0], task.shifts[1]
        for b in range(lo, hi):
            rows = sums.small_hessian[b]
            sums.gradient[b] += smaller * rows + larger * (sums.hessian[b] - rows)
    k = task.sizes[0]
    add_rows(bins.rows[block], task.rows[:k], task.values[:k], sums.gradient)


@njit(cache=True, nogil=True, error_model="numpy")
def sum_smaller(block: int, bins: Bins, sums: Sums, scale: Scale, task: Task) -> None:
    """The smaller child's histogram for a block of cells."""
    begin, end = cells_of(block, bins)
    lo, hi = bins.first[begin], bins.first[end]
    sums.small_gradient[lo:hi] = 0.0
    sums.small_hessian[lo:hi] = 0.0
    k, positions = task.sizes[1], bins.rows[block]
    if scale.weight_unit > 0:
        rows = task.small_rows[:k]
        add_rows(positions, rows, task.small_gradient[:k], sums.small_gradient)
        add_rows(positions, rows, task.small_hessian[:k], sums.small_hessian)
        return
    for chunk in range(0, k, CHUNK):
        end_chunk = min(k, chunk + CHUNK)
        rows = task.small_rows[chunk:end_chunk]
        add_rows(positions, rows, task.small_packed[chunk:end_chunk], sums.packed)
        for b in range(lo, hi):
            packed = sums.packed[b]
            sums.small_gradient[b] += np.float64(packed >> COUNT_BITS) * scale.unit
            sums.small_hessian[b] += np.float64(packed & CHUNK)
            sums.packed[b] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def divide_sums(
    first: int, sums: Sums, gradient: NDArray[np.float64], hessian: NDArray[np.float64]
) -> None:
    """Both children's histograms from position `first` on; the larger's is what is left over."""
    for b in range(gradient.shape[1]):
        gradient[0, b] = sums.small_gradient[first + b]
        hessian[0, b] = sums.small_hessian[first + b]
        gradient[1, b] = sums.gradient[first + b] - gradient[0, b]
        hessian[1, b] = sums.hessian[first + b] - hessian[0, b]


@njit(cache=True, nogil=True)
def cells_of(block: int, bins: Bins) -> tuple[int, int]:
    """The first cell of a block, and the first after it."""
    width, cells = bins.rows.shape[2], len(bins.one_hot)
    return min(block * width, cells), min((block + 1) * width, cells)
