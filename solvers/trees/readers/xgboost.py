"""Reader of XGBoost's model in JSON or UBJSON (doc/model.schema of its sources).

Values are compared and leaves added in float32, as its CPU predictor does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.trees import bitsets
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Feature
from solvers.trees.libm import logarithm
from solvers.trees.readers import ubjson
from solvers.trees.readers.assembly import OneTree, below, joined
from solvers.trees.readers.json_model import Json, entry, floats, integers, whole
from solvers.trees.readers.stated import settled_features
from solvers.trees.transforms import IDENTITY, OutputTransform
from vqlso.errors import SolverError

# PredTransform of each class in src/objective.
_SIGMOID = {"reg:logistic", "binary:logistic"}
_EXPONENTIAL = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"}
_PLAIN = {
    "reg:squarederror",
    "reg:linear",
    "reg:squaredlogerror",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:quantileerror",
    "reg:expectileerror",
    "binary:logitraw",
    "rank:ndcg",
    "rank:pairwise",
    "rank:map",
}

# XGBoost's categories lie below 2**24, which float32 counts exactly (src/common/categorical.h).
_MOST_CATEGORIES = 2**24

# Far above any data set, far below what would exhaust the memory.
_MOST_FEATURES = 2**24


def read_xgboost(
    model: Any,
    *,
    features: Sequence[Feature] | None = None,
    categories: int | Sequence[int] | None = None,
) -> TreeEnsemble:
    """The ensemble of an XGBoost model; see `TreeEnsemble.from_xgboost`."""
    document, iterations = _loaded(model)
    learner = entry(document, "learner")
    objective = _objective(learner)
    booster, weights = _trees_of(learner, iterations)
    n_features = whole(entry(learner, "learner_model_param"), "num_feature")
    if not 0 < n_features <= _MOST_FEATURES:
        raise SolverError(f"`num_feature` of the model is {n_features}: the model is damaged.")
    weighted = zip(booster, weights, strict=True)
    nodes = joined([_tree(tree, i, weight) for i, (tree, weight) in enumerate(weighted)])
    mentioned = _set_categorical(nodes, booster, n_features)
    if _zero_is_missing(model):
        if (nodes["subset"] >= 0).any():
            raise SolverError(
                "With missing=0 category 0 is missing too: train with missing=nan, or without "
                "categorical features."
            )
        nodes["zero_is_missing"] = nodes["feature"] >= 0
    known = _known_features(learner, mentioned)
    trained = np.where(mentioned > 0, [getattr(f, "categories", 0) for f in known], 0)
    return TreeEnsemble(
        **nodes,
        base=_base(learner, objective),
        n_features=n_features,
        features=settled_features(features, categories, known=known, trained=trained),
        transform=_transform(objective),
        input_dtype="float32",
        sum_dtype="float32",
        category_rounding="floored",
    )


def _loaded(model: Any) -> tuple[Json, int | None]:
    """The JSON object of a model, and how many boosting iterations count if not all."""
    iterations = None
    if isinstance(model, str | Path):
        return _file_json(Path(model)), None
    if hasattr(type(model), "get_booster"):
        if not model.__sklearn_is_fitted__():
            raise SolverError(f"The {type(model).__name__} has no trees yet: fit it first.")
        best = getattr(model, "best_iteration", None)
        iterations = None if best is None else int(best) + 1
        model = model.get_booster()
    if not hasattr(model, "save_raw"):
        raise SolverError(
            "An XGBoost model is read from an xgboost.Booster, a fitted estimator, or the path of "
            f"its JSON or UBJSON file; got {type(model).__name__}."
        )
    return json.loads(bytes(model.save_raw(raw_format="json"))), iterations


def _file_json(path: Path) -> Json:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SolverError(f"{path} cannot be read as an XGBoost model: {error}.") from error
    try:
        is_text = content[1:2] in (b'"', b" ", b"\n", b"\r", b"\t")
        return json.loads(content) if is_text else ubjson.parsed(content)
    except (ValueError, RecursionError) as error:
        raise SolverError(f"{path} is no XGBoost model in JSON or UBJSON: {error}.") from error


def _zero_is_missing(model: Any) -> bool:
    missing = getattr(model, "missing", np.nan)
    if missing is None or isnan(missing):
        return False
    if missing != 0:
        raise SolverError(
            f"An XGBoost estimator with missing={missing} is not read: replace that value by nan "
            "in the data and train with missing=nan."
        )
    return True


def _objective(learner: Json) -> str:
    parameters = entry(learner, "learner_model_param")
    for key in ("num_class", "num_target"):
        if whole(parameters, key, default="0") > 1:
            raise SolverError(
                f"An XGBoost model with {key}={parameters[key]} has no single prediction to "
                "maximise; train one model per output."
            )
    name = str(entry(entry(learner, "objective"), "name"))
    if name not in _SIGMOID | _EXPONENTIAL | _PLAIN:
        raise SolverError(
            f"XGBoost's objective '{name}' is not read; use one of "
            f"{', '.join(sorted(_SIGMOID | _EXPONENTIAL | _PLAIN))}."
        )
    return name


def _transform(objective: str) -> OutputTransform:
    if objective in _SIGMOID:
        return OutputTransform("sigmoid", precision="float32")
    if objective in _EXPONENTIAL:
        # survival:aft alone calls exp of double.
        is_double = objective == "survival:aft"
        return OutputTransform("exponential", precision="rounded" if is_double else "float32")
    return IDENTITY


def _base(learner: Json, objective: str) -> float:
    """`base_score`, which is a prediction, as a sum (ProbToMargin in src/objective)."""
    text = str(entry(entry(learner, "learner_model_param"), "base_score"))
    try:
        score = np.float32(text.strip("[]"))
    except ValueError as error:
        raise SolverError(f"`base_score` of the model is '{text}', no number.") from error
    if objective not in _SIGMOID | _EXPONENTIAL:
        return float(score)
    odds = np.float32(1) / score - np.float32(1) if objective in _SIGMOID else score
    if not odds > 0:
        raise SolverError(f"`base_score` {text} is outside the range of objective '{objective}'.")
    return float(-logarithm(odds) if objective in _SIGMOID else logarithm(odds))


def _trees_of(learner: Json, iterations: int | None) -> tuple[list[Json], NDArray[np.float32]]:
    """The trees that predict, and the factor of each."""
    booster = entry(learner, "gradient_booster")
    name = entry(booster, "name")
    if name not in ("gbtree", "dart"):
        raise SolverError(f"XGBoost's booster '{name}' has no trees; use gbtree or dart.")
    drops = entry(booster, "weight_drop") if name == "dart" else None
    model = entry(entry(booster, "gbtree") if name == "dart" else booster, "model")
    trees = entry(model, "trees")
    if not isinstance(trees, list):
        raise SolverError("`trees` of the model is no list: the model is damaged.")
    weights = np.ones(len(trees), np.float32) if drops is None else floats(drops, "weight_drop")
    if len(weights) != len(trees):
        raise SolverError(f"`weight_drop` has {len(weights)} entries for {len(trees)} trees.")
    if iterations is not None:
        parallel = whole(entry(model, "gbtree_model_param"), "num_parallel_tree", default="1")
        last = iterations * max(parallel, 1)
        trees, weights = trees[:last], weights[:last]
    return trees, weights


def _tree(tree: Json, number: int, weight: np.float32) -> OneTree:
    if whole(entry(tree, "tree_param"), "size_leaf_vector", default="0") > 1:
        raise SolverError(
            "An XGBoost model with vector leaves has no single prediction to maximise; train with "
            "multi_strategy='one_output_per_tree', one model per output."
        )
    left = integers(entry(tree, "left_children"), "left_children")
    others = ("right_children", "split_indices", "default_left")
    numbers = {key: integers(entry(tree, key), key) for key in others}
    condition = floats(entry(tree, "split_conditions"), "split_conditions")
    sizes = {key: len(column) for key, column in numbers.items()}
    for key, size in {**sizes, "split_conditions": len(condition)}.items():
        if size != len(left) or not size:
            raise SolverError(
                f"Tree {number} has {len(left)} nodes and {size} entries of `{key}`: the "
                "model is damaged."
            )
    is_leaf = left == -1
    if (numbers["split_indices"][~is_leaf] < 0).any():
        raise SolverError(f"Tree {number} splits a feature below 0: the model is damaged.")
    return OneTree(
        feature=np.where(is_leaf, -1, numbers["split_indices"]),
        threshold=below(condition),
        left=left,
        right=numbers["right_children"],
        missing_left=numbers["default_left"] > 0,
        value=(condition * weight).astype(np.float64),
    )


def _set_categorical(
    nodes: dict[str, Any], trees: list[Json], n_features: int
) -> NDArray[np.int64]:
    """Turn the nodes that split by categories into such; a model lists those that go right.

    Returns (n_features,) one more than the highest category that a split of each mentions.
    """
    mentioned = np.zeros(n_features, dtype=np.int64)
    parts = [
        _sets(tree, i, root)
        for i, (tree, root) in enumerate(zip(trees, nodes["roots"], strict=True))
    ]
    node, size, category = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if not len(node):
        return mentioned
    row, feature = np.repeat(np.arange(len(node)), size), nodes["feature"][node]
    if len(category) and not 0 <= category.min() <= category.max() < _MOST_CATEGORIES:
        raise SolverError(f"Categories lie in 0..{_MOST_CATEGORIES - 1}: the model is damaged.")
    if not ((feature >= 0) & (feature < n_features)).all():
        raise SolverError("A split by categories is none of the model's splits: damaged.")
    np.maximum.at(mentioned, feature, 1)
    np.maximum.at(mentioned, feature[row], category + 1)
    nodes["subset"][node] = np.arange(len(node))
    nodes["subsets"] = ~bitsets.from_pairs(
        row, category, n_sets=len(node), n_categories=int(mentioned.max())
    )
    nodes["unknown_left"][node] = True
    return mentioned


def _sets(
    tree: Json, number: int, root: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The nodes of a tree that split by categories, how many go right, and which."""
    inside = integers(entry(tree, "categories_nodes"), "categories_nodes")
    size = integers(entry(tree, "categories_sizes"), "categories_sizes")
    category = integers(entry(tree, "categories"), "categories")
    n_nodes = len(tree["left_children"])
    sound = len(inside) == len(size) and (size >= 0).all() and size.sum() == len(category)
    if not sound or ((inside < 0) | (inside >= n_nodes)).any():
        raise SolverError(f"The categories of tree {number} do not fit its nodes: damaged model.")
    return inside + root, size, category


def _known_features(learner: Json, mentioned: NDArray[np.int64]) -> list[Feature]:
    """Categorical with the count of the training table if it is stored, else by the splits."""
    types = learner.get("feature_types") or []
    if not isinstance(types, list):
        raise SolverError("`feature_types` of the model is no list: the model is damaged.")
    booster = learner["gradient_booster"]
    stored = booster.get("gbtree", booster)["model"].get("cats")
    segments = stored.get("feature_segments", []) if isinstance(stored, dict) else []
    counts = np.diff(integers(segments, "feature_segments"))
    counts = counts if len(counts) == len(mentioned) else np.zeros(len(mentioned), np.int64)
    return [
        Categorical(max(int(counts[i]), int(mentioned[i]), 1))
        if mentioned[i] or counts[i] or (i < len(types) and types[i] == "c")
        else Continuous()
        for i in range(len(mentioned))
    ]
