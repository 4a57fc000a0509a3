import numpy as np
import pytest
from coded_scores import K, coded_scores
from sklearn.ensemble import RandomForestRegressor

from solvers.contracts import TreeSurrogate
from solvers.surrogates import ExtraTrees, RandomForest
from solvers.trees import maximize
from vqlso.errors import SolverError

FORESTS = [RandomForest, ExtraTrees]


@pytest.fixture(scope="module")
def data():
    return coded_scores()


@pytest.fixture(scope="module", params=FORESTS)
def surrogate(request, data):
    surrogate = request.param(K, trees=30)
    surrogate.fit(*data)
    return surrogate


def held_out(predicted, y):
    return 1 - np.mean((y - predicted) ** 2) / np.var(y)


def test_satisfies_the_contract(surrogate):
    assert isinstance(surrogate, TreeSurrogate)


@pytest.mark.parametrize("forest", FORESTS)
def test_learns_the_interaction_and_reports_r2(data, forest):
    z, y = data
    surrogate = forest(K, trees=30)
    report = surrogate.fit(z[:2000], y[:2000])
    assert held_out(surrogate.predict(z[2000:]), y[2000:]) > 0.9
    assert report.measures["r2"] == pytest.approx(held_out(surrogate.predict(z[:2000]), y[:2000]))
    assert report.rows == 2000


def test_ordered_codes_beat_codes_as_they_are(data):
    """Which is why they are ordered: the scores depend on parity and remainders."""
    z, y = data
    settings = {"min_samples_leaf": 5, "max_depth": 6, "max_features": 1 / 3, "random_state": 0}
    plain = RandomForestRegressor(30, **settings).fit(z[:2000].reshape(2000, -1), y[:2000])
    ordered = RandomForest(K, trees=30)
    ordered.fit(z[:2000], y[:2000])
    unordered_r2 = held_out(plain.predict(z[2000:].reshape(1000, -1)), y[2000:])
    assert held_out(ordered.predict(z[2000:]), y[2000:]) > unordered_r2 + 0.2


@pytest.mark.parametrize("forest", FORESTS)
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e9, 1.0), (-3e4, 1e5), (0.0, 1e-30)])
def test_the_ensemble_predicts_the_same(data, forest, offset, scale):
    z, y = data
    surrogate, ordinary = (forest(K, trees=10) for _ in range(2))
    surrogate.fit(z, offset + scale * y)
    ordinary.fit(z, y)
    ensemble = surrogate.ensemble()
    assert ensemble.categories == (K,) * 6
    everywhere = np.random.default_rng(1).integers(0, K, (2000, 6))
    predicted = surrogate.predict(everywhere)
    np.testing.assert_allclose(ensemble.predict(everywhere), predicted, rtol=1e-12)
    rounding = 1e-6 + 4 * np.spacing(abs(offset)) / scale
    expected = ordinary.predict(everywhere)
    # A split whose gain two cells share may fall to either of them when scores are rounded.
    agree = np.isclose((predicted - offset) / scale, expected, atol=1e3 * rounding)
    assert agree.mean() > 0.95


def test_codes_that_were_never_seen_are_average(data):
    """They go where the mean of all scores goes."""
    z, y = data
    known = ~(z == 7).any(axis=(1, 2))
    surrogate = RandomForest(K, trees=5)
    surrogate.fit(z[known], y[known])
    unseen = np.full((1, 6), 7)
    assert surrogate.ensemble().predict(unseen) == pytest.approx(surrogate.predict(unseen))
    assert y.min() < surrogate.predict(unseen)[0] < y.max()


def test_the_ensemble_follows_a_new_fit(data):
    z, y = data
    surrogate = RandomForest(K, trees=3)
    surrogate.fit(z, y)
    before = surrogate.ensemble()
    assert surrogate.ensemble() is before
    surrogate.fit(z, -y)
    flat = z[:50].reshape(50, -1)
    np.testing.assert_allclose(surrogate.ensemble().predict(flat), surrogate.predict(z[:50]))


@pytest.mark.parametrize("free", [[0, 4, 5], [1, 2], [0, 1, 4]])
def test_the_maximiser_finds_the_best_of_all_codes(data, surrogate, free):
    """Against brute force over all K^t codes of the free cells."""
    z, _ = data
    reference = z[1].ravel()
    maximum = maximize(surrogate.ensemble(), free=free, reference=reference)
    grids = np.repeat(reference[None], K ** len(free), axis=0)
    grids[:, free] = np.stack(np.unravel_index(np.arange(len(grids)), (K,) * len(free)), axis=1)
    assert maximum.value == pytest.approx(surrogate.predict(grids).max(), rel=1e-9)
    assert maximum.value == pytest.approx(surrogate.predict(maximum.z[None])[0], rel=1e-9)
    fixed = np.setdiff1d(np.arange(6), free)
    np.testing.assert_array_equal(maximum.z[fixed], reference[fixed])


def test_the_gain_is_the_error_that_the_splits_take_away(data):
    """Of one tree on all samples: before minus after, which is n times the explained variance."""
    z, y = data
    surrogate = ExtraTrees(K, trees=1)
    report = surrogate.fit(z, y)
    explained = report.measures["r2"] * np.var(y) * len(y)
    assert surrogate.importance("gain").sum() * surrogate._scale**2 == pytest.approx(explained)


def test_importance_finds_the_cells_that_matter(surrogate):
    for measure in ("gain", "split"):
        importance = surrogate.importance(measure)
        assert importance.shape == (6,)
        assert importance.dtype == np.float64
    assert set(np.argsort(-surrogate.importance("gain"))[:3]) == {0, 4, 5}
    assert surrogate.importance("split").sum() == (surrogate.ensemble().feature >= 0).sum()
    with pytest.raises(SolverError, match="gain or split"):
        surrogate.importance("weight")


@pytest.mark.parametrize("forest", FORESTS)
def test_fits_are_repeatable_and_threads_change_nothing(data, forest):
    first, second, other = forest(K, trees=4), forest(K, trees=4, threads=2), forest(K, trees=4)
    other._settings["random_state"] = 1
    for surrogate in (first, second, other):
        surrogate.fit(*data)
    np.testing.assert_allclose(first.predict(data[0]), second.predict(data[0]), rtol=1e-12)
    assert not np.allclose(first.predict(data[0]), other.predict(data[0]))


def test_weights_matter(data):
    """Rows of weight 0 count for nothing: two contradicting halves, one silenced."""
    z, y = data
    both, score = np.concatenate([z, z]), np.concatenate([y, -y])
    weighted = ExtraTrees(K, trees=20)
    report = weighted.fit(both, score, np.repeat([1.0, 0.0], len(z)))
    assert report.measures["r2"] > 0.9
    assert np.corrcoef(weighted.predict(z), y)[0, 1] > 0.9


def test_constant_scores_fit_without_splits(data):
    surrogate = RandomForest(K, trees=3)
    report = surrogate.fit(data[0][:100], np.full(100, 2.5))
    assert report.measures["r2"] == 0.0
    assert surrogate.predict(data[0][:2]) == pytest.approx([2.5, 2.5])
    assert surrogate.ensemble().predict(data[0][:2].reshape(2, -1)) == pytest.approx([2.5, 2.5])


def test_use_before_a_fit_is_refused():
    surrogate = RandomForest(K)
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
