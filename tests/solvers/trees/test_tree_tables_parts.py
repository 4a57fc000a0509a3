"""The parts of our own branch and bound, each against its plain meaning and brute force."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from oracle import instance_of
from random_ensembles import neighbourhood

from solvers.trees import LinearTerm, PairTerm
from solvers.trees.instance import Instance
from solvers.trees.limits import UNLIMITED
from solvers.trees.tables import statement
from solvers.trees.tables.dual import prune, sweep, upper_bound
from solvers.trees.tables.elimination import eliminate
from solvers.trees.tables.factors import Factors, classes_of, entry, value
from solvers.trees.tables.problem import numbering
from solvers.trees.tables.rows import Rows, activity, holds
from solvers.trees.tables.search import Pool, _remainder, plant, search
from solvers.trees.tables.statement import as_problem

many = pytest.mark.parametrize("seed", range(12))


class Stated(NamedTuple):
    """An instance as the kernels take it: objective = constant + size * value."""

    instance: Instance
    factors: Factors
    rows: Rows
    constant: float
    size: float


def state(instance, *, dominate=False) -> Stated:
    problem, rows = as_problem(instance, UNLIMITED, dominate)
    constant = problem.constant + instance.constant
    return Stated(instance, problem.factors, rows, constant, problem.size)


def everything(factors):
    """(n, t + 1) all combinations of labels, and (n,) the values there."""
    points = np.array(list(product(*map(range, factors.n_labels))), dtype=np.int64)
    return points, np.array([value(factors, point) for point in points])


def feasible(s: Stated, points):
    return np.array([holds(s.rows, activity(s.factors, s.rows, point)) for point in points])


def empty_pool(factors, k):
    return Pool(np.full(k, -np.inf), np.zeros((k, len(factors.n_labels)), dtype=np.int64))


def untouched(factors):
    """theta and moved before any sweep."""
    return factors.unary.copy(), np.zeros(len(factors.present))


def choices_of(factors, points):
    """The same points by choices, which removing labels does not renumber."""
    cells = np.arange(points.shape[1])
    return {tuple(factors.choice[cells, point].tolist()) for point in points}


def copied(factors):
    return Factors(*(part.copy() if hasattr(part, "copy") else part for part in factors))


def test_classes_are_numbered_alike_in_wide_and_narrow_integers(monkeypatch):
    instance = instance_of(3, depth=3)
    narrow = state(instance).factors
    monkeypatch.setattr(statement, "numbering", lambda _: numbering(1 << 17))
    wide = state(instance).factors
    assert narrow.classes.dtype == np.uint16
    assert wide.classes.dtype == np.uint32
    assert (narrow.classes == wide.classes).all()
    assert (narrow.tables == wide.tables).all()
    moved = np.zeros(len(narrow.present))
    bounds = [sweep(f, f.unary.copy(), moved.copy(), False) for f in (narrow, wide)]
    assert bounds[0] == bounds[1]


@many
@pytest.mark.parametrize("dominate", [False, True])
def test_tables_equal_the_objective(seed, dominate):
    """Terms, rows and pairs within triples; of merged labels the best is left."""
    rng = np.random.default_rng(seed)
    pairs = [PairTerm(0, 2, rng.normal(size=(4, 4))), PairTerm(3, 1, rng.normal(size=(4, 4)))]
    terms = [LinearTerm({1: rng.normal(size=4)}), *pairs[: seed % 3]]
    s = state(instance_of(seed, depth=1 + seed % 3, terms=terms), dominate=dominate)
    points, values = everything(s.factors)
    z = np.array([s.factors.choice[range(4), point[:4]] for point in points], dtype=float)
    predictions = s.instance.ensemble.predict(z)
    objectives = list(map(s.instance.objective, z, predictions.tolist()))
    assert s.constant + s.size * values == pytest.approx(np.array(objectives), abs=1e-11)
    whole = neighbourhood(s.instance.ensemble, range(4), np.zeros(4)).astype(float)
    best = [s.instance.objective(z, s.instance.ensemble.predict(z[None])[0]) for z in whole]
    assert max(objectives) == pytest.approx(max(best), abs=1e-11)


def test_pairs_within_a_triple_are_part_of_it():
    s = state(instance_of(4, cells=3, depth=3, trees=40))
    assert s.factors.cells.tolist() == [[0, 1, 2]]
    paired = state(
        instance_of(4, cells=3, depth=3, trees=40, terms=[PairTerm(0, 1, np.eye(4) * 2)])
    )
    assert paired.factors.cells.tolist() == [[0, 1, 2], [3, 0, 1]], "a table of one's own stays"


@many
def test_sweeps_keep_the_sum_and_only_lower_the_bound(seed):
    s = state(instance_of(seed, cells=5, trees=60, depth=2 + seed % 2))
    points, values = everything(s.factors)
    theta, moved = untouched(s.factors)
    last = np.inf
    for number in range(15):
        bound = sweep(s.factors, theta, moved, number % 2 == 1)
        assert values.max() - 1e-12 <= bound <= last + 1e-12
        assert bound == upper_bound(s.factors, theta)
        last = bound
        rest = _remainder(s.factors, moved)
        assert rest.max() <= 1e-12, "or the bound would be none"
        for at in np.random.default_rng(number).integers(len(points), size=20):
            point = points[at]
            total = s.factors.constant + theta[range(5), point[:5]].sum()
            total += sum(rest[entry(s.factors, p, point)] for p in range(len(s.factors.cells)))
            assert total == pytest.approx(values[at], abs=1e-12)


@many
@pytest.mark.parametrize("kinds", [(), ("linear",)], ids=["free", "rows"])
def test_elimination_leaves_a_best_point(seed, kinds):
    s = state(instance_of(seed, kinds=kinds, trees=6 + seed, categories=5))
    points, values = everything(s.factors)
    best = values[feasible(s, points)].max(initial=-np.inf)
    theta, _ = untouched(s.factors)
    incumbent = points[[seed]].copy()
    known = choices_of(s.factors, incumbent)
    removed = eliminate(s.factors, incumbent, theta, np.ones(5, dtype=bool), 99)
    left, remaining = everything(s.factors)
    assert len(left) < len(points) or not removed
    assert remaining[feasible(s, left)].max(initial=-np.inf) == pytest.approx(best, abs=1e-12)
    assert choices_of(s.factors, incumbent) == known
    assert (theta[:4] == s.factors.unary[:4]).all(), "both are compacted alike"


@many
def test_pruning_keeps_all_points_above_the_bound(seed):
    s = state(instance_of(seed, trees=40))
    points, values = everything(s.factors)
    theta, moved = untouched(s.factors)
    least = float(np.sort(values)[-8])
    better = choices_of(s.factors, points[values > least + 1e-8])
    known = points[[seed]].copy()
    kept = choices_of(s.factors, known)
    removed = 0
    for number in range(10):
        bound = sweep(s.factors, theta, moved, number % 2 == 1)
        removed += prune(s.factors, theta, bound, least, known, np.zeros(5, dtype=bool))
        left, _ = everything(s.factors)
        assert better <= choices_of(s.factors, left)
        assert choices_of(s.factors, known) == kept
    assert removed or s.factors.n_labels.max() == 4


def loose(s, rng):
    """A reparametrisation that leaves no table positive, and bounds nothing well."""
    theta, moved = untouched(s.factors)
    for p, n in enumerate(s.factors.n_classes):
        highest = s.factors.tables[s.factors.start[p] : s.factors.start[p + 1]].max()
        first = s.factors.first_class[p, 2]
        moved[first : first + n[2]] += highest + rng.random()
        classes = classes_of(s.factors, p, 2)
        theta[s.factors.cells[p, 2], : len(classes)] += moved[first + classes]
    return theta, moved


@many
@pytest.mark.parametrize("kinds", [(), ("linear", "forbidden")], ids=["free", "rows"])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_search_alone_finds_the_best(seed, kinds, k, chunk):
    """Without any pruning, in pieces: each stop has a valid bound, and none is above the last."""
    s = state(instance_of(seed, kinds=kinds, depth=2 + seed % 2))
    points, values = everything(s.factors)
    best = np.sort(values[feasible(s, points)])[::-1][:k]
    pool = empty_pool(s.factors, k)
    tree = plant(s.factors, s.rows, *loose(s, np.random.default_rng(seed)))
    last = left = np.inf
    while left > -np.inf:
        left = search(s.factors, s.rows, tree, pool, chunk)
        claim = max(left, pool.values[0])
        assert best.max(initial=-np.inf) - 1e-9 <= claim <= last + 1e-9
        last = claim
    found = pool.values[pool.values > -np.inf]
    assert found == pytest.approx(best, abs=1e-9)
    assert len(choices_of(s.factors, pool.points[: len(found)])) == len(found)
    for point, reached in zip(pool.points[: len(found)], found, strict=True):
        assert value(s.factors, point) == pytest.approx(reached, abs=1e-12)
