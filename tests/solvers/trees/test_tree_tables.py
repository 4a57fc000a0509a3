"""Our own branch and bound: each part against its plain meaning, and the whole where it is hard."""

from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from oracle import Sides, assert_best, drawn, linear
from random_ensembles import MIXED, mixed_ensemble, neighbourhood, random_ensemble

from solvers.trees import (
    Categorical,
    DistanceTerm,
    Forbidden,
    Integer,
    Limits,
    Linear,
    LinearTerm,
    PairTerm,
    TreeEnsemble,
    UnsupportedError,
    maximize,
)
from solvers.trees.backends import tables
from solvers.trees.backends.tables import TablesBackend
from solvers.trees.bitsets import packed
from solvers.trees.instance import Instance
from solvers.trees.tables.building import build, scopes
from solvers.trees.tables.dual import prune, sweep, upper_bound
from solvers.trees.tables.elimination import eliminate
from solvers.trees.tables.factors import Factors, entry, value
from solvers.trees.tables.labels import all_labels, undominated_labels
from solvers.trees.tables.proof import find_points
from solvers.trees.tables.rows import Rows, activity, holds
from solvers.trees.tables.search import Pool, _remainder, plant, search
from solvers.trees.tables.statement import cells_of, pairs_of, rows_of, standardised, unary_of
from solvers.trees.tables.terms import expand
from vqlso.records import SolveStatus

EXACT = TablesBackend(fallback=False)


class Stated(NamedTuple):
    """An instance as the kernels take it: objective = constant + size * value."""

    instance: Instance
    factors: Factors
    rows: Rows
    constant: float
    size: float


