import lightgbm
import numpy as np
import pytest

from solvers.trees import TreeEnsemble
from vqlso.errors import SolverError

K = 40


def fit(seed=0, *, rows=400, trees=20, missing=False, **parameters):
    """A booster over two categorical and three numeric features, and its training data."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, K, (rows, 5)).astype(float)
    y = (z[:, 0] % 3) * (z[:, 1] % 2) + 0.1 * z[:, 2] + abs(z[:, 3] - 20) + rng.random(rows)
    z[:, 2:] -= K // 2  # thresholds on both sides of 0, which NaN may count as
    if missing:
        z[:40, 2] = np.nan
        z[30:50, 0] = np.nan
    parameters = {
        "objective": "regression",
        "min_data_in_leaf": 5,
        "min_data_per_group": 5,
        "cat_smooth": 1,
        "num_threads": 1,
        "verbosity": -1,
    } | parameters
    data = lightgbm.Dataset(z, y, categorical_feature=[0, 1])
    return lightgbm.train(parameters, data, num_boost_round=trees), z


def probes(ensemble, z, seed=0):
    """Training rows, unseen and negative categories, missing values and exact boundaries."""
    rng = np.random.default_rng(seed)
    thresholds = ensemble.threshold[(ensemble.feature >= 0) & (ensemble.subset < 0)]
    odd = [
        np.nan,
        0.0,
        -0.5,
        0.5,
        -1.0,
        1e-36,
        1.1e-35,
        K,
        63.0,
        64.0,
        1e6,
        -1e300,
        np.inf,
        -np.inf,
    ]
    blocks = [z, rng.integers(-3, 3 * K, (300, 5)), rng.choice(odd, (300, 5))]
    if len(thresholds):
        at = rng.choice(thresholds, (300, 5))
        blocks += [at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf)]
    return np.concatenate(blocks)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "parameters",
    [
        {"max_depth": 2, "num_leaves": 5},
        {"num_leaves": 31, "missing": True},
        {"num_leaves": 9, "missing": True, "zero_as_missing": True},
        {"num_leaves": 9, "missing": True, "use_missing": False},
        {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        {"objective": "huber"},
    ],
    ids=["paper", "missing", "zero_as_missing", "use_missing=false", "forest", "huber"],
)
def test_predicts_what_lightgbm_predicts(seed, parameters):
    booster, z = fit(seed, **parameters)
    ensemble = TreeEnsemble.from_lightgbm(booster)
    z = probes(ensemble, z, seed)
    np.testing.assert_allclose(
        ensemble.predict(z), booster.predict(z, num_threads=1), rtol=1e-9, atol=1e-12
    )


def test_boosted_predictions_are_equal_to_the_last_bit():
    booster, z = fit(trees=200)
    assert (TreeEnsemble.from_lightgbm(booster).predict(z) == booster.predict(z)).all()


def test_text_and_booster_give_the_same_ensemble():
    booster, z = fit()
    from_text = TreeEnsemble.from_lightgbm(booster.model_to_string())
    assert (from_text.predict(z) == TreeEnsemble.from_lightgbm(booster).predict(z)).all()


def test_trees_of_a_single_leaf():
    booster, z = fit(min_data_in_leaf=1000)
    ensemble = TreeEnsemble.from_lightgbm(booster)
    assert (ensemble.feature == -1).all()
    np.testing.assert_allclose(ensemble.predict(z[:3]), booster.predict(z[:3]), rtol=1e-12)


def test_early_stopping_keeps_the_best_iteration():
    booster, z = fit()
    booster.best_iteration = 7
    ensemble = TreeEnsemble.from_lightgbm(booster)
    assert ensemble.n_trees == 7
    assert (ensemble.predict(z) == booster.predict(z)).all()


def test_many_rows_are_predicted_in_blocks(monkeypatch):
    booster, z = fit()
    ensemble = TreeEnsemble.from_lightgbm(booster)
    whole = ensemble.predict(z)
    monkeypatch.setattr("solvers.trees.ensemble._BLOCK", 7 * ensemble.n_trees)
    assert (ensemble.predict(z) == whole).all()


def test_linear_trees_are_refused_by_name():
    booster, _ = fit(linear_tree=True)
    with pytest.raises(SolverError, match="linear_tree=False"):
        TreeEnsemble.from_lightgbm(booster)


def test_multiclass_is_refused_by_name():
    rng = np.random.default_rng(0)
    data = lightgbm.Dataset(rng.normal(size=(200, 2)), rng.integers(0, 3, 200))
    parameters = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1}
    with pytest.raises(SolverError, match="multiclass"):
        TreeEnsemble.from_lightgbm(lightgbm.train(parameters, data, 2))


@pytest.mark.parametrize("parameters", [{"objective": "poisson"}, {"reg_sqrt": True}])
def test_transformed_objectives_are_refused_by_name(parameters):
    booster, _ = fit(**parameters)
    with pytest.raises(SolverError, match="transforms the sum of the leaves"):
        TreeEnsemble.from_lightgbm(booster)


@pytest.mark.parametrize("text", ["", "tree\nversion=v4\n", "no model at all"])
def test_damaged_text_is_refused(text):
    with pytest.raises(SolverError, match="no complete LightGBM model"):
        TreeEnsemble.from_lightgbm(text)


def test_truncated_text_is_refused():
    booster, _ = fit()
    text = booster.model_to_string()
    with pytest.raises(SolverError, match="no complete LightGBM model"):
        TreeEnsemble.from_lightgbm(text[: len(text) // 3])


def test_other_objects_are_refused():
    with pytest.raises(SolverError, match="booster_"):
        TreeEnsemble.from_lightgbm(lightgbm.LGBMRegressor())


def test_categories_must_match_the_cells():
    booster, _ = fit()
    assert TreeEnsemble.from_lightgbm(booster, categories=K).categories == (K,) * 5
    with pytest.raises(SolverError, match="5 cells"):
        TreeEnsemble.from_lightgbm(booster, categories=[K, K])
    with pytest.raises(SolverError, match="at least one category"):
        TreeEnsemble.from_lightgbm(booster, categories=0)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 5, 1)])
def test_wrong_shapes_are_refused(shape):
    booster, _ = fit()
    with pytest.raises(SolverError, match=r"\(n, 5\)"):
        TreeEnsemble.from_lightgbm(booster).predict(np.zeros(shape))
