"""Blocks of cells shared among threads, such that a busy machine costs little.

A tree needs two searches of some 0.1 ms. Threads that meet at barriers that often come to a
standstill when other processes take their cores (LightGBM with two threads was measured 64 times
slower than on free cores). So nobody waits for a helper to arrive: blocks are claimed one at a
time, the thread that grows the trees claims all that nobody else has, and waits at most for
blocks that a helper has begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import sleep

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.surrogates.boosting.machine import add, load, store, swap
from solvers.surrogates.boosting.search import Search, search_block

# Entries of the board, each on a cache line of its own: the number of the search times _BLOCKS
# plus the next block to claim; blocks of it that are done; whether the helpers may go.
_TICKET, _DONE, _OVER = 0, 8, 16
_ENTRIES = 24
_BLOCKS = 256
# Looks at the board before a helper offers its core to others, some 50 microseconds.
_PATIENCE = 20_000


def new_board() -> NDArray[np.int64]:
    """Where the threads of one fit tell each other what is to be done."""
    board = np.zeros(_ENTRIES, dtype=np.int64)
    board[_TICKET] = _BLOCKS - 1
    return board


@njit(cache=True, nogil=True)
def share(search: Search, board: NDArray[np.int64]) -> None:
    """Search the root, and the next time its children, in all blocks with whoever helps."""
    blocks = len(search.bins.rows)
    store(board, _DONE, 0)
    number = load(board, _TICKET) // _BLOCKS + 1
    store(board, _TICKET, number * _BLOCKS)
    while _claim(search, board):
        pass
    while load(board, _DONE) < blocks:
        pass


@njit(cache=True, nogil=True)
def _claim(search: Search, board: NDArray[np.int64]) -> bool:
    """Take one block and search it; False if there is none left."""
    ticket = load(board, _TICKET)
    block = ticket % _BLOCKS
    if block >= len(search.bins.rows):
        return False
    # The ticket names its search: a thread that was away meanwhile claims nothing.
    if swap(board, _TICKET, ticket, ticket + 1):
        # The first search, number 1, is of a root.
        search_block(block, ticket // _BLOCKS % 2 == 0, search)
        add(board, _DONE, 1)
    return True


@njit(cache=True, nogil=True)
def _help(search: Search, board: NDArray[np.int64]) -> bool:
    """Claim blocks until there has been none for a while; False if all is over."""
    idle = 0
    while idle < _PATIENCE:
        if load(board, _OVER):
            return False
        idle = 0 if _claim(search, board) else idle + 1
    return True


@contextmanager
def helpers(count: int, search: Search, board: NDArray[np.int64]) -> Iterator[None]:
    """Threads that search along until the block ends."""

    def work() -> None:
        while _help(search, board):
            sleep(0)

    threads = [Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        board[_OVER] = 1
        for thread in threads:
            thread.join()
