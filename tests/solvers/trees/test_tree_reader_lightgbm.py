import re
from functools import cache

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.trees import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Integer
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
    kind = parameters.get("objective", "regression")
    if kind in ("binary", "cross_entropy", "cross_entropy_lambda"):
        y = (y > np.median(y)).astype(float)
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


TRANSFORMS = [
    ({"objective": "poisson"}, "exponential"),
    ({"objective": "gamma"}, "exponential"),
    ({"objective": "tweedie"}, "exponential"),
    ({"reg_sqrt": True}, "signed_square"),
    ({"objective": "regression_l1", "reg_sqrt": True}, "signed_square"),
    ({"objective": "quantile", "alpha": 0.3}, "identity"),
    ({"objective": "fair"}, "identity"),
    ({"objective": "mape"}, "identity"),
    ({"objective": "binary"}, "sigmoid"),
    ({"objective": "binary", "sigmoid": 2.5}, "sigmoid"),
    (
        {"objective": "binary", "boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        "sigmoid",
    ),
    ({"objective": "cross_entropy"}, "sigmoid"),
    ({"objective": "cross_entropy_lambda"}, "softplus"),
]


@pytest.mark.parametrize(("parameters", "shape"), TRANSFORMS)
def test_objectives_that_transform_the_sum(parameters, shape):
    booster, z = fit(missing=True, **parameters)
    ensemble = TreeEnsemble.from_lightgbm(booster)
    assert ensemble.transform.shape == shape
    z = probes(ensemble, z)
    np.testing.assert_allclose(ensemble.predict(z), booster.predict(z), rtol=1e-9)
    raw = booster.predict(z, raw_score=True)
    if parameters.get("boosting") == "rf":
        raw /= ensemble.n_trees  # LightGBM averages the sum of a forest only on its way out
    np.testing.assert_allclose(ensemble.raw(z), raw, rtol=1e-9, atol=1e-12)
    assert (ensemble.untransformed().predict(z) == ensemble.raw(z)).all()


def test_an_objective_of_the_callers_own_is_a_plain_sum():
    booster, z = fit(
        objective=lambda predicted, data: (predicted - data.get_label(), 1 + 0 * predicted)
    )
    ensemble = TreeEnsemble.from_lightgbm(booster)
    assert ensemble.transform.is_identity
    assert (ensemble.predict(z) == booster.predict(z)).all()


@pytest.mark.parametrize(
    "parameters", [{"boosting": "dart"}, {"max_depth": 1}, {"extra_trees": True}]
)
def test_other_ways_of_growing(parameters):
    booster, z = fit(missing=True, **parameters)
    ensemble = TreeEnsemble.from_lightgbm(booster)
    z = probes(ensemble, z)
    np.testing.assert_allclose(ensemble.predict(z), booster.predict(z), rtol=1e-9)


@pytest.mark.parametrize("objective", ["huber", "binary"])
def test_estimators(objective):
    estimator = {"huber": lightgbm.LGBMRegressor, "binary": lightgbm.LGBMClassifier}[objective]
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 3))
    fitted = estimator(n_estimators=5, n_jobs=1, verbose=-1).fit(z, (z[:, 0] > 0).astype(int))
    ensemble = TreeEnsemble.from_lightgbm(fitted)
    expected = fitted.predict(z) if objective == "huber" else fitted.predict_proba(z)[:, 1]
    np.testing.assert_allclose(ensemble.predict(z), expected, rtol=1e-12)


