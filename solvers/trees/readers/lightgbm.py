"""Reader of LightGBM's text model (src/io/tree.cpp and gbdt_model_text.cpp of its sources)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Feature
from solvers.trees.readers.stated import settled_features
from solvers.trees.transforms import IDENTITY, OutputTransform
from vqlso.errors import SolverError

# Bits of LightGBM's `decision_type` (include/LightGBM/tree.h).
_CATEGORICAL = 1
_DEFAULT_LEFT = 2
_MISSING_SHIFT = 2
_MISSING_ZERO = 1

# ConvertOutput of each class in src/objective; "sqrt" among the settings squares the first group.
_PLAIN = {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}
_RANKING = {"lambdarank", "rank_xendcg"}
_EXPONENTIAL = {"poisson", "gamma", "tweedie"}

# LightGBM counts the leaves of a tree in 32 bits.
_MOST_LEAVES = (1 << 31) - 1

Block = dict[str, str]


def read_lightgbm(
    model: Any,
    *,
    features: Sequence[Feature] | None = None,
    categories: int | Sequence[int] | None = None,
) -> TreeEnsemble:
    """The ensemble of a LightGBM model; see `TreeEnsemble.from_lightgbm`."""
    header, trees = _blocks(_model_text(model))
    _refuse_inexpressible(header, trees)
    n_features = _whole(header["max_feature_idx"], "max_feature_idx") + 1
    known, trained = _known_features(header, n_features)
    return TreeEnsemble(
        **_nodes(trees, scale=1 / len(trees) if "average_output" in header else 1.0),
        base=0.0,
        n_features=n_features,
        features=settled_features(features, categories, known=known, trained=trained),
        transform=_transform(header),
        tiny_is_zero=True,
    )


def _model_text(model: Any) -> str:
    if isinstance(model, str):
        return model
    if isinstance(model, Path):
        try:
            return model.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SolverError(f"{model} cannot be read as a LightGBM model: {error}.") from error
    if hasattr(type(model), "booster_"):
        if not model.__sklearn_is_fitted__():
            raise SolverError(f"The {type(model).__name__} has no `booster_` yet: fit it first.")
        model = model.booster_
    if not hasattr(model, "model_to_string"):
        raise SolverError(
            "A LightGBM model is read from a lightgbm.Booster, a fitted estimator, or the text "
            f"of Booster.model_to_string; got {type(model).__name__}."
        )
    return str(model.model_to_string())


def _blocks(text: str) -> tuple[Block, list[Block]]:
    """`key=value` lines of the header and of each tree."""
    head, end, _ = text.partition("\nend of trees")
    header, *trees = head.split("\nTree=")
    parsed = _lines(header)
    if not end or "max_feature_idx" not in parsed or not trees:
        raise SolverError(
            "The text is no complete LightGBM model: it needs a header with max_feature_idx, "
            "at least one tree, and 'end of trees'. Save it with Booster.model_to_string."
        )
    return parsed, [_lines(tree) for tree in trees]


def _lines(text: str) -> Block:
    return {key: value for key, _, value in (line.partition("=") for line in text.split("\n"))}


def _refuse_inexpressible(header: Block, trees: list[Block]) -> None:
    per_iteration = _whole(header.get("num_tree_per_iteration", "1"), "num_tree_per_iteration")
    if per_iteration != 1:
        raise SolverError(
            f"A multiclass LightGBM model ({per_iteration} trees per iteration) has no single "
            "prediction to maximise; train one regression per class."
        )
    if any(tree.get("is_linear", "0") != "0" for tree in trees):
        raise SolverError(
            "Linear trees have no constant leaves to choose from; train with linear_tree=False."
        )


def _transform(header: Block) -> OutputTransform:
    # A booster that was trained by a function of the caller's has no objective to apply.
    name, *settings = header.get("objective", "regression").split() or [""]
    if name in _RANKING or (name in _PLAIN and "sqrt" not in settings):
        return IDENTITY
    if name in _PLAIN:
        return OutputTransform("signed_square")
    if name in _EXPONENTIAL:
        return OutputTransform("exponential")
    if name == "cross_entropy":
        return OutputTransform("sigmoid")
    if name == "cross_entropy_lambda":
        return OutputTransform("softplus")
    if name == "binary":
        factors = [setting[8:] for setting in settings if setting.startswith("sigmoid:")]
        return OutputTransform("sigmoid", scale=_number((factors or ["1"])[0], "sigmoid"))
    raise SolverError(
        f"LightGBM's objective '{name}' is not read; use a regression, binary, cross-entropy or "
        "ranking objective."
    )


def _known_features(header: Block, n_features: int) -> tuple[list[Feature], NDArray[np.int64]]:
    """What `feature_infos` says: [min:max], the categories as a:b:c, or none."""
    infos = header.get("feature_infos", "").split()
    if len(infos) != n_features:
        raise SolverError(
            f"The model's feature_infos describes {len(infos)} features of {n_features}: the text "
            "is damaged."
        )
    known = [_known_feature(info) for info in infos]
    trained = [f.categories if isinstance(f, Categorical) else 0 for f in known]
    return known, np.array(trained, dtype=np.int64)


def _known_feature(info: str) -> Feature:
    if info == "none":
        return Continuous()
    if info.startswith("["):
        lower, _, upper = info.strip("[]").partition(":")
        return Continuous(_number(lower, "feature_infos"), _number(upper, "feature_infos"))
    # -1 stands for missing values.
    return Categorical(int(_parsed(info, np.int64, "feature_infos", ":").max(initial=0)) + 1)


def _nodes(trees: list[Block], scale: float) -> dict[str, Any]:
    """Node arrays of all trees: each tree's splits, then its leaves.

    Each key of the text is parsed once for all trees, since 800 small conversions per key
    dominated the reading time.
    """
    n_leaves = _column(trees, "num_leaves", np.int64, np.ones(len(trees), dtype=np.int64))
    for count, tree in ((n_leaves.min(), n_leaves.argmin()), (n_leaves.max(), n_leaves.argmax())):
        if not 1 <= count <= _MOST_LEAVES:
            raise SolverError(f"Tree {tree} has {count} leaves: damaged text.")
    # A tree with one leaf has no split arrays at all.
    n_splits = n_leaves - 1
    first = np.cumsum(n_splits + n_leaves) - (n_splits + n_leaves)
    splits = _ranges(first, n_splits)
    leaves = _ranges(first + n_splits, n_leaves)
    n = int((n_splits + n_leaves).sum())
    values = _column(trees, "leaf_value", np.float64, n_leaves)

    decision = _column(trees, "decision_type", np.int64, n_splits)
    threshold = _column(trees, "threshold", np.float64, n_splits)
    tree_of_split = np.repeat(np.arange(len(trees)), n_splits)
    is_categorical = (decision & _CATEGORICAL) > 0

    def child(key: str) -> NDArray[np.int64]:
        # A child >= 0 is a split of the same tree; ~child is a leaf.
        index = _column(trees, key, np.int64, n_splits)
        outside = (index >= n_splits[tree_of_split]) | (~index >= n_leaves[tree_of_split])
        if outside.any():
            raise SolverError(
                f"`{key}` of tree {tree_of_split[outside][0]} names node {index[outside][0]}, "
                "which the tree does not have: damaged text."
            )
        node = np.where(index >= 0, index, n_splits[tree_of_split] + ~index) + first[tree_of_split]
        return _scatter(np.arange(n), splits, node)

    missing_type = (decision >> _MISSING_SHIFT) & 3
    default_left = (decision & _DEFAULT_LEFT) > 0
    # Without a missing type NaN counts as 0.0; a missing category always goes right
    # (LightGBM's Tree::NumericalDecision and Tree::CategoricalDecision).
    nan_left = np.where(missing_type == 0, threshold >= 0.0, default_left) & ~is_categorical
    subset = np.where(is_categorical, np.cumsum(is_categorical) - 1, -1)
    feature = _column(trees, "split_feature", np.int64, n_splits)
    return {
        "feature": _scatter(np.full(n, -1), splits, feature),
        "threshold": _scatter(np.zeros(n), splits, np.where(is_categorical, 0.0, threshold)),
        "subset": _scatter(np.full(n, -1), splits, subset),
        "subsets": _subsets(trees, tree_of_split[is_categorical], threshold[is_categorical]),
        "unknown_left": np.zeros(n, dtype=bool),
        "left": child("left_child"),
        "right": child("right_child"),
        "missing_left": _scatter(np.zeros(n, dtype=bool), splits, nan_left),
        "zero_is_missing": _scatter(np.zeros(n, dtype=bool), splits, missing_type == _MISSING_ZERO),
        "value": _scatter(np.zeros(n), leaves, values * scale),
        "roots": first,
    }


def _subsets(
    trees: list[Block], tree: NDArray[np.int64], number: NDArray[np.float64]
) -> NDArray[np.uint64]:
    """(S, W) left sets of the categorical splits `number` of trees `tree`.

    They are 32-bit words in `cat_threshold`; split k of a tree owns the words from
    `cat_boundaries[k]` to `cat_boundaries[k + 1]`; a set bit goes left.
    """
    if not len(tree):
        return np.zeros((0, 0), dtype=np.uint64)
    n_boundaries = _lengths(trees, "cat_boundaries")
    n_words = _lengths(trees, "cat_threshold")
    words = _column(trees, "cat_threshold", np.int64, n_words)
    _check_sets(((words >= 0) & (words < 1 << 32)), np.repeat(np.arange(len(trees)), n_words))
    boundaries = _column(trees, "cat_boundaries", np.int64, n_boundaries)
    _check_sets((number >= 0) & (number < n_boundaries[tree] - 1), tree)
    position = (np.cumsum(n_boundaries) - n_boundaries)[tree] + number.astype(np.int64)
    start, end = boundaries[position], boundaries[position + 1]
    _check_sets((start >= 0) & (start <= end) & (end <= n_words[tree]), tree)
    # Pairs of 32-bit words make the 64-bit words of an ensemble.
    offsets = np.arange(2 * -(-(end - start).max() // 2))
    inside = offsets < (end - start)[:, None]
    at = (np.cumsum(n_words) - n_words)[tree] + start
    owned = np.where(inside, words[np.where(inside, at[:, None] + offsets, 0)], 0)
    halves = owned.astype(np.uint64).reshape(len(tree), -1, 2)
    return halves[:, :, 0] | halves[:, :, 1] << np.uint64(32)


def _check_sets(sound: NDArray[np.bool_], tree: NDArray[np.int64]) -> None:
    if not sound.all():
        raise SolverError(
            f"A categorical split of tree {tree[~sound][0]} names categories outside "
            "`cat_boundaries` and `cat_threshold`: damaged text."
        )


def _column(trees: list[Block], key: str, dtype: type, length: NDArray[np.int64]) -> NDArray[Any]:
    """The values of one key, length[i] of tree i, concatenated over all trees."""
    values = _parsed(" ".join(tree.get(key, "") for tree in trees), dtype, key)
    if len(values) != length.sum():
        faulty = int(np.flatnonzero(_lengths(trees, key) != length)[0])
        raise SolverError(
            f"Tree {faulty} of the model needs {length[faulty]} entries of `{key}`: damaged text."
        )
    return values


def _parsed(text: str, dtype: type, key: str, separator: str = " ") -> NDArray[Any]:
    """The numbers in a text, by NumPy's parser: one string a number takes three times as long."""
    with warnings.catch_warnings():
        # NumPy will raise an error some day where it stops before the end, and warns until then.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype=dtype, sep=separator)
        except (DeprecationWarning, ValueError) as error:
            raise SolverError(f"`{key}` of the model holds more than numbers: {error}.") from error


def _lengths(trees: list[Block], key: str) -> NDArray[np.int64]:
    return np.array([len(tree.get(key, "").split()) for tree in trees])


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranges [first, first + length), concatenated."""
    before = np.cumsum(length) - length
    return np.repeat(first - before, length) + np.arange(length.sum())


def _scatter(array: NDArray[Any], at: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    array[at] = values
    return array


def _whole(text: str, key: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise SolverError(f"`{key}` of the model is '{text}', no whole number.") from error


def _number(text: str, key: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SolverError(f"`{key}` of the model is '{text}', no number.") from error
