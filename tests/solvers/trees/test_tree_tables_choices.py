"""Terms, sets and screening, before there are tables: against plain meaning and brute force."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from oracle import Sides, assert_best, instance_of
from random_ensembles import mixed_ensemble, random_ensemble

from solvers.trees.backends.tables import TablesBackend
from solvers.trees.instance import Instance
from solvers.trees.tables.labels import merged
from solvers.trees.tables.screening import all_choices, screen, without_settled
from solvers.trees.tables.sets import Partition, listed, split
from solvers.trees.tables.statement import cells_of, pairs_of, unary_of
from solvers.trees.tables.terms import expand, first_bit, includes

many = pytest.mark.parametrize("seed", range(12))


def sum_of(terms, choice):
    """The sum of terms at (t,) choices."""
    t = len(choice)
    total = terms.constant + sum(terms.unary[cell, c] for cell, c in enumerate(choice))
    for scope, rows, weight in zip(terms.cells, terms.sets, terms.weight, strict=True):
        total += weight * all(
            includes(terms.members, row, choice[cell])
            for cell, row in zip(scope, rows, strict=True)
            if cell < t
        )
    return total


@pytest.mark.parametrize("depth", range(5))
@many
def test_expansion_equals_the_ensemble(seed, depth):
    """Repeated cells on a path, all kinds of splits, restricted and missing values included."""
    rng = np.random.default_rng(seed)
    ensemble = mixed_ensemble(seed, trees=15, depth=depth)
    ensemble = replace(ensemble, missing_left=rng.random(len(ensemble.feature)) < 0.5)
    free = rng.permutation(5)[: 3 if depth == 4 else rng.integers(1, 6)]
    reference = np.array([3, 1, 0.4, 2, -0.3])
    reference[np.setdiff1d(range(5), free)[:1]] = np.nan
    allowed = {f: [0, 2] for f in free.tolist() if f in (0, 3) and rng.random() < 0.5}
    instance = Instance.checked(ensemble, free, reference, allowed=allowed)
    width = max(map(len, instance.domains))
    terms = expand(ensemble.arrays, cells_of(instance, width), unary_of(instance, width))
    if terms.is_too_wide:
        assert depth > 3 or len(free) > 3
        return
    for _ in range(100):
        choice = np.array([rng.integers(len(d)) for d in instance.domains])
        z = instance.point(
            np.array([d.values[c] for d, c in zip(instance.domains, choice, strict=True)])
        )
        assert sum_of(terms, choice) == pytest.approx(ensemble.predict(z[None])[0], abs=1e-12)


@many
def test_categories_beyond_the_sets_go_where_the_library_sends_them(seed):
    """70 codes, of which sets know 64; and codes that the optimiser may choose, but a few."""
    rng = np.random.default_rng(seed)
    whole = random_ensemble(seed, cells=3, categories=70, trees=6)
    ensemble = replace(
        whole,
        subsets=whole.subsets[:, :1].copy(),
        unknown_left=rng.random(len(whole.feature)) < 0.5,
    )
    allowed = {0: rng.permutation(70)[:9].tolist()} if seed % 2 else None
    assert_best(
        TablesBackend(fallback=False),
        ensemble,
        [0, 2],
        np.array([1, 69, 0]),
        Sides(),
        allowed=allowed,
    )


def test_the_lowest_bit_is_found():
    rng = np.random.default_rng(0)
    for bit in range(64):
        above = int(rng.integers(0, 2**63)) << (bit + 1) & (2**64 - 1)
        assert first_bit(np.uint64(above | 1 << bit)) == bit


def numbers_of(words):
    """The bits that are set in a bitset."""
    return [
        64 * w + bit for w, word in enumerate(words) for bit in range(64) if int(word) >> bit & 1
    ]


def expanded(instance):
    width = max(map(len, instance.domains))
    cells = cells_of(instance, width)
    return expand(instance.ensemble.arrays, cells, unary_of(instance, width)), cells.n_choices


@many
def test_lists_hold_the_smaller_side_of_each_set(seed):
    """More than 64 choices, so that words are passed, and a cell of fewer than the others."""
    ensemble = random_ensemble(seed, cells=3, categories=150, trees=12)
    few = {1: range(70)}
    instance = Instance.checked(ensemble, [0, 1, 2], np.zeros(3, dtype=int), allowed=few)
    terms, n_choices = expanded(instance)
    kept = all_choices(n_choices, 3)
    rng = np.random.default_rng(seed)
    if seed % 2:
        kept &= rng.integers(0, 2**63, kept.shape, dtype=np.uint64)
    sets = listed(terms, kept)
    used = set(np.abs(terms.sets).ravel().tolist()) - {0}
    assert set(np.flatnonzero(sets.cell >= 0).tolist()) == used
    for row in used:
        left = set(numbers_of(kept[sets.cell[row]]))
        inside = {c for c in left if includes(terms.members, row, c)}
        entries = sets.listed[sets.start[row] : sets.start[row + 1]].tolist()
        others = left - inside
        assert set(entries) == (others if sets.are_others[row] else inside)
        assert len(entries) == min(len(inside), len(others))


@many
@pytest.mark.parametrize("depth", [2, 3])
def test_screening_leaves_a_best_point_of_every_group(seed, depth):
    """Of all points of the same groups; a cell of tables that it does not know stays whole."""
    terms, n_choices = expanded(instance_of(seed, depth=depth, cells=4, categories=5, trees=15))
    rng = np.random.default_rng(seed)
    group = rng.integers(1 + seed % 2, size=(5, 5))
    paired = rng.random(4) < 0.2
    kept = all_choices(n_choices, 1)
    screen(terms, kept, paired, group)
    left = list(map(numbers_of, kept))
    assert all(len(left[cell]) == n_choices[cell] for cell in np.flatnonzero(paired))
    # What pairs add is unknown: their cells' choices count as groups.
    best, best_left = {}, {}
    for choice in product(*map(range, n_choices)):
        kinds = tuple(c if paired[i] else int(group[i, c]) for i, c in enumerate(choice))
        value = sum_of(terms, choice)
        best[kinds] = max(best.get(kinds, -np.inf), value)
        if all(c in left[cell] for cell, c in enumerate(choice)):
            best_left[kinds] = max(best_left.get(kinds, -np.inf), value)
    assert best_left == pytest.approx(best, abs=1e-12)
    before = {choice: sum_of(terms, choice) for choice in product(*left)}
    settled = without_settled(terms, kept)
    assert {choice: sum_of(settled, choice) for choice in before} == pytest.approx(
        before, abs=1e-12
    )
    for scope, rows in zip(settled.cells, settled.sets, strict=True):
        assert (np.diff(scope[scope < 4]) > 0).all()
        assert (scope < 4).sum() >= 2
        for cell, row in zip(scope, rows, strict=True):
            sides = {includes(terms.members, row, c) for c in left[cell]} if cell < 4 else {0, 1}
            assert sides == {True, False}, "a slot that is settled"


def test_screening_alone_decides_what_main_effects_decide():
    """A cell whose interactions cannot make up for its own effect, and then its neighbour."""
    terms, n_choices = expanded(instance_of(0, depth=2, cells=4, categories=4, trees=30))
    terms.unary[:4, 2] += 100.0
    kept = all_choices(n_choices, 1)
    screen(terms, kept, np.zeros(4, dtype=np.bool_), np.zeros((5, 4), dtype=np.int64))
    assert list(map(numbers_of, kept)) == [[2]] * 4
    assert not len(without_settled(terms, kept).weight)


@many
def test_labels_are_the_best_of_the_choices_that_no_set_tells_apart(seed):
    ensemble = random_ensemble(seed, cells=2, categories=40, trees=6)
    instance = Instance.checked(ensemble, [0, 1], np.zeros(2, dtype=int))
    terms, n_choices = expanded(instance)
    group = np.random.default_rng(seed).integers(2, size=(3, 40))
    group[:2, :2] = [0, 1]
    left = all_choices(n_choices, 1)
    left[1] ^= np.uint64(seed)
    sets, pairs = listed(terms, left), pairs_of(instance)
    labels, renamed = merged(terms.unary, sets, pairs, left, group)
    for cell in range(2):
        rows = np.flatnonzero(sets.cell == cell)
        belongs = [[includes(terms.members, row, c) for row in rows] for c in range(40)]
        best = {}
        for choice in numbers_of(left[cell]):
            alike = group[cell, choice], *belongs[choice]
            if alike not in best or terms.unary[cell, choice] > terms.unary[cell, best[alike]]:
                best[alike] = choice
        kept = labels.choice[cell, : labels.n_labels[cell]].tolist()
        assert kept == sorted(best.values())
        for row in rows:
            before = set(sets.listed[sets.start[row] : sets.start[row + 1]].tolist())
            now = renamed.listed[renamed.start[row] : renamed.start[row + 1]]
            assert [kept[label] for label in now] == [c for c in kept if c in before]


@many
def test_splitting_tells_exactly_the_members_of_sets_apart(seed):
    rng = np.random.default_rng(seed)
    ensemble = random_ensemble(seed, cells=1, categories=30, trees=10)
    terms, n_choices = expanded(Instance.checked(ensemble, [0], np.zeros(1, dtype=int)))
    members = rng.random((6, 30)) < rng.random((6, 1))
    bits = members @ (np.uint64(1) << np.arange(30, dtype=np.uint64))
    terms = terms._replace(
        cells=np.tile([1, 1, 0], (6, 1)),
        sets=np.stack([np.zeros(6, dtype=int), np.zeros(6, dtype=int), np.arange(1, 7)], axis=1),
        weight=np.ones(6),
        members=np.append(np.uint64(0), bits)[:, None],
    )
    sets = listed(terms, all_choices(n_choices, 1))
    classes, scratch = np.zeros(30, dtype=np.uint16), np.zeros((4, 31), dtype=np.int64)
    scratch[0, 0] = 30
    count = 1
    for row in range(1, 7):
        count = split(classes, count, sets, row, Partition(*scratch))
        _, expected = np.unique(members[:row], axis=1, return_inverse=True)
        assert len(set(zip(classes, expected.ravel(), strict=True))) == count == expected.max() + 1
        assert scratch[0, :count].tolist() == np.bincount(classes).tolist()
