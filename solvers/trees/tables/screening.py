"""Choices that another one beats whatever the other cells hold, found before any table is built.

Goldstein's criterion (as in `elimination`) on the terms themselves: of a term that tells two
choices apart, all that counts is between which numbers the other cells leave it. Cells are looked
at in turn, so that what one loses narrows what the next must reckon with; where few cells are
free, one choice of each is often all that stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.trees.tables.terms import Terms, first_bit, first_bits, includes, n_bits

# Rounds go on while each removes this share of the choices that are left.
_WORTHWHILE = 0.05

_NONE = np.uint64(0)


class _Uses(NamedTuple):
    """Which slots of which terms speak of each cell.

    Attributes:
        first: (t + 1,) int64, where each cell's begin.
        term, slot: (n,) int64.
        least, most: (n,) float64, scratch: between what the other cells leave the term.
    """

    first: NDArray[np.int64]
    term: NDArray[np.int64]
    slot: NDArray[np.int64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]


@njit(cache=True)
def all_choices(n_choices: NDArray[np.int64], words: int) -> NDArray[np.uint64]:
    """(t, words) bitsets of everything that each cell may take."""
    kept = np.zeros((len(n_choices), words), dtype=np.uint64)
    for cell in range(len(n_choices)):
        for w in range(words):
            kept[cell, w] = first_bits(n_choices[cell] - (w << 6))
    return kept


@njit(cache=True)
def screen(
    terms: Terms,
    kept: NDArray[np.uint64],
    paired: NDArray[np.bool_],
    group: NDArray[np.int64],
) -> None:
    """Take out of `kept` (t, words) what some other choice of its group beats, or matches.

    Args:
        terms: what is added up, but for tables over pairs.
        kept: bitsets of choices.
        paired: (t,), the cells of such tables; they stay as they are.
        group: (t + 1, L).
    """
    t = len(kept)
    uses = _uses(terms, t)
    score = np.empty(terms.unary.shape[1])
    left = np.array([_count(kept[cell]) for cell in range(t)])
    # What little depends on the others is soon settled, and then helps to settle these.
    order = np.argsort(_at_stake(terms, t))
    while True:
        before = left.sum()
        for cell in order:
            if left[cell] > 1 and not paired[cell]:
                _screen_cell(terms, kept, uses, cell, group, score)
                left[cell] = _count(kept[cell])
        after = left.sum()
        if before - after < _WORTHWHILE * (before - t) or after == t:
            return


@njit(cache=True)
def without_settled(terms: Terms, kept: NDArray[np.uint64]) -> Terms:
    """The same sum over the choices that are kept, without slots and terms that these settle.

    `terms.unary` takes up what is left of a term that depends on one cell only.
    """
    t, count, constant = len(kept), 0, terms.constant
    cells, sets = np.full_like(terms.cells, t), np.zeros_like(terms.sets)
    weight = np.empty_like(terms.weight)
    for m in range(len(terms.weight)):
        n_open, may_hold = 0, True
        for slot in range(2, -1, -1):
            cell, row = terms.cells[m, slot], terms.sets[m, slot]
            if cell == t:
                continue
            some_in, some_out = _sides(terms, kept, cell, row)
            may_hold &= some_in
            if some_in and some_out:
                n_open += 1
                cells[count, 3 - n_open], sets[count, 3 - n_open] = cell, row
        if may_hold and n_open > 1:
            weight[count] = terms.weight[m]
            count += 1
            continue
        if may_hold and n_open == 1:
            _add_to_choices(terms, kept, cells[count, 2], sets[count, 2], terms.weight[m])
        elif may_hold:
            constant += terms.weight[m]
        cells[count], sets[count] = t, 0
    return Terms(
        constant,
        terms.unary,
        cells[:count],
        sets[:count],
        weight[:count],
        terms.members,
        terms.is_too_wide,
    )


@njit(cache=True)
def _uses(terms: Terms, t: int) -> _Uses:
    first = np.zeros(t + 2, dtype=np.int64)
    for m in range(len(terms.cells)):
        for slot in range(3):
            first[min(terms.cells[m, slot], t - 1) + 2] += terms.cells[m, slot] < t
    first = np.cumsum(first)
    n = first[t + 1]
    term, slots = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for m in range(len(terms.cells)):
        for slot in range(3):
            cell = terms.cells[m, slot]
            if cell < t:
                term[first[cell + 1]], slots[first[cell + 1]] = m, slot
                first[cell + 1] += 1
    return _Uses(first[:-1], term, slots, np.empty(n), np.empty(n))


@njit(cache=True)
def _at_stake(terms: Terms, t: int) -> NDArray[np.float64]:
    """(t,) how much of what a cell contributes depends on the other cells, too, at most."""
    stake = np.zeros(t + 1)
    for m in range(len(terms.weight)):
        for slot in range(3):
            stake[terms.cells[m, slot]] += abs(terms.weight[m])
    return stake[:t]


@njit(cache=True)
def _screen_cell(
    terms: Terms,
    kept: NDArray[np.uint64],
    uses: _Uses,
    cell: int,
    group: NDArray[np.int64],
    score: NDArray[np.float64],
) -> None:
    """Compare a cell's choices with its champion: the best where all else is half as it may be."""
    own = kept[cell]
    for a in range(len(score)):
        score[a] = terms.unary[cell, a]
    for z in range(uses.first[cell], uses.first[cell + 1]):
        m, slot = uses.term[z], uses.slot[z]
        least, most = _range(terms, kept, m, slot)
        uses.least[z], uses.most[z] = least, most
        row = terms.sets[m, slot]
        half = 0.5 * (least + most)
        # Outside of a set is everywhere but in it.
        _add_to_members(terms.members[abs(row)], own, -half if row < 0 else half, score)
    champion = _best(own, score)
    # How far the champion leads at least.
    for a in range(len(score)):
        score[a] = terms.unary[cell, champion] - terms.unary[cell, a]
    lead = 0.0
    for z in range(uses.first[cell], uses.first[cell + 1]):
        row = terms.sets[uses.term[z], uses.slot[z]]
        gained = uses.least[z] if includes(terms.members, row, champion) else -uses.most[z]
        if gained == 0.0:
            continue
        # It counts against those on the other side of the set.
        if includes(terms.members, abs(row), champion):
            lead += gained
            gained = -gained
        _add_to_members(terms.members[abs(row)], own, gained, score)
    for w in range(len(own)):
        word = own[w]
        while word:
            a = (w << 6) + first_bit(word)
            beaten = score[a] + lead >= 0.0 and group[cell, a] == group[cell, champion]
            if beaten and a != champion:
                own[w] &= ~(np.uint64(1) << np.uint64(a & 63))
            word &= word - np.uint64(1)


