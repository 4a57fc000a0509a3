from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from coded_scores import K, coded_scores

from solvers.contracts import TreeSurrogate
from solvers.surrogates import LightGBM
from solvers.trees import TreeEnsemble, maximize
from vqlso.errors import SolverError


@pytest.fixture(scope="module")
def data():
    return coded_scores()


@pytest.fixture(scope="module")
def surrogate(data):
    surrogate = LightGBM(K, trees=150, learning_rate=0.1)
    surrogate.fit(*data)
    return surrogate


def test_satisfies_the_contract(surrogate):
    assert isinstance(surrogate, TreeSurrogate)


def test_learns_the_interaction_and_reports_r2(data):
    z, y = data
    surrogate = LightGBM(K, trees=150, learning_rate=0.1)
    report = surrogate.fit(z[:2000], y[:2000])
    held_out = 1 - np.var(y[2000:] - surrogate.predict(z[2000:])) / np.var(y[2000:])
    assert held_out > 0.9
    residual = y[:2000] - surrogate.predict(z[:2000])
    expected = 1 - (residual**2).mean() / np.var(y[:2000])
    assert report.measures["r2"] == pytest.approx(expected)
    assert report.rows == 2000


def test_the_ensemble_predicts_the_same(data, surrogate):
    z, _ = data
    ensemble = surrogate.ensemble()
    assert ensemble.categories == (K,) * 6
    assert (ensemble.predict(z.reshape(len(z), -1)) == surrogate.predict(z)).all()


def test_the_ensemble_follows_a_new_fit(data):
    z, y = data
    surrogate = LightGBM(K, trees=20)
    surrogate.fit(z, y)
    before = surrogate.ensemble()
    assert surrogate.ensemble() is before
    surrogate.fit(z, -y)
    flat = z[:50].reshape(50, -1)
    assert (surrogate.ensemble().predict(flat) == surrogate.predict(z[:50])).all()


def test_trees_have_the_papers_shape(data, surrogate):
    z, _ = data
    trees = surrogate.ensemble()
    rows = z.reshape(len(z), -1)
    leaves = np.stack([replace(trees, roots=root[None]).raw(rows) for root in trees.roots], axis=1)
    for tree in range(trees.n_trees):
        _, counts = np.unique(leaves[:, tree], return_counts=True)
        assert len(counts) <= 4, "depth 2 allows 4 leaves"
        assert counts.min() >= 20
    assert (trees.subset[trees.feature >= 0] >= 0).all(), "every split is categorical"


def test_importance_finds_the_cells_that_matter(surrogate):
    for measure in ("gain", "split"):
        importance = surrogate.importance(measure)
        assert importance.shape == (6,)
        assert importance.dtype == np.float64
        assert set(np.argsort(-importance)[:3]) == {0, 4, 5}
    with pytest.raises(SolverError, match="gain or split"):
        surrogate.importance("weight")


def test_the_maximiser_finds_the_known_optimum(data, surrogate):
    z, _ = data
    maximum = maximize(surrogate.ensemble(), free=[0, 4, 5], reference=z[0].ravel())
    assert maximum.z[0] % 3 == 0
    assert maximum.z[4] % 2 == 1
    assert maximum.z[5] < 4
    assert surrogate.predict(maximum.z.reshape(1, 2, 3))[0] == maximum.value


def test_fits_are_repeatable(data, surrogate):
    again = LightGBM(K, trees=150, learning_rate=0.1)
    again.fit(*data)
    assert (again.predict(data[0]) == surrogate.predict(data[0])).all()


def test_weights_matter(data):
    """Rows of weight 0 count for nothing: two contradicting halves, one silenced."""
    z, y = data
    both, score = np.concatenate([z, z]), np.concatenate([y, -y])
    weighted = LightGBM(K, trees=100, learning_rate=0.1)
    report = weighted.fit(both, score, np.repeat([1.0, 0.0], len(z)))
    assert report.measures["r2"] > 0.9
    assert np.corrcoef(weighted.predict(z), y)[0, 1] > 0.9


