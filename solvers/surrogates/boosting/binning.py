"""Codes as positions in one long histogram, by LightGBM's rule.

That is `BinMapper::FindBin` (src/io/bin.cpp). The categories of a cell are ordered by how often
they occur. The rare ones beyond 99 % of the rows, and those that occur less than three times, are
never on the left of a split: they share the cell's first position. So do, without weights,
categories that are too rare for any node.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.surrogates.boosting.rules import CAT_SMOOTH, MAX_ONE_HOT

# LightGBM's max_bin and min_data_in_bin, and the coverage that FindBin names.
MAX_BINS = 255
MIN_IN_BIN = 3
COVERAGE = np.float32(0.99)


class Bins(NamedTuple):
    """Coded rows; F cells, B positions, cells in blocks of equal width, the last padded.

    Attributes:
        rows: (blocks, n, width) uint16 or uint32, the position of each row's bin; padding is 0.
        columns: (F, n) the same, cell by cell.
        first: (F + 1,) int64, where each cell's positions begin: first the one for all rare
            categories, then one a category, from the most frequent.
        category: (B,) int64; -1 for the rare ones.
        one_hot: (F,) bool, whether splits single out one category.
    """

    rows: NDArray[np.uint16] | NDArray[np.uint32]
    columns: NDArray[np.uint16] | NDArray[np.uint32]
    first: NDArray[np.int64]
    category: NDArray[np.int64]
    one_hot: NDArray[np.bool_]


def binned(codes: NDArray[np.int64], *, blocks: int = 1, pruned: bool = True) -> Bins:
    """(n, F) codes >= 0 -> their bins.

    Args:
        blocks: of cells, at most.
        pruned: leave out categories that no node can use, which counts of rows can tell.
    """
    n, cells = codes.shape
    first = np.ones(cells + 1, dtype=np.int64)
    categories: list[NDArray[np.int64]] = [np.array([-1])]
    one_hot = np.zeros(cells, dtype=bool)
    positions = np.empty((cells, n), dtype=np.uint32)
    # Small numbers are turned over in less time.
    small = codes.astype(np.uint16) if codes.max() < 1 << 16 else codes
    for cell, column in enumerate(np.ascontiguousarray(small.T)):
        counts = np.bincount(column)
        used = _used(counts)
        # LightGBM counts a bin for the rare ones, which may be empty.
        one_hot[cell] = len(used) + 1 <= MAX_ONE_HOT
        if pruned and not one_hot[cell]:
            used = used[counts[used] >= CAT_SMOOTH]
        position = np.full(len(counts), first[cell])
        position[used] += np.arange(1, len(used) + 1)
        positions[cell] = position[column]
        categories += [np.array([-1]), used]
        first[cell + 1] = first[cell] + len(used) + 1
    # Half the memory traffic, wherever the positions allow it.
    columns: NDArray[Any] = positions.astype(np.uint16) if first[-1] <= 1 << 16 else positions
    width = -(-cells // blocks)
    blocks = -(-cells // width)
    rows = np.zeros((blocks, n, width), dtype=columns.dtype)
    for block in range(blocks):
        part = columns[block * width : (block + 1) * width]
        rows[block, :, : len(part)] = part.T
    return Bins(rows, columns, first, np.concatenate(categories), one_hot)


def _used(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Categories that have a bin of their own, most frequent first, ties by their number."""
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    frequent = counts[order]
    wanted = int(np.float32(counts.sum()) * COVERAGE + np.float32(0.5))
    covered = np.cumsum(frequent) - frequent
    rank = np.arange(len(order))
    most = min(len(order), MAX_BINS)
    kept = (covered < wanted) | (rank + 1 < most)
    # The two most frequent are kept however rare they are.
    kept &= (frequent >= MIN_IN_BIN) | (rank <= 1)
    return order[: len(order) if kept.all() else int(np.argmin(kept))]