@njit(cache=True)
def _range(terms: Terms, kept: NDArray[np.uint64], m: int, slot: int) -> tuple[float, float]:
    """The least and the most that term m adds to choices in its set of this slot."""
    weight, is_sure = terms.weight[m], True
    for other in range(3):
        cell = terms.cells[m, other]
        if other == slot or cell == len(kept):
            continue
        some_in, some_out = _sides(terms, kept, cell, terms.sets[m, other])
        if not some_in:
            return 0.0, 0.0
        is_sure &= not some_out
    if is_sure:
        return weight, weight
    return min(weight, 0.0), max(weight, 0.0)


@njit(cache=True)
def _sides(terms: Terms, kept: NDArray[np.uint64], cell: int, row: int) -> tuple[bool, bool]:
    """Whether any of the cell's choices are in a set, given as in `Terms.sets`, and any not."""
    members = terms.members[abs(row)]
    inside = outside = _NONE
    for w in range(len(members)):
        inside |= kept[cell, w] & members[w]
        outside |= kept[cell, w] & ~members[w]
    if row < 0:
        inside, outside = outside, inside
    return inside != _NONE, outside != _NONE


@njit(cache=True)
def _add_to_members(
    members: NDArray[np.uint64],
    own: NDArray[np.uint64],
    amount: float,
    score: NDArray[np.float64],
) -> None:
    for w in range(len(members)):
        word = members[w] & own[w]
        while word:
            score[(w << 6) + first_bit(word)] += amount
            word &= word - np.uint64(1)


@njit(cache=True)
def _add_to_choices(
    terms: Terms, kept: NDArray[np.uint64], cell: int, row: int, amount: float
) -> None:
    """Add an amount to those of a cell's choices that are in a set."""
    members = terms.members[abs(row)]
    if row < 0:
        _add_to_members(~members, kept[cell], amount, terms.unary[cell])
    else:
        _add_to_members(members, kept[cell], amount, terms.unary[cell])


@njit(cache=True)
def _best(own: NDArray[np.uint64], score: NDArray[np.float64]) -> int:
    best = -1
    for w in range(len(own)):
        word = own[w]
        while word:
            a = (w << 6) + first_bit(word)
            if best < 0 or score[a] > score[best]:
                best = a
            word &= word - np.uint64(1)
    return best


@njit(cache=True)
def _count(own: NDArray[np.uint64]) -> int:
    """How many choices are left."""
    count = 0
    for word in own:
        count += n_bits(word)
    return count
