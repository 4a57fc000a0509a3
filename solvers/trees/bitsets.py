"""Sets of categories as rows of 64-bit words: bit c % 64 of word c // 64 stands for category c."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

WORD_BITS = 64


def packed(members: ArrayLike) -> NDArray[np.uint64]:
    """(S, K) bool membership -> (S, ceil(K / 64)) uint64 bitsets."""
    table = np.asarray(members, dtype=bool)
    row, category = np.nonzero(table)
    return from_pairs(row, category, n_sets=len(table), n_categories=table.shape[1])


def unpacked(subsets: NDArray[np.uint64], n_categories: int) -> NDArray[np.bool_]:
    """(S, W) uint64 bitsets -> (S, n_categories) bool membership; False beyond 64 * W."""
    category = np.arange(min(n_categories, WORD_BITS * subsets.shape[1]))
    words = subsets[:, category // WORD_BITS] >> (category % WORD_BITS).astype(np.uint64)
    members = np.zeros((len(subsets), n_categories), dtype=bool)
    members[:, : len(category)] = words & np.uint64(1)
    return members


def from_pairs(
    row: NDArray[np.int64], category: NDArray[np.int64], *, n_sets: int, n_categories: int
) -> NDArray[np.uint64]:
    """Bitsets of `n_sets` sets over `n_categories`, where set row[i] contains category[i]."""
    words = np.zeros((n_sets, -(-n_categories // WORD_BITS)), dtype=np.uint64)
    bit = np.uint64(1) << (category % WORD_BITS).astype(np.uint64)
    np.bitwise_or.at(words, (row, category // WORD_BITS), bit)
    return words


def highest(subsets: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(S, W) uint64 bitsets -> (S,) int64, the highest member of each set; -1 if it is empty."""
    if not subsets.size:
        return np.full(len(subsets), -1, dtype=np.int64)
    n_words = subsets.shape[1]
    word = n_words - 1 - np.argmax(subsets[:, ::-1] > 0, axis=1)
    bits = unpacked(np.take_along_axis(subsets, word[:, None], axis=1), WORD_BITS)
    bit = WORD_BITS - 1 - np.argmax(bits[:, ::-1], axis=1)
    return np.where(subsets.any(axis=1), word * WORD_BITS + bit, -1)