def stated(instance, *, dominate=False) -> Stated:
    width = -(-max(map(len, instance.domains)) // 8) * 8
    cells = cells_of(instance, width)
    raw = expand(instance.ensemble.arrays, cells, unary_of(instance, width))
    assert not raw.is_too_wide
    terms, pairs, size, constant = standardised(raw, pairs_of(instance), cells.n_choices)
    rows, group = rows_of(instance, width)
    labels = (
        undominated_labels(terms, pairs, cells.n_choices, group)
        if dominate
        else all_labels(cells.n_choices, width)
    )
    factors = build(terms, pairs, labels, scopes(terms, pairs, labels), group)
    return Stated(instance, factors, rows, constant + instance.constant, size)


def instance_of(seed, *, depth=3, cells=4, categories=4, trees=25, kinds=(), **more):
    ensemble = random_ensemble(seed, cells=cells, categories=categories, trees=trees, depth=depth)
    sides = drawn(np.random.default_rng(seed), ensemble.features, (), kinds)
    reference = np.zeros(cells, dtype=int)
    more = {"constraints": sides.constraints} | more
    return Instance.checked(ensemble, np.arange(cells), reference, **more)


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
    most = int(factors.n_classes.max(initial=1))
    return factors.unary.copy(), np.zeros((*factors.n_classes.shape, most))


def choices_of(factors, points):
    """The same points by choices, which removing labels does not renumber."""
    cells = np.arange(points.shape[1])
    return {tuple(factors.choice[cells, point].tolist()) for point in points}


def copied(factors):
    return Factors(*(part.copy() if hasattr(part, "copy") else part for part in factors))


many = pytest.mark.parametrize("seed", range(12))


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
    width = -(-max(map(len, instance.domains)) // 8) * 8
    terms = expand(ensemble.arrays, cells_of(instance, width), unary_of(instance, width))
    if terms.is_too_wide:
        assert depth > 3 or len(free) > 3
        return
    t = len(free)
    for _ in range(100):
        choice = np.array([rng.integers(len(d)) for d in instance.domains])
        z = instance.point(np.array([d.values[c] for d, c in zip(instance.domains, choice)]))
        total = terms.constant + sum(terms.unary[cell, c] for cell, c in enumerate(choice))
        for scope, rows, weight in zip(terms.cells, terms.sets, terms.weight):
            kept = [terms.members[r, choice[i]] for i, r in zip(scope, rows) if i < t]
            total += weight * np.prod(kept)
        assert total == pytest.approx(ensemble.predict(z[None])[0], abs=1e-12)


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
    assert_best(EXACT, ensemble, [0, 2], np.array([1, 69, 0]), Sides(), allowed=allowed)


@many
@pytest.mark.parametrize("dominate", [False, True])
def test_tables_equal_the_objective(seed, dominate):
    """Terms, rows and pairs within triples; of merged labels the best is left."""
    rng = np.random.default_rng(seed)
    pairs = [PairTerm(0, 2, rng.normal(size=(4, 4))), PairTerm(3, 1, rng.normal(size=(4, 4)))]
    terms = [LinearTerm({1: rng.normal(size=4)}), *pairs[: seed % 3]]
    s = stated(instance_of(seed, depth=1 + seed % 3, terms=terms), dominate=dominate)
    points, values = everything(s.factors)
    z = np.array([s.factors.choice[range(4), point[:4]] for point in points], dtype=float)
    predictions = s.instance.ensemble.predict(z)
    objectives = [s.instance.objective(*pair) for pair in zip(z, predictions.tolist())]
    assert s.constant + s.size * values == pytest.approx(np.array(objectives), abs=1e-11)
    whole = neighbourhood(s.instance.ensemble, range(4), np.zeros(4)).astype(float)
    best = [s.instance.objective(z, s.instance.ensemble.predict(z[None])[0]) for z in whole]
    assert max(objectives) == pytest.approx(max(best), abs=1e-11)


def test_pairs_within_a_triple_are_part_of_it():
    s = stated(instance_of(4, cells=3, depth=3, trees=40))
    assert s.factors.cells.tolist() == [[0, 1, 2]]
    paired = stated(
        instance_of(4, cells=3, depth=3, trees=40, terms=[PairTerm(0, 1, np.eye(4) * 2)])
    )
    assert paired.factors.cells.tolist() == [[0, 1, 2], [3, 0, 1]], "a table of one's own stays"


@many
def test_sweeps_keep_the_sum_and_only_lower_the_bound(seed):
    s = stated(instance_of(seed, cells=5, trees=60, depth=2 + seed % 2))
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
    s = stated(instance_of(seed, kinds=kinds, trees=6 + seed, categories=5))
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
    s = stated(instance_of(seed, trees=40))
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
        moved[p, 2, : n[2]] += highest + rng.random()
        cell = s.factors.cells[p, 2]
        labels = range(s.factors.n_labels[cell])
        theta[cell, labels] += moved[p, 2, s.factors.classes[p, 2, labels]]
    return theta, moved


@many
@pytest.mark.parametrize("kinds", [(), ("linear", "forbidden")], ids=["free", "rows"])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_search_alone_finds_the_best(seed, kinds, k, chunk):
    """Without any pruning, in pieces: each stop has a valid bound, and none is above the last."""
    s = stated(instance_of(seed, kinds=kinds, depth=2 + seed % 2))
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
    for point, reached in zip(pool.points, found):
        assert value(s.factors, point) == pytest.approx(reached, abs=1e-12)


@many
@pytest.mark.parametrize("k", [1, 5])
def test_a_single_sweep_leaves_the_rest_to_the_search(seed, k, monkeypatch):
    """Through `maximize`; without a first sweep tables would be positive, which is no bound."""
    monkeypatch.setattr(tables, "_MOST_SWEEPS", 1)
    ensemble = random_ensemble(seed, cells=5, trees=60, depth=2 + seed % 2)
    free, reference = range(5), np.zeros(5, dtype=int)
    assert_best(EXACT, ensemble, free, reference, Sides(), k=k)
    rng = np.random.default_rng(seed)
    sides = linear(rng, ensemble.features) + drawn(rng, ensemble.features, ["pair"], ["equal"])
    assert_best(EXACT, ensemble, free, reference, sides, k=k, lowest=seed % 2 == 1)


def test_more_nodes_never_raise_the_bound(monkeypatch):
    monkeypatch.setattr(tables, "_MOST_SWEEPS", 1)
    ensemble = random_ensemble(11, cells=8, trees=150, depth=3)
    free, reference = range(8), np.zeros(8, dtype=int)
    best = ensemble.predict(neighbourhood(ensemble, free, reference)).max()
    last, statuses = np.inf, []
    for nodes in (0, 1, 2, 5, 20, 100, 1000, 10**6):
        found = maximize(
            ensemble, free=free, reference=reference, backend=EXACT, limits=Limits(nodes=nodes)
        )
        assert best - 1e-9 <= found.bound <= last + 1e-9
        assert found.nodes <= nodes
        assert (found.status is SolveStatus.OPTIMAL) == (found.gap < 1e-9)
        last = found.bound
        statuses.append(found.status)
    assert {statuses[0], statuses[-1]} == {SolveStatus.FEASIBLE, SolveStatus.OPTIMAL}
    assert found.value == pytest.approx(best, abs=1e-9)


@many
@pytest.mark.parametrize("name", ["tables", "auto"])
def test_cells_of_one_code_and_allowed_values(seed, name):
    features = (Categorical(4), Categorical(1), Integer(2, 2), Categorical(3), Integer(-2, 3))
    ensemble = mixed_ensemble(seed, features=features, trees=12, depth=1 + seed % 3)
    reference = np.array([1, 0, 2, 2, -1])
    for allowed in (None, {0: [2], 3: [0, 2]}, {0: [3], 4: [-2], 3: [1]}):
        for k in (1, 4):
            assert_best(name, ensemble, range(5), reference, Sides(), allowed=allowed, k=k)
    found = maximize(ensemble, free=[1, 2], reference=reference, backend=name, k=3)
    assert [s.z.tolist() for s in found.solutions] == [reference.tolist()]


def test_where_nothing_matters_the_reference_stays_and_all_points_count():
    ensemble = random_ensemble(3, trees=12)
    level = replace(ensemble, value=np.where(ensemble.feature < 0, 0.25, 0.0))
    found = maximize(level, free=range(4), reference=[3, 2, 1, 0], backend=EXACT)
    assert found.z.tolist() == [3, 2, 1, 0]
    assert_best(EXACT, level, range(4), np.array([3, 2, 1, 0]), Sides(), k=300)
    in_steps = replace(ensemble, value=np.round(ensemble.value))
    assert_best(EXACT, in_steps, range(4), np.array([3, 2, 1, 0]), Sides(), k=60)


@pytest.mark.parametrize("name", ["tables", "auto"])
@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e-6, 1e6, 1e12, 1e100])
def test_the_unit_of_the_scores_does_not_matter(name, size):
    for seed in range(10):
        ensemble = random_ensemble(seed, cells=5, trees=40, depth=2 + seed % 2)
        scaled = replace(ensemble, value=size * ensemble.value, base=size * ensemble.base)
        reference = np.zeros(5, dtype=int)
        whole = neighbourhood(ensemble, range(5), reference)
        best = np.sort(ensemble.predict(whole))[::-1][:4]
        found = maximize(scaled, free=range(5), reference=reference, backend=name, k=4)
        values = np.array([solution.value for solution in found.solutions]) / size
        assert values == pytest.approx(best, rel=1e-9)
        assert found.bound / size == pytest.approx(best[0], rel=1e-9)


