"""Small random fits of every library that is read: two dozen rows, a few features, a few trees.

Small enough to enumerate, and odd in many ways at once: missing values, codes that were never
seen, whole numbers beside real ones, leaves that repeat, and every kind of booster or forest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import xgboost
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType as SklearnFloats
from sklearn import ensemble as forests

from solvers.trees import Categorical, Continuous, Feature, Integer, TreeEnsemble

Numbers = NDArray[np.float64]
Predict = Callable[[Numbers], Numbers]

# Whole numbers lie in -WHOLE..WHOLE, so that 0, which may count as missing, is one of them.
WHOLE = 3
# Relative: XGBoost and ONNX Runtime add leaves in float32.
DOUBLE, SINGLE = 1e-9, 1e-6


@dataclass(frozen=True, eq=False)
class Table:
    """Training data, and the sizes of what is fitted to it.

    Attributes:
        z: (rows, features) codes and numbers, NaN where missing.
        y: (rows,) > 0.
        features: the kind of each.
        trees, depth: of the fit.
        seed: for the library's own draws.
    """

    z: Numbers
    y: Numbers
    features: tuple[Feature, ...]
    trees: int
    depth: int
    seed: int

    @property
    def codes(self) -> list[int]:
        """The categorical features."""
        return [i for i, kind in enumerate(self.features) if isinstance(kind, Categorical)]


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model as it was read, and the library's own predictions.

    Attributes:
        ensemble: what `TreeEnsemble` made of it.
        predict: (n, features) -> (n,) by the library.
        takes_missing: whether the library predicts where a value is NaN.
        tolerance: relative, of one sum in the library's arithmetic.
    """

    ensemble: TreeEnsemble
    predict: Predict
    takes_missing: bool
    tolerance: float


def table(rng: np.random.Generator, *, missing: bool, codes: bool = True) -> Table:
    """Random data whose features interact; without `codes`, all features are numbers."""
    rows, n, K = rng.integers(20, 90), rng.integers(3, 7), rng.integers(3, 7)
    share = rng.choice([0.0, 0.5, 1.0]) if codes else 0.0
    kinds: list[Feature] = []
    columns = []
    for _ in range(n):
        if rng.random() < share:
            kinds.append(Categorical(int(K)))
            columns.append(rng.integers(0, K, rows).astype(float))
        elif rng.random() < 0.3:
            kinds.append(Integer(-WHOLE, WHOLE))
            columns.append(rng.integers(-WHOLE, WHOLE + 1, rows).astype(float))
        else:
            bounded = rng.random() < 0.5
            kinds.append(Continuous(-2.5, 2.5) if bounded else Continuous())
            columns.append(np.round(rng.normal(size=rows), rng.choice([1, 9])))
    z = np.stack(columns, axis=1)
    y = 1.1 + np.sin(z @ rng.normal(size=n)) + 0.1 * rng.exponential(size=rows)
    if missing:
        z[rng.random(z.shape) < rng.choice([0.0, 0.15])] = np.nan
    sizes = [int(size) for size in (rng.integers(5, 31), rng.integers(1, 5), rng.integers(1 << 30))]
    return Table(z, y, tuple(kinds), *sizes)


def lightgbm_fit(rng: np.random.Generator) -> Fit:
    """Of any boosting, with and without missing values and codes."""
    data = table(rng, missing=True)
    booster = _booster(rng, data, str(rng.choice(["regression", "binary", "poisson", "l1"])))
    return Fit(
        TreeEnsemble.from_lightgbm(booster, features=data.features),
        lambda z: np.asarray(booster.predict(z, num_threads=1)),
        takes_missing=True,
        tolerance=DOUBLE,
    )


def xgboost_fit(rng: np.random.Generator) -> Fit:
    """Of trees, forests and DART, with and without missing values and codes."""
    data = table(rng, missing=True)
    booster = _gradient_booster(rng, data, ["reg:squarederror", "binary:logistic", "reg:gamma"])
    return Fit(
        TreeEnsemble.from_xgboost(booster, features=data.features),
        lambda z: booster.predict(_matrix(data, z)).astype(np.float64),
        takes_missing=True,
        tolerance=SINGLE,
    )


def sklearn_fit(rng: np.random.Generator) -> Fit:
    """Of forests, gradient boosting and histogram boosting."""
    name = str(rng.choice(list(_FORESTS)))
    takes_missing = name != "GradientBoostingRegressor"
    data = table(rng, missing=takes_missing)
    model = _forest(rng, name, data, codes=True)
    return Fit(
        TreeEnsemble.from_sklearn(model, features=data.features),
        lambda z: np.asarray(model.predict(z)),
        takes_missing,
        DOUBLE,
    )


