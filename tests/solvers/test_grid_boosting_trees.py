"""The trees of `GridBoosting` are LightGBM's: same cells, same sets, the same leaves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.surrogates import GridBoosting, LightGBM
from solvers.trees import TreeEnsemble
from solvers.trees.bitsets import unpacked


def nested(ensemble: TreeEnsemble) -> list[Any]:
    """Every tree as (cell, set, left, right), leaves as numbers."""
    members = unpacked(ensemble.subsets, ensemble.categories[0])

    def below(node: int) -> Any:
        if ensemble.feature[node] < 0:
            return float(ensemble.value[node])
        left_set = frozenset(np.flatnonzero(members[ensemble.subset[node]]).tolist())
        children = below(ensemble.left[node]), below(ensemble.right[node])
        return int(ensemble.feature[node]), left_set, *children

    return [below(root) for root in ensemble.roots]


def shape(tree: Any) -> Any:
    return None if isinstance(tree, float) else (*tree[:2], shape(tree[2]), shape(tree[3]))


def leaves(tree: Any) -> list[float]:
    return [tree] if isinstance(tree, float) else leaves(tree[2]) + leaves(tree[3])


def code_grids(n: int, cells: int, K: int, seed: int = 0):
    """Codes that go together and are unevenly frequent, as those of images, and a noisy score."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 4))
    mixed = hidden @ rng.normal(size=(4, cells)) + rng.normal(size=(n, cells))
    z = rng.permutation(K)[np.clip((mixed * K / 8 + K / 2).astype(int), 0, K - 1)]
    effect = rng.normal(size=(3, K))
    y = effect[0, z[:, 0]] + effect[1, z[:, 1]] * effect[2, z[:, 2]] + rng.normal(size=n)
    return z, y


def both(z, y, weight=None, *, threads=1, **settings_):
    ours, theirs = GridBoosting(threads=threads, **settings_), LightGBM(**settings_)
    ours.fit(z, y, weight)
    theirs.fit(z, y, weight)
    return ours, theirs


def check_same(ours, theirs):
    mine, peer = nested(ours.ensemble()), nested(theirs.ensemble())
    assert [shape(tree) for tree in mine] == [shape(tree) for tree in peer]
    for one, other in zip(mine, peer, strict=True):
        np.testing.assert_allclose(leaves(one), leaves(other), rtol=2e-5, atol=1e-7)


def check_mirrored(ours, theirs, z):
    """As `check_same`, but left and right may be exchanged.

    Where a node has no rare codes a set and its complement gain the same, and which of them
    LightGBM takes is a matter of rounding. Either way the rows are divided alike.
    """
    mine, peer = ours.ensemble(), theirs.ensemble()
    assert mine.n_trees == peer.n_trees
    for one, other in zip(mine.roots, peer.roots, strict=True):
        first, second = (replace(e, roots=r[None]) for e, r in ((mine, one), (peer, other)))
        np.testing.assert_allclose(first.raw(z), second.raw(z), atol=1e-6)


@pytest.mark.parametrize(
    ("K", "n"),
    [
        (16, 150),
        (16, 5000),
        (256, 30),
        (256, 5000),
        (512, 3000),
        (1024, 5000),
    ],
)
def test_trees_are_lightgbms(K, n):
    z, y = code_grids(n, 12, K)
    check_same(*both(z, y, trees=100, learning_rate=0.1))


@pytest.mark.parametrize("K", [2, 3, 4, 5])
def test_trees_of_few_codes_are_lightgbms(K):
    """Up to three codes are split off one at a time, without regularisation."""
    z, y = code_grids(2000, 12, K)
    check_mirrored(*both(z, y, trees=40), z)


@pytest.mark.parametrize("draw", ["gamma", "whole", "large"])
@pytest.mark.parametrize("K", [5, 64, 300])
def test_weighted_trees_are_lightgbms(K, draw):
    """LightGBM estimates the rows of a code from its weight."""
    z, y = code_grids(2500, 8, K)
    rng = np.random.default_rng(1)
    weight = {
        "gamma": rng.gamma(0.5, size=len(y)),
        "whole": rng.integers(0, 3, len(y)),
        "large": 1e4 * rng.random(len(y)),
    }[draw].astype(float)
    check_mirrored(*both(z, y, weight, trees=50, learning_rate=0.1), z)


@pytest.mark.parametrize(
    "changed", [{"min_samples_leaf": 1}, {"min_samples_leaf": 400}, {"learning_rate": 1.0}]
)
def test_settings_mean_the_same(changed):
    z, y = code_grids(3000, 10, 40)
    check_same(*both(z, y, **{"trees": 25, **changed}))


