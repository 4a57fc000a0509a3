from dataclasses import replace

import numpy as np
import pytest
from coded_scores import K, coded_scores

from solvers.contracts import TreeSurrogate
from solvers.surrogates import LightGBM, XGBoost
from solvers.trees import maximize
from vqlso.errors import MissingExtraError, SolverError

pytest.importorskip("xgboost")


@pytest.fixture(scope="module")
def data():
    return coded_scores()


@pytest.fixture(scope="module")
def surrogate(data):
    surrogate = XGBoost(K, trees=150, learning_rate=0.1)
    surrogate.fit(*data)
    return surrogate


def test_satisfies_the_contract(surrogate):
    assert isinstance(surrogate, TreeSurrogate)


def test_learns_the_interaction_and_reports_r2(data):
    z, y = data
    surrogate = XGBoost(K, trees=150, learning_rate=0.1)
    report = surrogate.fit(z[:2000], y[:2000])
    held_out = 1 - np.var(y[2000:] - surrogate.predict(z[2000:])) / np.var(y[2000:])
    assert held_out > 0.9
    residual = y[:2000] - surrogate.predict(z[:2000])
    expected = 1 - (residual**2).mean() / np.var(y[:2000])
    assert report.measures["r2"] == pytest.approx(expected)
    assert report.rows == 2000


def test_predictions_are_those_of_xgboost(data, surrogate):
    """But for the float32 that it adds its leaves in."""
    z, _ = data
    own = surrogate._booster.predict(surrogate._matrix(z.reshape(len(z), -1)))
    np.testing.assert_allclose(surrogate.predict(z), own, rtol=0, atol=1e-5)


def test_the_ensemble_predicts_the_same_to_the_last_bit(surrogate):
    everywhere = np.random.default_rng(1).integers(0, K, (2000, 6))
    ensemble = surrogate.ensemble()
    assert ensemble.categories == (K,) * 6
    assert (ensemble.predict(everywhere) == surrogate.predict(everywhere)).all()


def test_the_ensemble_follows_a_new_fit(data):
    z, y = data
    surrogate = XGBoost(K, trees=20)
    surrogate.fit(z, y)
    surrogate.fit(z, -y)
    flat = z[:50].reshape(50, -1)
    assert (surrogate.ensemble().predict(flat) == surrogate.predict(z[:50])).all()


def test_trees_have_the_shape_that_was_asked_for(data, surrogate):
    z, _ = data
    trees = surrogate.ensemble()
    rows = z.reshape(len(z), -1)
    for tree, root in enumerate(trees.roots):
        leaves = replace(trees, roots=root[None], base=0.0).raw(rows)
        _, counts = np.unique(leaves, return_counts=True)
        assert len(counts) <= 4, f"tree {tree}: depth 2 allows 4 leaves"
        assert counts.min() >= 20
    assert (trees.subset[trees.feature >= 0] >= 0).all(), "every split is categorical"


def test_leaves_are_limited(data):
    z, y = data
    surrogate = XGBoost(K, trees=5, depth=6, leaves=3)
    surrogate.fit(z, y)
    trees = surrogate.ensemble()
    assert (trees.feature < 0).sum() == 5 * 3


def test_importance_finds_the_cells_that_matter(surrogate):
    for measure in ("gain", "split"):
        importance = surrogate.importance(measure)
        assert importance.shape == (6,)
        assert importance.dtype == np.float64
        assert set(np.argsort(-importance)[:3]) == {0, 4, 5}
    splits = surrogate.ensemble().feature
    counts = np.bincount(splits[splits >= 0], minlength=6)
    np.testing.assert_array_equal(surrogate.importance("split"), counts)
    with pytest.raises(SolverError, match="gain or split"):
        surrogate.importance("weight")