@pytest.mark.parametrize("offset", [1e6, -1e9, 1e12])
@pytest.mark.parametrize("where", ["first tree", "all trees", "base", "terms"])
def test_an_offset_of_all_scores_does_not_hide_their_differences(where, offset):
    """LightGBM adds the mean to the leaves of its first tree, forests have it in all."""
    for seed in range(8):
        plain = random_ensemble(seed, cells=5, trees=20, depth=2 + seed % 2)
        terms, value, base = [], plain.value.copy(), plain.base
        nodes = {"first tree": plain.roots[1], "all trees": len(value)}.get(where, 0)
        leaves = (plain.feature < 0) & (np.arange(len(value)) < nodes)
        value[leaves] += offset
        if where == "base":
            base += offset
        if where == "terms":
            terms = [LinearTerm({2: np.full(4, offset)})]
        moved = replace(plain, value=value, base=base)
        found = maximize(moved, free=range(5), reference=[0] * 5, backend=EXACT, terms=terms)
        # float64 keeps no more of the offset leaves themselves.
        precision = 1e-15 * abs(offset) * 20 + 1e-12
        best = plain.predict(neighbourhood(plain, range(5), np.zeros(5, dtype=int))).max()
        assert plain.predict(found.z[None])[0] >= best - precision


@pytest.mark.parametrize("k", [1, 6])
def test_500_exclusions(k):
    ensemble = random_ensemble(8, cells=4, categories=6, trees=40)
    whole = neighbourhood(ensemble, range(4), np.zeros(4, dtype=int))
    order = np.argsort(-ensemble.predict(whole), kind="stable")
    gone = [Forbidden(dict(enumerate(z.tolist()))) for z in whole[order[:500]]]
    found = maximize(
        ensemble, free=range(4), reference=[0] * 4, backend=EXACT, k=k, constraints=gone
    )
    best = ensemble.predict(whole[order[500 : 500 + k]])
    assert [s.value for s in found.solutions] == pytest.approx(best.tolist(), abs=1e-9)
    assert not {tuple(s.z) for s in found.solutions} & {tuple(z) for z in whole[order[:500]]}


def wide_ensemble() -> TreeEnsemble:
    """One tree, of which one leaf depends on four cells."""
    chain = np.arange(4)
    leaf = np.arange(9) >= 4
    return TreeEnsemble(
        feature=np.concatenate([chain, np.full(5, -1)]),
        threshold=np.zeros(9),
        subset=np.where(leaf, -1, 0),
        subsets=packed(np.array([[True, False]])),
        unknown_left=np.zeros(9),
        left=np.array([1, 2, 3, 4, 4, 5, 6, 7, 8]),
        right=np.array([5, 6, 7, 8, 4, 5, 6, 7, 8]),
        missing_left=np.zeros(9),
        zero_is_missing=np.zeros(9),
        value=np.array([0, 0, 0, 0, 5.0, 1, 2, 3, 4]),
        roots=np.array([0]),
        base=0.0,
        n_features=4,
        features=(Categorical(2),) * 4,
    )


