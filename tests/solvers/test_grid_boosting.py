"""`GridBoosting` as a part: what it refuses, hands out and saves; its trees are tested apart."""

import lightgbm
import numpy as np
import pytest
from coded_scores import K, coded_scores

from solvers.contracts import SavedSurrogate, TreeSurrogate
from solvers.surrogates import GridBoosting, LightGBM
from solvers.trees import TreeEnsemble, maximize
from vqlso.errors import SolverError


@pytest.fixture(scope="module")
def data():
    return coded_scores()


@pytest.fixture(scope="module")
def surrogate(data):
    surrogate = GridBoosting(K, trees=150, learning_rate=0.1)
    surrogate.fit(*data)
    return surrogate


def test_satisfies_the_contracts(surrogate):
    assert isinstance(surrogate, TreeSurrogate)
    assert isinstance(surrogate, SavedSurrogate)


@pytest.mark.parametrize("weighted", [False, True])
def test_reports_the_r2_of_its_predictions(data, weighted):
    z, y = data
    weight = np.random.default_rng(1).gamma(1.0, size=len(y)) if weighted else None
    surrogate = GridBoosting(trees=40, learning_rate=0.1)
    report = surrogate.fit(z, y, weight)
    squares = np.average((y - surrogate.predict(z)) ** 2, weights=weight)
    variance = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    assert report.measures["r2"] == pytest.approx(1 - squares / variance, abs=1e-6)
    assert report.rows == len(y)


def test_the_ensemble_predicts_the_same_bits(data, surrogate):
    z, _ = data
    ensemble = surrogate.ensemble()
    assert surrogate.ensemble() is ensemble
    assert ensemble.categories == (K,) * 6
    assert (ensemble.predict(z.reshape(len(z), -1)) == surrogate.predict(z)).all()


def test_the_ensemble_follows_a_new_fit(data):
    z, y = data
    surrogate = GridBoosting(K, trees=20)
    surrogate.fit(z, y)
    before = surrogate.ensemble()
    surrogate.fit(z, -y)
    flat = z[:50].reshape(50, -1)
    assert surrogate.ensemble() is not before
    assert (surrogate.ensemble().predict(flat) == surrogate.predict(z[:50])).all()


def test_importance_is_lightgbms(data, surrogate):
    peer = LightGBM(K, trees=150, learning_rate=0.1)
    peer.fit(*data)
    for measure in ("gain", "split"):
        importance = surrogate.importance(measure)
        assert importance.shape == (6,)
        assert importance.dtype == np.float64
        np.testing.assert_allclose(importance, peer.importance(measure), rtol=1e-4)
    with pytest.raises(SolverError, match="gain or split"):
        surrogate.importance("weight")


def test_the_maximiser_finds_the_known_optimum(data, surrogate):
    z, _ = data
    maximum = maximize(surrogate.ensemble(), free=[0, 4, 5], reference=z[0].ravel())
    assert maximum.z[0] % 3 == 0
    assert maximum.z[4] % 2 == 1
    assert maximum.z[5] < 4
    assert surrogate.predict(maximum.z.reshape(1, 2, 3))[0] == maximum.value


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e9, 1.0), (-3e4, 1e5), (0.0, 1e-30)])
def test_lightgbm_reads_what_is_saved(data, tmp_path, offset, scale):
    z, y = data
    surrogate = GridBoosting(trees=60, learning_rate=0.1)
    assert surrogate.fit(z, offset + scale * y).measures["r2"] > 0.9
    path = tmp_path / "trees.txt"
    surrogate.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["trees.txt"]
    flat = z.reshape(len(z), -1)
    text = lightgbm.Booster(model_file=path)
    assert text.num_trees() == 60
    np.testing.assert_allclose(text.predict(flat), surrogate.predict(z), rtol=1e-12)
    np.testing.assert_array_equal(text.feature_importance("gain"), surrogate.importance("gain"))
    ensemble = TreeEnsemble.from_lightgbm(path.read_text())
    assert ensemble.categories == (K,) * 6
    assert (ensemble.predict(flat) == text.predict(flat)).all()
    for name in ("feature", "left", "right", "roots"):
        np.testing.assert_array_equal(getattr(ensemble, name), getattr(surrogate.ensemble(), name))