def test_the_saved_text_is_the_model(data, surrogate, tmp_path):
    path = tmp_path / "trees.txt"
    surrogate.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["trees.txt"]
    z = data[0][:100]
    flat = z.reshape(100, -1)
    text = lightgbm.Booster(model_file=path)
    np.testing.assert_allclose(text.predict(flat), surrogate.predict(z), rtol=1e-14)
    ensemble = TreeEnsemble.from_lightgbm(path.read_text(), categories=K)
    assert (ensemble.predict(flat) == text.predict(flat)).all()


def test_constant_scores_fit_without_splits(data):
    surrogate = LightGBM(K, trees=5)
    report = surrogate.fit(data[0][:100], np.full(100, 2.5))
    assert report.measures["r2"] == 0.0
    assert surrogate.predict(data[0][:2]) == pytest.approx([2.5, 2.5])
    assert surrogate.ensemble().predict(data[0][:2].reshape(2, -1)) == pytest.approx([2.5, 2.5])


def test_use_before_a_fit_is_refused(tmp_path):
    surrogate = LightGBM(K)
    for use in (
        lambda: surrogate.predict(np.zeros((1, 6), dtype=int)),
        surrogate.ensemble,
        lambda: surrogate.importance("gain"),
        lambda: surrogate.save(tmp_path / "trees.txt"),
    ):
        with pytest.raises(SolverError, match="has not been fitted"):
            use()


@pytest.mark.parametrize(
    ("z", "y", "message"),
    [
        (np.zeros((5, 2, 3), dtype=int), np.zeros(4), "as many scores"),
        (np.zeros((0, 2, 3), dtype=int), np.zeros(0), "as many scores"),
        (np.zeros(5, dtype=int), np.zeros(5), "shape"),
        (np.zeros((5, 6)), np.zeros(5), "integer codes"),
        (np.full((5, 6), K), np.zeros(5), r"0\.\.11"),
        (np.full((5, 6), -1), np.zeros(5), r"0\.\.11"),
        (np.zeros((2, 6), dtype=int), np.array([0.0, np.nan]), "finite"),
    ],
)
def test_wrong_data_are_refused(z, y, message):
    with pytest.raises(SolverError, match=message):
        LightGBM(K).fit(z, y)


def test_other_grids_are_refused(surrogate):
    with pytest.raises(SolverError, match="6 cells"):
        surrogate.predict(np.zeros((1, 4), dtype=int))


@pytest.mark.parametrize("scale", [1.0, 2.0**-40])
def test_ordinary_scores_give_the_trees_that_lightgbm_makes_of_them(data, scale):
    """To the last bit: what was measured before scores were scaled still holds."""
    z, y = data
    surrogate = LightGBM(K, trees=60, learning_rate=0.1)
    surrogate.fit(z, scale * y)
    flat = z.reshape(len(z), -1).astype(np.float32)
    untouched = lightgbm.train(
        surrogate._parameters, lightgbm.Dataset(flat, y, categorical_feature=list(range(6))), 60
    )
    assert (surrogate.predict(z) == scale * untouched.predict(flat)).all()


@pytest.mark.parametrize(("offset", "scale"), [(1e9, 1.0), (0.0, 1e-6), (-3e4, 1e5), (0.0, 1e-30)])
def test_scores_of_any_scale_are_learnt_alike(data, tmp_path, offset, scale):
    """LightGBM's labels are float32, and some of its bounds are absolute."""
    z, y = data
    ordinary, other = (LightGBM(K, trees=60, learning_rate=0.1) for _ in range(2))
    expected = ordinary.fit(z, y).measures["r2"]
    assert other.fit(z, offset + scale * y).measures["r2"] == pytest.approx(expected, abs=1e-5)
    predicted = other.predict(z)
    rounding = 1e-6 + 4 * np.spacing(abs(offset)) / scale
    np.testing.assert_allclose((predicted - offset) / scale, ordinary.predict(z), atol=rounding)
    flat = z.reshape(len(z), -1)
    assert (other.ensemble().predict(flat) == predicted).all()
    other.save(tmp_path / "trees.txt")
    text = lightgbm.Booster(model_file=tmp_path / "trees.txt")
    np.testing.assert_allclose(text.predict(flat), predicted, rtol=1e-12)
    maximum = maximize(other.ensemble(), free=[0, 4, 5], reference=z[0].ravel())
    assert maximum.z[0] % 3 == 0
    assert maximum.z[4] % 2 == 1
    assert maximum.z[5] < 4