def test_leaves_of_four_cells_are_handed_over_or_refused():
    ensemble = wide_ensemble()
    arguments = {"free": range(4), "reference": [1, 1, 1, 1]}
    found = maximize(ensemble, backend="tables", **arguments)
    assert (found.value, found.backend) == (5.0, "highs")
    assert "more than 3 free cells" in found.note
    assert maximize(ensemble, backend="auto", **arguments).backend == "highs"
    with pytest.raises(UnsupportedError, match="more than 3 free cells"):
        maximize(ensemble, backend=EXACT, **arguments)
    three = maximize(ensemble, backend=EXACT, free=[0, 2, 3], reference=[1, 0, 1, 1])
    assert (three.value, three.note) == (5.0, "")


def test_distances_and_numbers_are_refused_by_name():
    data = np.array([[0, 0, 0, 0], [1, 0, 1, 1]])
    arguments = {"free": range(4), "reference": [1, 1, 1, 1], "backend": EXACT}
    with pytest.raises(UnsupportedError, match="distances to several points"):
        maximize(random_ensemble(1), terms=[DistanceTerm(data, 1.0)], **arguments)
    with pytest.raises(UnsupportedError, match="continuous numbers"):
        maximize(
            mixed_ensemble(1),
            free=[1, 2],
            reference=[0, 0, 0.5, 0, 0.5],
            backend=EXACT,
            constraints=[Linear({1: 1.0, 2: 1.0}, upper=1.0)],
        )


def test_tables_beyond_the_memory_limit_are_not_built():
    ensemble = random_ensemble(1, cells=3, categories=64, trees=60, depth=3)
    arguments = {"free": range(3), "reference": [0] * 3}
    with pytest.raises(UnsupportedError, match=r"MB, above the limit of 0\.1"):
        maximize(ensemble, backend=EXACT, limits=Limits(megabytes=0.1), **arguments)
    found = maximize(ensemble, backend=EXACT, limits=Limits(megabytes=100), **arguments)
    best = ensemble.predict(neighbourhood(ensemble, range(3), np.zeros(3, dtype=int))).max()
    assert found.value == pytest.approx(best, abs=1e-9)


def frustrated(seed, t, trees):
    """Interactions only: every tree's leaves cancel out over each of its two cells."""
    ensemble = random_ensemble(seed, cells=t, categories=4, trees=0 or trees)
    rng = np.random.default_rng(seed)
    pairs = np.array([rng.permutation(t)[:2] for _ in range(trees)])
    node = 7 * np.arange(trees)[:, None]
    weight = rng.normal(size=(trees, 1))
    inner = np.array([1, 1, 1, 0, 0, 0, 0], dtype=bool)
    size = 7 * trees
    feature = np.where(inner, pairs[:, [0, 1, 1, 0, 0, 0, 0]], -1)
    itself = np.arange(7)
    return TreeEnsemble(
        feature=feature.ravel(),
        threshold=np.zeros(size),
        subset=np.where(inner, 2 * np.arange(trees)[:, None] + [0, 1, 1, 0, 0, 0, 0], -1).ravel(),
        subsets=packed(rng.permuted(np.tile([True, True, False, False], (2 * trees, 1)), axis=1)),
        unknown_left=np.zeros(size),
        left=(node + np.where(inner, [1, 3, 5, 0, 0, 0, 0], itself)).ravel(),
        right=(node + np.where(inner, [2, 4, 6, 0, 0, 0, 0], itself)).ravel(),
        missing_left=np.zeros(size),
        zero_is_missing=np.zeros(size),
        value=(weight * [0, 0, 0, 1, -1, -1, 1]).ravel(),
        roots=node.ravel(),
        base=0.0,
        n_features=t,
        features=ensemble.features,
    )


@pytest.mark.parametrize(("t", "trees"), [(10, 60), (12, 40), (14, 40)])
@pytest.mark.parametrize("seed", range(3))
def test_frustrated_ensembles_equal_highs(seed, t, trees):
    ensemble = frustrated(seed, t, trees)
    arguments = {"free": range(t), "reference": np.zeros(t, dtype=int)}
    found = maximize(ensemble, backend=EXACT, **arguments)
    assert found.status is SolveStatus.OPTIMAL
    assert found.value == pytest.approx(maximize(ensemble, backend="highs", **arguments).value)
    if t == 10:
        best = ensemble.predict(neighbourhood(ensemble, **arguments)).max()
        assert found.value == pytest.approx(best, abs=1e-9)