def test_constant_scores_fit_without_splits(data, tmp_path):
    surrogate = GridBoosting(K, trees=5)
    report = surrogate.fit(data[0][:100], np.full(100, 2.5))
    assert report.measures["r2"] == 0.0
    assert surrogate.predict(data[0][:2]).tolist() == [2.5, 2.5]
    assert surrogate.ensemble().predict(data[0][:2].reshape(2, -1)).tolist() == [2.5, 2.5]
    assert surrogate.importance("gain").tolist() == [0.0] * 6
    surrogate.save(tmp_path / "trees.txt")
    text = lightgbm.Booster(model_file=tmp_path / "trees.txt")
    assert text.predict(data[0][:2].reshape(2, -1)).tolist() == [2.5, 2.5]


def test_k_is_known_from_the_codes_where_it_is_not_given(data):
    z, y = data
    for surrogate in (GridBoosting(trees=3), LightGBM(trees=3)):
        surrogate.fit(z, y)
        assert surrogate.ensemble().categories == (K,) * 6
        with pytest.raises(SolverError, match=r"0\.\.11"):
            surrogate.predict(np.full((1, 6), K))
        surrogate.fit(np.minimum(z, 7), y)
        assert surrogate.ensemble().categories == (8,) * 6


def test_use_before_a_fit_is_refused(tmp_path):
    surrogate = GridBoosting(K)
    for use in (
        lambda: surrogate.predict(np.zeros((1, 6), dtype=int)),
        surrogate.ensemble,
        lambda: surrogate.importance("gain"),
        lambda: surrogate.save(tmp_path / "trees.txt"),
    ):
        with pytest.raises(SolverError, match="has not been fitted"):
            use()


@pytest.mark.parametrize("make", [GridBoosting, LightGBM])
@pytest.mark.parametrize(
    ("z", "y", "weight", "message"),
    [
        (np.zeros((5, 2, 3), dtype=int), np.zeros(4), None, "as many scores"),
        (np.zeros((0, 2, 3), dtype=int), np.zeros(0), None, "as many scores"),
        (np.zeros(5, dtype=int), np.zeros(5), None, "shape"),
        (np.zeros((5, 6)), np.zeros(5), None, "integer codes"),
        (np.full((5, 6), -1), np.zeros(5), None, "got -1"),
        (np.zeros((2, 6), dtype=int), np.array([0.0, np.nan]), None, "finite"),
        (np.zeros((2, 6), dtype=int), np.zeros(2), np.ones(3), "as many weights"),
        (np.zeros((2, 6), dtype=int), np.zeros(2), np.array([1.0, -1.0]), "at least 0"),
        (np.zeros((2, 6), dtype=int), np.zeros(2), np.array([1.0, 1e300]), "finite"),
        (np.zeros((2, 6), dtype=int), np.zeros(2), np.zeros(2), "not all 0"),
    ],
)
def test_wrong_data_are_refused(make, z, y, weight, message):
    with pytest.raises(SolverError, match=message):
        make().fit(z, y, weight)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"trees": 0}, "trees must be at least 1"),
        ({"min_samples_leaf": 0}, "min_samples_leaf must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"learning_rate": 0.0}, r"learning_rate must be in \(0, 1\]"),
        ({"learning_rate": 1.5}, "got 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(SolverError, match=message):
        GridBoosting(K, **setting)


def test_other_grids_are_refused(surrogate):
    with pytest.raises(SolverError, match="6 cells"):
        surrogate.predict(np.zeros((1, 4), dtype=int))