@given(st.lists(st.floats(), min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_row(row):
    booster, ensemble = _fitted_once()
    assert ensemble.predict([row]) == booster.predict([row])


@cache
def _fitted_once():
    booster, _ = fit(missing=True, num_leaves=31)
    return booster, TreeEnsemble.from_lightgbm(booster)


def test_unknown_objectives_are_refused_by_name():
    booster, _ = fit()
    text = booster.model_to_string().replace("objective=regression", "objective=astrology")
    with pytest.raises(SolverError, match="'astrology'"):
        TreeEnsemble.from_lightgbm(text)


@pytest.mark.parametrize("text", ["", "tree\nversion=v4\n", "no model at all"])
def test_damaged_text_is_refused(text):
    with pytest.raises(SolverError, match="no complete LightGBM model"):
        TreeEnsemble.from_lightgbm(text)


def test_truncated_text_is_refused():
    booster, _ = fit()
    text = booster.model_to_string()
    with pytest.raises(SolverError, match="no complete LightGBM model"):
        TreeEnsemble.from_lightgbm(text[: len(text) // 3])


DAMAGES = [
    (r"max_feature_idx=4", "max_feature_idx=four", "max_feature_idx"),
    (r"feature_infos=\S+ ", "feature_infos=", "feature_infos"),
    (r"feature_infos=\S+ ", "feature_infos=a:b ", "feature_infos"),
    (r"num_leaves=\d+", "num_leaves=0", "0 leaves"),
    (r"num_leaves=\d+", "num_leaves=many", "num_leaves"),
    (r"split_feature=\d+", "split_feature=77", "77"),
    (r"split_feature=\d+", "split_feature=-1", "splits no feature"),
    (r"split_feature=\d+ ", "split_feature=", "Tree 0.*split_feature"),
    (r"threshold=\S+ ", "threshold=x ", "threshold"),
    (r"left_child=\S+", "left_child=500", "left_child.*500"),
    (r"left_child=\S+", "left_child=-500", "left_child.*-500"),
    (r"left_child=\S+", "left_child=0", "reached twice"),
    (r"leaf_value=\S+", "leaf_value=nan", "leaf of tree 0 is nan"),
    (r"leaf_value=\S+", "leaf_value=inf", "leaf of tree 0 is inf"),
    (r"cat_boundaries=0 \d+", "cat_boundaries=0 9999", "cat_boundaries"),
    (r"cat_boundaries=.*", "cat_boundaries=", "cat_boundaries"),
    (r"cat_threshold=\d+", "cat_threshold=-1", "cat_threshold"),
    (r"num_tree_per_iteration=1", "num_tree_per_iteration=x", "num_tree_per_iteration"),
]


@pytest.mark.parametrize(("pattern", "replacement", "named"), DAMAGES)
def test_damaged_entries_are_named(pattern, replacement, named):
    booster, _ = fit()
    damaged, n = re.subn(pattern, replacement, booster.model_to_string(), count=1)
    assert n == 1
    with pytest.raises(SolverError, match=named):
        TreeEnsemble.from_lightgbm(damaged)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_damage_goes_unnamed(data):
    """Whatever stands in a value, a model is read or a SolverError is raised."""
    text = _fitted_once()[0].model_to_string()
    lines = text[: text.index("end of trees")].splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    key, _, values = lines[at].partition("=")
    entries = values.split(" ")
    entries[data.draw(st.integers(0, len(entries) - 1))] = data.draw(
        st.sampled_from(["", "nan", "inf", "-1", "7", "99999999999999999999", "x", "1 2", "1.5"])
    )
    damaged = "\n".join(
        [*lines[:at], f"{key}={' '.join(entries)}", *lines[at + 1 :], "end of trees"]
    )
    try:
        ensemble = TreeEnsemble.from_lightgbm(damaged)
    except SolverError:
        return
    ensemble.predict(np.zeros((1, ensemble.n_features)))


@pytest.mark.parametrize("model", [lightgbm.LGBMRegressor(), object(), 3])
def test_other_objects_are_refused(model):
    with pytest.raises(SolverError, match=r"fit it first|lightgbm\.Booster"):
        TreeEnsemble.from_lightgbm(model)


def test_features_are_those_of_the_training_data():
    booster, z = fit()
    features = TreeEnsemble.from_lightgbm(booster).features
    assert features[:2] == (Categorical(K), Categorical(K))
    assert features[2:] == tuple(
        Continuous(*column) for column in zip(z.min(0)[2:], z.max(0)[2:], strict=True)
    )


def test_stated_features_must_fit_the_model():
    booster, _ = fit()
    assert TreeEnsemble.from_lightgbm(booster, categories=K).categories == (K,) * 5
    mixed = (Categorical(K), Categorical(99), Integer(-20, 20), Continuous(), Continuous(-1, 1))
    assert TreeEnsemble.from_lightgbm(booster, features=mixed).features == mixed
    for stated, named in [
        ({"categories": [K, K]}, "5 features"),
        ({"categories": 0}, "at least one category"),
        ({"categories": K - 1}, f"category {K - 1} of feature 0"),
        ({"features": mixed[:3]}, "5 features; 3"),
        ({"features": (Categorical(K), Integer(), *mixed[2:])}, "feature 1 by sets"),
        ({"features": mixed, "categories": K}, "not both"),
    ]:
        with pytest.raises(SolverError, match=named):
            TreeEnsemble.from_lightgbm(booster, **stated)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 5, 1)])
def test_wrong_shapes_are_refused(shape):
    booster, _ = fit()
    with pytest.raises(SolverError, match=r"\(n, 5\)"):
        TreeEnsemble.from_lightgbm(booster).predict(np.zeros(shape))