def onnx_fit(rng: np.random.Generator) -> Fit:
    """Converted by skl2onnx and onnxmltools from the other libraries' regressors."""
    source = str(rng.choice([*_FORESTS, "lightgbm", "xgboost"]))
    # Converters of scikit-learn's forests write no tracks of missing values, and that of XGBoost
    # takes no codes.
    data = table(rng, missing=source in ("lightgbm", "xgboost"), codes=source != "xgboost")
    taken = [None, len(data.features)]
    if source == "lightgbm":
        booster = _booster(rng, data, "regression")
        model = convert_lightgbm(booster, initial_types=[("X", FloatTensorType(taken))])
    elif source == "xgboost":
        trained = _gradient_booster(rng, data, ["reg:squarederror"], plain=True)
        model = convert_xgboost(trained, initial_types=[("X", FloatTensorType(taken))])
    else:
        forest = _forest(rng, source, data, codes=False)
        model = to_onnx(forest, initial_types=[("X", SklearnFloats(taken))])
    return Fit(
        TreeEnsemble.from_onnx(model, features=data.features),
        _runtime(model),
        takes_missing=source in ("lightgbm", "xgboost"),
        tolerance=SINGLE,
    )


LIBRARIES: Mapping[str, Callable[[np.random.Generator], Fit]] = {
    "lightgbm": lightgbm_fit,
    "xgboost": xgboost_fit,
    "sklearn": sklearn_fit,
    "onnx": onnx_fit,
}

_FORESTS = {
    "RandomForestRegressor": "n_estimators",
    "ExtraTreesRegressor": "n_estimators",
    "GradientBoostingRegressor": "n_estimators",
    "HistGradientBoostingRegressor": "max_iter",
}


def _booster(rng: np.random.Generator, data: Table, objective: str) -> lightgbm.Booster:
    boosting = str(rng.choice(["gbdt", "gbdt", "dart", "rf"]))
    parameters = {
        "objective": objective,
        "boosting": boosting,
        "max_depth": data.depth,
        "num_leaves": int(rng.integers(2, 17)),
        "learning_rate": float(rng.choice([0.05, 0.3, 1.0])),
        "min_data_in_leaf": int(rng.integers(1, 6)),
        "min_data_in_bin": 1,
        "min_data_per_group": int(rng.integers(1, 6)),
        "cat_smooth": float(rng.choice([0.0, 1.0])),
        "max_cat_to_onehot": int(rng.choice([1, 4])),
        "zero_as_missing": bool(rng.random() < 0.2),
        "use_missing": bool(rng.random() < 0.8),
        "seed": data.seed,
        "num_threads": 1,
        "verbosity": -1,
    }
    if boosting == "rf":
        parameters |= {"bagging_fraction": 0.6, "bagging_freq": 1}
    y = (data.y > np.median(data.y)).astype(float) if objective == "binary" else data.y
    dataset = lightgbm.Dataset(data.z, y, categorical_feature=data.codes)
    return lightgbm.train(parameters, dataset, data.trees)


def _gradient_booster(
    rng: np.random.Generator, data: Table, objectives: list[str], *, plain: bool = False
) -> xgboost.Booster:
    """`plain` leaves out what converters do not read."""
    objective = str(rng.choice(objectives))
    parameters = {
        "objective": objective,
        "max_depth": data.depth,
        "eta": float(rng.choice([0.05, 0.3, 1.0])),
        "min_child_weight": float(rng.choice([0.0, 1.0])),
        "lambda": float(rng.choice([0.0, 1.0])),
        "max_cat_to_onehot": int(rng.choice([1, 4])),
        "seed": data.seed,
        "nthread": 1,
        "verbosity": 0,
    }
    if not plain:
        kinds: list[dict[str, Any]] = [
            {},
            {"booster": "dart", "rate_drop": 0.3},
            {"num_parallel_tree": 2, "subsample": 0.6},
        ]
        parameters |= kinds[rng.integers(3)]
    y = (data.y > np.median(data.y)).astype(float) if "logistic" in objective else data.y
    matrix = xgboost.DMatrix(data.z, y) if plain else _matrix(data, data.z, y)
    return xgboost.train(parameters, matrix, data.trees)


def _matrix(data: Table, z: Numbers, y: Numbers | None = None) -> xgboost.DMatrix:
    kinds = ["c" if isinstance(kind, Categorical) else "q" for kind in data.features]
    return xgboost.DMatrix(z, y, feature_types=kinds, enable_categorical=True)


def _forest(rng: np.random.Generator, name: str, data: Table, *, codes: bool) -> Any:
    """One of scikit-learn's; `codes` lets histograms split codes by sets."""
    settings: dict[str, Any] = {
        _FORESTS[name]: data.trees,
        "max_depth": data.depth,
        "min_samples_leaf": int(rng.integers(1, 6)),
        "random_state": data.seed,
    }
    if name == "HistGradientBoostingRegressor":
        settings |= {"early_stopping": False, "learning_rate": float(rng.choice([0.1, 1.0]))}
        settings["categorical_features"] = data.codes if codes and data.codes else None
    return getattr(forests, name)(**settings).fit(data.z, data.y)


def _runtime(model: Any) -> Predict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def predict(z: Numbers) -> Numbers:
        (out,) = session.run(None, {"X": z.astype(np.float32)})
        return np.asarray(out, dtype=np.float64).ravel()

    return predict