def test_boosting_ends_when_nothing_is_left():
    """One code decides the score and the rate is 1: the first tree explains all.

    LightGBM goes on to fit the rounding of its float32 gradients, some 1e-8.
    """
    z = np.random.default_rng(0).integers(0, 2, (500, 3))
    ours, theirs = both(z, 2.0 * z[:, 1], trees=10, learning_rate=1.0)
    assert ours.ensemble().n_trees == 1
    np.testing.assert_allclose(ours.predict(z), theirs.predict(z), atol=1e-7)
    np.testing.assert_allclose(ours.predict(z), 2.0 * z[:, 1], atol=1e-11)


def test_what_cannot_be_split_is_one_leaf():
    for z in (np.zeros((60, 3), dtype=int), np.arange(180).reshape(60, 3)):
        y = np.arange(60.0)
        ours, theirs = both(z, y, trees=4)
        assert ours.ensemble().n_trees == theirs.ensemble().n_trees == 1
        assert ours.predict(z)[0] == theirs.predict(z)[0] == y.mean()


def test_equal_columns_are_split_by_the_first():
    z, y = code_grids(2000, 4, 30)
    ours, theirs = both(np.concatenate([z, z], axis=1), y, trees=30)
    assert ours.importance("split")[4:].sum() == 0
    check_same(ours, theirs)


@pytest.mark.parametrize("threads", [2, 3, 50])
@pytest.mark.parametrize("weighted", [False, True])
def test_threads_change_no_bit(threads, weighted):
    z, y = code_grids(1500, 7, 30)
    weight = np.linspace(0.1, 2.0, len(y)) if weighted else None
    alone, together = (GridBoosting(trees=30, threads=t) for t in (1, threads))
    alone.fit(z, y, weight)
    together.fit(z, y, weight)
    for name in ("feature", "value", "subsets"):
        ours, other = (getattr(s.ensemble(), name) for s in (alone, together))
        np.testing.assert_array_equal(ours, other)


def test_the_order_of_rows_changes_no_split():
    """Sums are exact, in whatever order they are taken."""
    z, y = code_grids(2500, 9, 50)
    order = np.random.default_rng(2).permutation(len(y))
    one, other = GridBoosting(trees=60), GridBoosting(trees=60)
    one.fit(z, y)
    other.fit(z[order], y[order])
    assert (one.ensemble().feature == other.ensemble().feature).all()
    assert (one.ensemble().subsets == other.ensemble().subsets).all()


def node_gains(structure: dict[str, Any]) -> Any:
    """LightGBM's gains of a tree, nested as its splits are."""
    if "split_gain" not in structure:
        return None
    below = [node_gains(structure[f"{side}_child"]) for side in ("left", "right")]
    return structure["split_gain"], *below


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_where_trees_differ_neither_gains_more(seed):
    """Small and odd data: few rows and codes, ties, scores of two values, any weights."""
    rng = np.random.default_rng(seed)
    n, cells = int(np.exp(rng.uniform(3.4, 7.5))), int(rng.integers(1, 8))
    K = int(rng.choice([2, 3, 4, 5, 8, 20, 300]))
    z = np.minimum(rng.gamma(0.7, K / 4, (n, cells)).astype(int), K - 1)
    y = rng.normal(size=K)[z[:, 0]] + rng.normal(size=(K, K))[z[:, 0], z[:, -1]]
    y = [y, np.round(y), (y > 0).astype(float), y + rng.normal(size=n)][rng.integers(4)]
    weight = None if rng.random() < 0.6 else rng.gamma(1.0, size=n)
    least, rate = int(rng.choice([1, 5, 20])), float(rng.choice([0.03, 0.3]))
    ours, theirs = both(z, y, weight, trees=12, min_samples_leaf=least, learning_rate=rate)
    mine, peer = nested(ours.ensemble()), nested(theirs.ensemble())
    differing = [
        tree
        for tree, (one, other) in enumerate(zip(mine, peer, strict=False))
        if shape(one) != shape(other)
    ]
    if not differing and len(mine) == len(peer):
        return
    # What comes after a difference has other residuals to fit.
    tree = min(differing, default=min(len(mine), len(peer)) - 1)
    forest = ours._forest
    assert forest is not None
    model = theirs._booster.dump_model()["tree_info"]
    gains = node_gains(model[tree]["tree_structure"]) or (0.0, None, None)
    # LightGBM dumps six digits.
    enough = 2e-5 * forest.gain[0, 0]
    assert abs(forest.gain[tree, 0] - gains[0]) <= enough
    if shape(mine[tree])[:2] == shape(peer[tree])[:2]:
        for side in (1, 2):
            gain = gains[side][0] if gains[side] else 0.0
            assert abs(forest.gain[tree, side] - gain) <= enough
