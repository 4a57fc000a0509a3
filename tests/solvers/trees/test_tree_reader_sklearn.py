import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.trees import TreeEnsemble
from solvers.trees.features import Categorical, Continuous
from vqlso.errors import SolverError

pytest.importorskip("sklearn")

from sklearn import ensemble as forests
from sklearn import tree as trees
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor

CODES = np.array([0, 2, 3, 7, 9, 70])


def table(seed=0, *, missing=False, rows=400):
    """Columns 1 and 3 hold codes, of which column 1 skips many; the others hold numbers."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 5))
    z[:, 1], z[:, 3] = rng.choice(CODES, rows), rng.integers(0, 40, rows)
    z[:2, 1], z[:2, 3] = 70, 39
    y = abs(2 * z[:, 0] + z[:, 1] % 3 + z[:, 3] % 4) + 0.1
    if missing:
        z[2:][rng.random((rows - 2, 5)) < 0.1] = np.nan
    return z, y


def probes(ensemble, z, *, nan, seed=0):
    """Training rows, unseen categories, and numbers at and around the thresholds."""
    rng = np.random.default_rng(seed)
    thresholds = ensemble.threshold[(ensemble.feature >= 0) & (ensemble.subset < 0)]
    thresholds = np.append(thresholds[np.isfinite(thresholds)], 0.0)
    at = rng.choice(thresholds, (200, 5))
    single = at.astype(np.float32)
    blocks = [z, at, rng.choice([0, 1, 2, 2.5, -1, 40, 63, 64, 70, 127, 128, 1e6], (200, 5))]
    for above in (np.inf, -np.inf):
        blocks += [np.nextafter(at, above), np.nextafter(single, np.float32(above))]
    if nan:
        blocks.append(rng.choice([np.nan, 0, 3, 0.1], (200, 5)))
    return np.concatenate(blocks)


def assert_same(model, z, *, nan):
    ensemble = TreeEnsemble.from_sklearn(model)
    z = probes(ensemble, z, nan=nan)
    classifies = hasattr(model, "predict_proba")
    expected = model.predict_proba(z)[:, 1] if classifies else model.predict(z)
    np.testing.assert_allclose(ensemble.predict(z), expected, rtol=1e-9)
    return ensemble


AVERAGED = [
    trees.DecisionTreeRegressor(),
    trees.DecisionTreeRegressor(max_depth=1),
    trees.DecisionTreeRegressor(min_samples_leaf=400),
    trees.ExtraTreeRegressor(random_state=0),
    forests.RandomForestRegressor(20, random_state=0),
    forests.RandomForestRegressor(20, max_depth=2, criterion="absolute_error", random_state=0),
    forests.RandomForestRegressor(20, criterion="poisson", bootstrap=False, max_features=2),
    forests.ExtraTreesRegressor(20, random_state=0),
]


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("model", AVERAGED, ids=str)
def test_trees_and_forests(model, missing):
    z, y = table(missing=missing)
    ensemble = assert_same(model.fit(z, y), z, nan=True)
    assert ensemble.features == (Continuous(),) * 5


BOOSTED = [
    forests.GradientBoostingRegressor(n_estimators=20),
    forests.GradientBoostingRegressor(n_estimators=20, init="zero", max_depth=1),
    forests.GradientBoostingRegressor(n_estimators=20, loss="huber"),
    forests.GradientBoostingRegressor(n_estimators=20, loss="quantile", subsample=0.5),
    forests.GradientBoostingRegressor(n_estimators=99, learning_rate=0.5, n_iter_no_change=2),
    forests.GradientBoostingClassifier(n_estimators=20),
    forests.GradientBoostingClassifier(n_estimators=20, loss="exponential"),
]


@pytest.mark.parametrize("model", BOOSTED, ids=str)
def test_gradient_boosting(model):
    z, y = table()
    classifies = isinstance(model, forests.GradientBoostingClassifier)
    assert_same(model.fit(z, y > 2 if classifies else y), z, nan=False)


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("categorical", [None, [1], [3, 1]], ids=["numbers", "one", "two"])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "gamma", "poisson"])
def test_histogram_boosting(loss, categorical, missing):
    z, y = table(missing=missing)
    model = forests.HistGradientBoostingRegressor(
        loss=loss, categorical_features=categorical, max_iter=15, early_stopping=False
    )
    ensemble = assert_same(model.fit(z, y), z, nan=True)
    known = {1: Categorical(71), 3: Categorical(40)}
    expected = [known[i] if i in (categorical or ()) else Continuous() for i in range(5)]
    assert ensemble.features == tuple(expected)
    assert (ensemble.subset >= 0).any() == bool(categorical)


def test_categorical_features_only():
    z, y = table()
    model = forests.HistGradientBoostingRegressor(categorical_features=[0, 1], max_iter=10)
    ensemble = TreeEnsemble.from_sklearn(model.fit(z[:, [1, 3]], y))
    assert ensemble.categories == (71, 40)
    codes = np.stack(np.meshgrid(range(80), range(50)), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(ensemble.predict(codes), model.predict(codes), rtol=1e-12)


def test_histogram_boosting_of_two_classes():
    z, y = table(missing=True)
    model = forests.HistGradientBoostingClassifier(categorical_features=[1], max_iter=15)
    assert_same(model.fit(z, y > 2), z, nan=True)


@given(st.lists(st.floats(allow_infinity=False), min_size=5, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_row(row):
    np.testing.assert_allclose(ANY.predict([row]), MODEL.predict([row]), rtol=1e-12)


MODEL = forests.HistGradientBoostingRegressor(categorical_features=[1], max_iter=15)
MODEL.fit(*table(missing=True))
ANY = TreeEnsemble.from_sklearn(MODEL)


def test_thresholds_are_numbers_that_an_input_can_be():
    """Inputs are float32: a threshold itself goes left, and the next float32 goes right."""
    z, y = table()
    model = trees.DecisionTreeRegressor(max_depth=1).fit(z, y)
    ensemble = TreeEnsemble.from_sklearn(model)
    at = np.float32(ensemble.threshold[0])
    assert at == ensemble.threshold[0]
    row = np.zeros((2, 5), dtype=np.float32)
    row[:, ensemble.feature[0]] = at, np.nextafter(at, np.float32(np.inf))
    assert (ensemble.predict(row) == ensemble.value[[1, 2]]).all()


def test_stated_features_must_fit_the_model():
    assert TreeEnsemble.from_sklearn(MODEL, categories=71).categories == (71,) * 5
    with pytest.raises(SolverError, match="category 70 of feature 1"):
        TreeEnsemble.from_sklearn(MODEL, categories=70)
    with pytest.raises(SolverError, match="feature 1 by sets"):
        TreeEnsemble.from_sklearn(MODEL, features=[Continuous()] * 5)


@pytest.mark.parametrize(
    "model",
    [
        forests.AdaBoostRegressor(),
        forests.BaggingRegressor(),
        forests.IsolationForest(),
        forests.RandomForestClassifier(),
        MultiOutputRegressor(LinearRegression()),
        object(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_other_estimators_are_refused_by_name(model):
    with pytest.raises(SolverError, match=f"^{type(model).__name__} is not read"):
        TreeEnsemble.from_sklearn(model)


@pytest.mark.parametrize("model", [AVERAGED[4], BOOSTED[0], MODEL], ids=str)
def test_unfitted_estimators_are_refused(model):
    with pytest.raises(SolverError, match="fit it first"):
        TreeEnsemble.from_sklearn(type(model)())


def test_several_outputs_are_refused():
    z, y = table()
    forest = forests.RandomForestRegressor(2).fit(z, np.stack([y, y], axis=1))
    with pytest.raises(SolverError, match="2 outputs"):
        TreeEnsemble.from_sklearn(forest)
    classes = (y // 3).astype(int) % 3
    for kind in (forests.GradientBoostingClassifier, forests.HistGradientBoostingClassifier):
        with pytest.raises(SolverError, match="3 outputs"):
            TreeEnsemble.from_sklearn(kind().set_params(**_few(kind)).fit(z, classes))


def _few(kind):
    name = "max_iter" if "Hist" in kind.__name__ else "n_estimators"
    return {name: 2}


def test_a_start_that_is_no_constant_is_refused():
    z, y = table()
    model = forests.GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(z, y)
    with pytest.raises(SolverError, match="LinearRegression"):
        TreeEnsemble.from_sklearn(model)


@pytest.mark.parametrize("codes", [[-1.0, 2.0], [0.5, 1.0], [0.0, 1e6]])
def test_categories_that_are_no_codes_are_refused(codes):
    z, y = table()
    z[:, 1] = np.resize(codes, len(z))
    model = forests.HistGradientBoostingRegressor(categorical_features=[1], max_iter=3).fit(z, y)
    with pytest.raises(SolverError, match="categories of feature 1"):
        TreeEnsemble.from_sklearn(model)


def test_leaves_that_are_no_numbers_are_refused():
    z, y = table()
    model = forests.RandomForestRegressor(3, random_state=0, max_depth=2).fit(z, y)
    model.estimators_[1].tree_.value[-1] = np.nan
    with pytest.raises(SolverError, match="leaf of tree 1 is nan"):
        TreeEnsemble.from_sklearn(model)
