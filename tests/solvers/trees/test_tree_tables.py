"""Our own branch and bound where it is hard; its parts are in test_tree_tables_parts.py."""

from dataclasses import replace

import numpy as np
import pytest
from oracle import Sides, assert_best, drawn, linear
from random_ensembles import mixed_ensemble, neighbourhood, random_ensemble

from solvers.trees import (
    Categorical,
    DistanceTerm,
    Forbidden,
    Integer,
    Limits,
    Linear,
    LinearTerm,
    TreeEnsemble,
    UnsupportedError,
    maximize,
)
from solvers.trees.backends import tables
from solvers.trees.backends.tables import TablesBackend
from solvers.trees.bitsets import packed
from vqlso.records import SolveStatus

EXACT = TablesBackend(fallback=False)
many = pytest.mark.parametrize("seed", range(12))


@many
@pytest.mark.parametrize("k", [1, 5])
def test_a_single_sweep_leaves_the_rest_to_the_search(seed, k, monkeypatch):
    """Through `maximize`; without a first sweep tables would be positive, which is no bound."""
    monkeypatch.setattr(tables, "MOST_SWEEPS", 1)
    ensemble = random_ensemble(seed, cells=5, trees=60, depth=2 + seed % 2)
    free, reference = range(5), np.zeros(5, dtype=int)
    assert_best(EXACT, ensemble, free, reference, Sides(), k=k)
    rng = np.random.default_rng(seed)
    sides = linear(rng, ensemble.features) + drawn(rng, ensemble.features, ["pair"], ["equal"])
    assert_best(EXACT, ensemble, free, reference, sides, k=k, lowest=seed % 2 == 1)


def test_more_nodes_never_raise_the_bound(monkeypatch):
    monkeypatch.setattr(tables, "MOST_SWEEPS", 1)
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
    features = (Categorical(4), Categorical(1), Integer(2, 2), Categorical(3), Categorical(5))
    ensemble = mixed_ensemble(seed, features=features, trees=12, depth=1 + seed % 3)
    reference = np.array([1, 0, 2, 2, 4])
    for allowed in (None, {0: [2], 3: [0, 2]}, {0: [3], 4: [0], 3: [1]}):
        for k in (1, 4):
            assert_best(name, ensemble, range(5), reference, Sides(), allowed=allowed, k=k)
    found = maximize(ensemble, free=[1, 2], reference=reference, backend=name, k=3)
    assert [s.z.tolist() for s in found.solutions] == [reference.tolist()]


@many
def test_where_many_points_are_equally_good_all_of_them_count(seed):
    ensemble = random_ensemble(seed, trees=12)
    is_leaf = ensemble.feature < 0
    level = replace(ensemble, value=np.where(is_leaf, 0.25, 0.0))
    in_steps = replace(ensemble, value=np.round(ensemble.value))
    reference = np.array([3, 2, 1, 0])
    assert_best(EXACT, level, range(4), reference, Sides())
    assert_best(EXACT, level, range(4), reference, Sides(), k=300)
    assert_best(EXACT, in_steps, range(4), reference, Sides(), k=60)


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
        for backend in (EXACT, "highs")[: 1 if terms else 2]:  # HiGHS keeps the offset of terms
            found = maximize(moved, free=range(5), reference=[0] * 5, backend=backend, terms=terms)
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
    assert "more than 3 free features" in found.note
    assert maximize(ensemble, backend="auto", **arguments).backend == "highs"
    with pytest.raises(UnsupportedError, match="more than 3 free features"):
        maximize(ensemble, backend=EXACT, **arguments)
    three = maximize(ensemble, backend=EXACT, free=[0, 2, 3], reference=[1, 0, 1, 1])
    assert (three.value, three.note) == (5.0, "")


def test_cells_that_are_left_one_value_do_not_count():
    """Trees of depth 5 over six cells, of which three may change, however they are stated."""
    for seed in range(10):
        ensemble = random_ensemble(seed, cells=6, trees=20, depth=5)
        reference = np.full(6, 2)
        allowed = {cell: [1] for cell in (0, 3, 5)}
        found = assert_best(EXACT, ensemble, range(6), reference, Sides(), allowed=allowed)
        reference[[0, 3, 5]] = 1
        few = maximize(ensemble, free=[1, 2, 4], reference=reference, backend=EXACT)
        assert found.value == pytest.approx(few.value)


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
        features=(Categorical(4),) * t,
    )


@pytest.mark.parametrize(("t", "trees"), [(10, 45), (12, 40), (14, 40)])
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


def test_the_search_counts_its_own_memory():
    """The tables of this ensemble fit into the limit, but not what the search keeps a depth."""
    ensemble = random_ensemble(0, cells=24, categories=40, trees=400)
    arguments = {"free": range(24), "reference": [0] * 24, "backend": EXACT}
    proven = maximize(ensemble, **arguments)
    assert proven.status is SolveStatus.OPTIMAL
    stopped = maximize(ensemble, limits=Limits(megabytes=0.1), **arguments)
    assert (stopped.status, stopped.nodes) == (SolveStatus.FEASIBLE, 0)
    assert stopped.value < proven.value < stopped.bound < np.inf