@pytest.mark.parametrize("free", [[0, 4, 5], [1, 2], [0, 1, 4]])
def test_the_maximiser_finds_the_best_of_all_codes(data, surrogate, free):
    """Against brute force over all K^t codes of the free cells."""
    reference = data[0][1].ravel()
    maximum = maximize(surrogate.ensemble(), free=free, reference=reference)
    grids = np.repeat(reference[None], K ** len(free), axis=0)
    grids[:, free] = np.stack(np.unravel_index(np.arange(len(grids)), (K,) * len(free)), axis=1)
    assert maximum.value == pytest.approx(surrogate.predict(grids).max(), rel=1e-12)
    assert maximum.value == surrogate.predict(maximum.z[None])[0]


def test_fits_are_repeatable(data, surrogate):
    again = XGBoost(K, trees=150, learning_rate=0.1)
    again.fit(*data)
    assert (again.predict(data[0]) == surrogate.predict(data[0])).all()


def test_weights_matter_by_their_ratios_only(data):
    """Two contradicting halves, one silenced; and leaves of 20 samples whatever the scale."""
    z, y = data
    both, score = np.concatenate([z, z]), np.concatenate([y, -y])
    weighted, smaller = (XGBoost(K, trees=100, learning_rate=0.1) for _ in range(2))
    report = weighted.fit(both, score, np.repeat([1.0, 0.0], len(z)))
    assert report.measures["r2"] > 0.9
    assert np.corrcoef(weighted.predict(z), y)[0, 1] > 0.9
    smaller.fit(both, score, np.repeat([2.0**-20, 0.0], len(z)))
    assert (smaller.predict(z) == weighted.predict(z)).all()


def test_constant_scores_fit_without_splits(data):
    surrogate = XGBoost(K, trees=5)
    report = surrogate.fit(data[0][:100], np.full(100, 2.5))
    assert report.measures["r2"] == 0.0
    assert surrogate.predict(data[0][:2]) == pytest.approx([2.5, 2.5])
    assert surrogate.ensemble().predict(data[0][:2].reshape(2, -1)) == pytest.approx([2.5, 2.5])


def test_one_tree_predicts(data):
    """XGBoost then answers with a vector in place of a matrix."""
    surrogate = XGBoost(K, trees=1)
    surrogate.fit(*data)
    flat = data[0][:50].reshape(50, -1)
    assert (surrogate.ensemble().predict(flat) == surrogate.predict(flat)).all()
    assert surrogate.predict(flat[:1]).shape == (1,)


@pytest.mark.parametrize(("offset", "scale"), [(1e9, 1.0), (0.0, 1e-6), (-3e4, 1e5), (0.0, 1e-30)])
def test_scores_of_any_scale_are_learnt_alike(data, offset, scale):
    """XGBoost's labels are float32, and some of its bounds are absolute."""
    z, y = data
    ordinary, other = (XGBoost(K, trees=60, learning_rate=0.1) for _ in range(2))
    expected = ordinary.fit(z, y).measures["r2"]
    assert other.fit(z, offset + scale * y).measures["r2"] == pytest.approx(expected, abs=1e-3)
    predicted = other.predict(z)
    assert (other.ensemble().predict(z.reshape(len(z), -1)) == predicted).all()


def test_it_grows_trees_as_good_as_lightgbms(data):
    z, y = data
    errors = {}
    for kind in (XGBoost, LightGBM):
        surrogate = kind(K, trees=100, learning_rate=0.1)
        surrogate.fit(z[:2000], y[:2000])
        errors[kind] = np.mean((surrogate.predict(z[2000:]) - y[2000:]) ** 2)
    assert errors[XGBoost] < 1.5 * errors[LightGBM]


def test_use_before_a_fit_is_refused():
    surrogate = XGBoost(K)
    for use in (
        lambda: surrogate.predict(np.zeros((1, 6), dtype=int)),
        surrogate.ensemble,
        lambda: surrogate.importance("gain"),
    ):
        with pytest.raises(SolverError, match="has not been fitted"):
            use()


def test_other_grids_are_refused(surrogate):
    with pytest.raises(SolverError, match="6 cells"):
        surrogate.predict(np.zeros((1, 4), dtype=int))


def test_the_missing_package_is_named(monkeypatch):
    def absent(module):
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr("solvers.extras.import_module", absent)
    with pytest.raises(MissingExtraError, match=r"'xgboost' is not installed.*\.\[xgboost\]"):
        XGBoost(K)
