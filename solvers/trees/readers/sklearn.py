"""Reader of scikit-learn's fitted trees, forests and boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Feature
from solvers.trees.readers.assembly import OneTree, joined
from solvers.trees.readers.histogram import categorical_codes, histogram_nodes
from solvers.trees.readers.stated import settled_features
from solvers.trees.transforms import IDENTITY, OutputTransform
from vqlso.errors import SolverError

_FORESTS = ("RandomForestRegressor", "ExtraTreesRegressor")
_TREES = ("DecisionTreeRegressor", "ExtraTreeRegressor")
_BOOSTED = ("GradientBoostingRegressor", "GradientBoostingClassifier")
_HISTOGRAM = ("HistGradientBoostingRegressor", "HistGradientBoostingClassifier")

# The inverse of each link function (sklearn/_loss/link.py).
_TRANSFORMS = {
    "IdentityLink": IDENTITY,
    "LogLink": OutputTransform("exponential"),
    "LogitLink": OutputTransform("sigmoid"),
    "HalfLogitLink": OutputTransform("sigmoid", scale=2.0),
}


def read_sklearn(
    model: Any,
    *,
    features: Sequence[Feature] | None = None,
    categories: int | Sequence[int] | None = None,
) -> TreeEnsemble:
    """The ensemble of a scikit-learn estimator; see `TreeEnsemble.from_sklearn`."""
    kind = _kind(model)
    _refuse_inexpressible(model, kind)
    n_features = int(model.n_features_in_)
    known: list[Feature] = [Continuous()] * n_features
    if kind in _HISTOGRAM:
        parts = {
            **histogram_nodes(model),
            "base": float(model._baseline_prediction.item()),
            "transform": _transform(model),
        }
        for feature, codes in categorical_codes(model).items():
            known[feature] = Categorical(int(codes.max(initial=0)) + 1)
    elif kind in _BOOSTED:
        parts = _boosted(model)
    else:
        parts = _averaged(model.estimators_ if kind in _FORESTS else [model])
    trained = np.array([getattr(feature, "categories", 0) for feature in known], dtype=np.int64)
    return TreeEnsemble(
        **parts,
        n_features=n_features,
        features=settled_features(features, categories, known=known, trained=trained),
    )


def _kind(model: Any) -> str:
    """The scikit-learn class that the model is or inherits from."""
    readable = (*_TREES, *_FORESTS, *_BOOSTED, *_HISTOGRAM)
    for ancestor in type(model).__mro__:
        if ancestor.__module__.startswith("sklearn.") and ancestor.__name__ in readable:
            return ancestor.__name__
    raise SolverError(
        f"{type(model).__name__} is not read; scikit-learn's readable estimators are "
        f"{', '.join(readable)}. Of a pipeline or a search pass its last or best estimator."
    )


def _refuse_inexpressible(model: Any, kind: str) -> None:
    if not any(hasattr(model, name) for name in ("tree_", "estimators_", "_predictors")):
        raise SolverError(f"The {kind} has no trees yet: fit it first.")
    outputs = getattr(model, "n_trees_per_iteration_", getattr(model, "n_outputs_", 1))
    if outputs != 1:
        raise SolverError(
            f"A {kind} with {outputs} outputs has no single prediction to maximise; train one "
            "model per output."
        )


def _averaged(estimators: Sequence[Any]) -> dict[str, Any]:
    trees = [_tree(estimator.tree_, factor=1 / len(estimators)) for estimator in estimators]
    return {**joined(trees), "base": 0.0, "input_dtype": "float32"}


def _boosted(model: Any) -> dict[str, Any]:
    if not isinstance(model.init_, str) and not type(model.init_).__name__.startswith("Dummy"):
        raise SolverError(
            f"The {type(model).__name__} starts from a {type(model.init_).__name__}, which is no "
            "constant: train with init=None or init='zero'."
        )
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))
    trees = [_tree(e.tree_, factor=model.learning_rate) for e in model.estimators_[:, 0]]
    return {
        **joined(trees),
        "base": float(start[0, 0]),
        "input_dtype": "float32",
        "transform": _transform(model),
    }


def _transform(model: Any) -> OutputTransform:
    link = type(model._loss.link).__name__
    if link not in _TRANSFORMS:
        raise SolverError(
            f"A {type(model).__name__} with scikit-learn's {link} is not read; use a loss whose "
            f"link is one of {', '.join(_TRANSFORMS)}."
        )
    return _TRANSFORMS[link]


def _tree(tree: Any, factor: float) -> OneTree:
    is_leaf = tree.children_left < 0
    return OneTree(
        feature=np.where(is_leaf, -1, tree.feature),
        threshold=_as_single(tree.threshold),
        left=tree.children_left,
        right=tree.children_right,
        missing_left=np.asarray(tree.missing_go_to_left, dtype=bool),
        value=tree.value[:, 0, 0] * factor,
    )


def _as_single(threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest float32 up to each threshold: inputs are float32, so none falls between."""
    with np.errstate(over="ignore"):
        single = threshold.astype(np.float32)
    lower = np.nextafter(single, np.float32(-np.inf))
    return np.where(single > threshold, lower, single).astype(np.float64)
