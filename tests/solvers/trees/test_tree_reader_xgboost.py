import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solvers.trees import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Integer
from vqlso.errors import SolverError

xgboost = pytest.importorskip("xgboost")

KINDS = ["c", "c", "q", "q", "q"]
K = 80


def table(seed=0, *, missing=False, rows=500):
    """Two columns of codes, three of numbers, and a target above 0."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 5)).astype(np.float32)
    z[:, 0], z[:, 1] = rng.integers(0, K, rows), rng.integers(0, 5, rows)
    z[0, 0] = K - 1
    y = abs(2 * z[:, 2] + z[:, 0] % 3 + 3 * (z[:, 1] == 2)) + 0.1
    if missing:
        z[rng.random(z.shape) < 0.1] = np.nan
    return z, y


def matrix(z, y=None, kinds=KINDS, **more):
    return xgboost.DMatrix(z, y, feature_types=kinds, enable_categorical=True, **more)


def fit(seed=0, *, missing=False, trees=20, kinds=KINDS, **parameters):
    z, y = table(seed, missing=missing)
    objective = parameters.get("objective", "")
    if "logi" in objective:
        y = (y > np.median(y)).astype(float)
    more = {}
    if objective.startswith("rank"):
        y, more = (y > np.median(y)).astype(int), {"group": [200, 300]}
    if objective == "survival:aft":
        more = {"label_lower_bound": y, "label_upper_bound": y}
        y = None
    data = matrix(z, y, kinds, **more)
    parameters = {"nthread": 1, "verbosity": 0} | parameters
    return xgboost.train(parameters, data, trees), z


def probes(ensemble, z, seed=0):
    """Training rows, odd categories, missing values, and numbers at and around thresholds."""
    rng = np.random.default_rng(seed)
    thresholds = ensemble.threshold[(ensemble.feature >= 0) & (ensemble.subset < 0)]
    odd = [np.nan, 0.0, -0.5, 0.5, 3.7, -1.0, 63, 64, 127, 128, 1e6, 2.0**24, -1e30, 1e30]
    blocks = [z, rng.integers(-2, 2 * K, (200, 5)), rng.choice(odd, (300, 5))]
    if len(thresholds):
        at = rng.choice(thresholds, (200, 5))
        single = at.astype(np.float32)
        for above in (np.inf, -np.inf):
            blocks += [at, np.nextafter(single, np.float32(above)), np.nextafter(at, above)]
    return np.concatenate(blocks)


def assert_same(ensemble, booster, z, kinds=KINDS):
    data = matrix(z, kinds=kinds)
    assert (ensemble.raw(z) == booster.predict(data, output_margin=True)).all()
    np.testing.assert_allclose(ensemble.predict(z), booster.predict(data), rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"max_depth": 1},
        {"max_depth": 9, "max_cat_to_onehot": 1},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"booster": "dart", "rate_drop": 0.4},
        {"base_score": 0.3},
        {"tree_method": "approx"},
    ],
    ids=["default", "stumps", "deep", "forest", "dart", "base_score", "approx"],
)
def test_predicts_what_xgboost_predicts(seed, missing, parameters):
    booster, z = fit(seed, missing=missing, **parameters)
    ensemble = TreeEnsemble.from_xgboost(booster)
    assert_same(ensemble, booster, probes(ensemble, z, seed))


OBJECTIVES = {
    "reg:squaredlogerror": "identity",
    "reg:logistic": "sigmoid",
    "reg:pseudohubererror": "identity",
    "reg:absoluteerror": "identity",
    "reg:quantileerror": "identity",
    "binary:logistic": "sigmoid",
    "binary:logitraw": "identity",
    "count:poisson": "exponential",
    "survival:cox": "exponential",
    "survival:aft": "exponential",
    "rank:ndcg": "identity",
    "rank:pairwise": "identity",
    "rank:map": "identity",
    "reg:gamma": "exponential",
    "reg:tweedie": "exponential",
}


@pytest.mark.parametrize("base", [None, 0.3])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_and_their_base_scores(objective, base):
    more = {} if base is None else {"base_score": base}
    more |= {"quantile_alpha": 0.4} if "quantile" in objective else {}
    booster, z = fit(missing=True, objective=objective, **more)
    ensemble = TreeEnsemble.from_xgboost(booster)
    assert ensemble.transform.shape == OBJECTIVES[objective]
    assert_same(ensemble, booster, probes(ensemble, z))


@pytest.mark.parametrize("kinds", [["q"] * 5, ["c", "c", "q", "q", "q"]], ids=["numbers", "mixed"])
def test_kinds_of_features(kinds):
    booster, z = fit(kinds=kinds)
    ensemble = TreeEnsemble.from_xgboost(booster)
    assert_same(ensemble, booster, probes(ensemble, z), kinds)
    assert (ensemble.subset >= 0).any() == ("c" in kinds)


def test_categorical_features_only():
    z, y = table()
    data = matrix(z[:, :2], y, ["c", "c"])
    booster = xgboost.train({"nthread": 1}, data, 10)
    ensemble = TreeEnsemble.from_xgboost(booster)
    assert ensemble.categories is not None
    assert_same(ensemble, booster, probes(ensemble, np.tile(z[:, :2], 3)[:, :5])[:, :2], ["c", "c"])


@given(st.lists(st.floats(width=32, allow_infinity=False), min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_row(row):
    z = np.array([row], dtype=np.float64)
    assert ENSEMBLE.predict(z) == BOOSTER.predict(matrix(z))


BOOSTER, _ = fit(missing=True)
ENSEMBLE = TreeEnsemble.from_xgboost(BOOSTER)


def test_trees_of_a_single_leaf():
    booster, z = fit(min_child_weight=1e9)
    ensemble = TreeEnsemble.from_xgboost(booster)
    assert (ensemble.feature == -1).all()
    assert_same(ensemble, booster, z)


def test_boosters_are_read_whole_and_estimators_up_to_their_best_iteration():
    z, y = table()
    estimator = xgboost.XGBRegressor(n_estimators=60, early_stopping_rounds=2, n_jobs=1)
    estimator.fit(z[:250], y[:250], eval_set=[(z[250:], y[250:])], verbose=False)
    whole = TreeEnsemble.from_xgboost(estimator.get_booster())
    best = TreeEnsemble.from_xgboost(estimator)
    assert best.n_trees == estimator.best_iteration + 1 < whole.n_trees
    assert (best.predict(z) == estimator.predict(z)).all()
    assert (whole.predict(z) == estimator.get_booster().predict(xgboost.DMatrix(z))).all()


def test_estimators_of_every_kind():
    z, y = table()
    forest = xgboost.XGBRFRegressor(n_estimators=7, n_jobs=1).fit(z, y)
    assert (TreeEnsemble.from_xgboost(forest).predict(z) == forest.predict(z)).all()
    classifier = xgboost.XGBClassifier(n_estimators=7, n_jobs=1).fit(z, y > 1)
    probability = classifier.predict_proba(z)[:, 1]
    np.testing.assert_allclose(TreeEnsemble.from_xgboost(classifier).predict(z), probability, 1e-9)


def test_zero_may_be_what_is_missing():
    z, y = table()
    z = np.round(z)
    estimator = xgboost.XGBRegressor(n_estimators=7, n_jobs=1, missing=0.0).fit(z, y)
    z[:50, 2] = np.nan
    assert (TreeEnsemble.from_xgboost(estimator).predict(z) == estimator.predict(z)).all()
    codes = xgboost.XGBRegressor(
        n_estimators=7, missing=0.0, feature_types=KINDS, enable_categorical=True, n_jobs=1
    ).fit(table()[0], y)
    with pytest.raises(SolverError, match="category 0 is missing"):
        TreeEnsemble.from_xgboost(codes)
    other = xgboost.XGBRegressor(n_estimators=7, n_jobs=1, missing=-9.0).fit(z, y)
    with pytest.raises(SolverError, match=r"missing=-9\.0"):
        TreeEnsemble.from_xgboost(other)


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_files(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    BOOSTER.save_model(path)
    z = probes(ENSEMBLE, table()[0])
    assert (TreeEnsemble.from_xgboost(path).predict(z) == ENSEMBLE.predict(z)).all()


def test_features_are_those_that_the_model_knows():
    assert ENSEMBLE.features == (Categorical(K), Categorical(5), *[Continuous()] * 3)


def test_categories_of_a_table_are_counted():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"code": pandas.Categorical([0, 1, 2, 3] * 50, range(9)), "x": 1.0})
    data = xgboost.DMatrix(frame, frame["code"].astype(int) == 1, enable_categorical=True)
    ensemble = TreeEnsemble.from_xgboost(xgboost.train({"nthread": 1}, data, 2))
    assert ensemble.features == (Categorical(9), Continuous())


def test_stated_features_must_fit_the_model():
    stated = (Categorical(K), Categorical(9), Integer(-3, 3), Continuous(-1, 1), Continuous())
    assert TreeEnsemble.from_xgboost(BOOSTER, features=stated).features == stated
    assert TreeEnsemble.from_xgboost(BOOSTER, categories=K).categories == (K,) * 5
    with pytest.raises(SolverError, match=f"category {K - 1} of feature 0"):
        TreeEnsemble.from_xgboost(BOOSTER, categories=K - 1)
    with pytest.raises(SolverError, match="feature 0 by sets"):
        TreeEnsemble.from_xgboost(BOOSTER, features=[Continuous()] * 5)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"booster": "gblinear"}, "gblinear"),
        ({"objective": "binary:hinge"}, "binary:hinge"),
        ({"objective": "multi:softprob", "num_class": 3}, "num_class=3"),
    ],
)
def test_inexpressible_models_are_refused_by_name(parameters, named):
    z, y = table()
    data = xgboost.DMatrix(z, np.minimum(y.astype(int), 1))
    booster = xgboost.train({"nthread": 1, "verbosity": 0} | parameters, data, 2)
    with pytest.raises(SolverError, match=named):
        TreeEnsemble.from_xgboost(booster)


@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
def test_several_outputs_are_refused(strategy):
    z, y = table()
    estimator = xgboost.XGBRegressor(n_estimators=2, multi_strategy=strategy, n_jobs=1)
    with pytest.raises(SolverError, match="num_target=2"):
        TreeEnsemble.from_xgboost(estimator.fit(z, np.stack([y, y], axis=1)))


@pytest.mark.parametrize("model", [xgboost.XGBRegressor(), object(), 3])
def test_other_objects_are_refused(model):
    with pytest.raises(SolverError, match=r"fit it first|xgboost\.Booster"):
        TreeEnsemble.from_xgboost(model)


MODEL = json.loads(BOOSTER.save_raw("json"))
TREE = ("learner", "gradient_booster", "model", "trees", 0)
DAMAGES = [
    (("learner",), None, "`learner` is missing"),
    (("learner", "objective", "name"), "reg:astrology", "astrology"),
    (("learner", "learner_model_param", "num_feature"), "x", "num_feature"),
    (("learner", "learner_model_param", "base_score"), "high", "base_score"),
    (("learner", "gradient_booster", "model", "trees"), 7, "trees"),
    (("learner", "gradient_booster", "model", "trees"), [], "no trees"),
    ((*TREE, "left_children"), [9999], "right_children"),
    ((*TREE, "left_children", 0), 9999, "node 9999 as its left"),
    ((*TREE, "left_children", 0), 0, "reached twice"),
    ((*TREE, "split_indices", 0), 77, "77"),
    ((*TREE, "split_indices", 0), "x", "split_indices"),
    ((*TREE, "split_indices", 0), -1, "below 0"),
    ((*TREE, "split_conditions"), None, "`split_conditions` is missing"),
    ((*TREE, "split_conditions", -1), float("nan"), "leaf of tree 0 is nan"),
    ((*TREE, "split_conditions", -1), float("inf"), "leaf of tree 0 is inf"),
    ((*TREE, "categories_sizes"), [1], "categories of tree 0"),
    ((*TREE, "categories_nodes", 0), 9999, "categories of tree 0"),
    ((*TREE, "categories", 0), -5, "Categories lie in"),
]


@pytest.mark.parametrize(("place", "value", "named"), DAMAGES)
def test_damaged_entries_are_named(tmp_path, place, value, named):
    model = json.loads(json.dumps(MODEL))
    *parents, last = place
    block = model
    for key in parents:
        block = block[key]
    if value is None:
        del block[last]
    else:
        block[last] = value
    path = tmp_path / "model.json"
    path.write_text(json.dumps(model))
    with pytest.raises(SolverError, match=named):
        TreeEnsemble.from_xgboost(path)


@pytest.mark.parametrize("content", [b"", b"{ no json", b'{"a": 1}', b"{L\x00\x00garbage", b"\x00"])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "model.ubj"
    path.write_bytes(content)
    with pytest.raises(SolverError, match=r"no XGBoost model|no complete XGBoost model"):
        TreeEnsemble.from_xgboost(path)
    with pytest.raises(SolverError, match="cannot be read"):
        TreeEnsemble.from_xgboost(tmp_path / "absent.json")


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_damage_of_a_binary_file_goes_unnamed(tmp_path_factory, data):
    content = bytearray(BOOSTER.save_raw("ubj"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.ubj"
    path.write_bytes(content[: data.draw(st.sampled_from([None, -1, len(content) // 2]))])
    try:
        ensemble = TreeEnsemble.from_xgboost(path)
    except SolverError:
        return
    ensemble.predict(np.zeros((1, ensemble.n_features)))
