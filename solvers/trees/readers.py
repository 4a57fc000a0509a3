"""Readers of other libraries' fitted models into the neutral arrays of a `TreeEnsemble`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.trees.ensemble import TreeEnsemble
from vqlso.errors import SolverError

# Objectives whose prediction is the plain sum of the leaves; the others transform it, and the
# optimum would then be claimed on another scale than `Booster.predict` reports.
_UNTRANSFORMED = {
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "quantile",
    "mape",
    "lambdarank",
    "rank_xendcg",
}

# Bits of LightGBM's `decision_type` (include/LightGBM/tree.h).
_CATEGORICAL = 1
_DEFAULT_LEFT = 2
_MISSING_SHIFT = 2
_MISSING_ZERO = 1

_WORD_BITS = 32

Block = dict[str, str]


def read_lightgbm(model: Any, *, categories: int | Sequence[int] | None = None) -> TreeEnsemble:
    """The ensemble of a LightGBM booster or model text; see `TreeEnsemble.from_lightgbm`."""
    text = model if isinstance(model, str) else _model_text(model)
    header, trees = _blocks(text)
    _refuse_inexpressible(header, trees)
    n_features = int(header["max_feature_idx"]) + 1
    if isinstance(categories, int):
        categories = [categories] * n_features
    return TreeEnsemble(
        **_nodes(trees, scale=1 / len(trees) if "average_output" in header else 1.0),
        base=0.0,
        n_features=n_features,
        categories=None if categories is None else tuple(int(K) for K in categories),
    )


def _model_text(booster: Any) -> str:
    if not hasattr(booster, "model_to_string"):
        raise SolverError(
            "A LightGBM model is read from a lightgbm.Booster or its model text; got "
            f"{type(booster).__name__}. Of a scikit-learn estimator pass its `booster_`."
        )
    return str(booster.model_to_string())


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
    return {key: value for key, _, value in (line.partition("=") for line in text.splitlines())}


def _refuse_inexpressible(header: Block, trees: list[Block]) -> None:
    per_iteration = int(header.get("num_tree_per_iteration", "1"))
    if per_iteration != 1:
        raise SolverError(
            f"A multiclass LightGBM model ({per_iteration} trees per iteration) has no single "
            "prediction to maximise; train one regression per class."
        )
    if any(tree.get("is_linear", "0") != "0" for tree in trees):
        raise SolverError(
            "Linear trees have no constant leaves to choose from; train with linear_tree=False."
        )
    objective, *settings = header.get("objective", "regression").split()
    if objective not in _UNTRANSFORMED or "sqrt" in settings:
        raise SolverError(
            f"LightGBM's objective '{' '.join([objective, *settings])}' transforms the sum of "
            f"the leaves; use one that does not: {', '.join(sorted(_UNTRANSFORMED))}."
        )


def _nodes(trees: list[Block], scale: float) -> dict[str, Any]:
    """Node arrays of all trees: each tree's splits, then its leaves.

    Each key of the text is parsed once for all trees, since 800 small conversions per key
    dominated the reading time.
    """
    n_leaves = np.array([int(tree["num_leaves"]) for tree in trees])
    # A tree with one leaf has no split arrays at all.
    n_splits = n_leaves - 1
    first = np.cumsum(n_splits + n_leaves) - (n_splits + n_leaves)
    splits = _ranges(first, n_splits)
    leaves = _ranges(first + n_splits, n_leaves)
    n = int((n_splits + n_leaves).sum())

    decision = _column(trees, "decision_type", np.int64)
    threshold = _column(trees, "threshold", np.float64)
    tree_of_split = np.repeat(np.arange(len(trees)), n_splits)
    is_categorical = (decision & _CATEGORICAL) > 0

    def child(key: str) -> NDArray[np.int64]:
        # A child >= 0 is a split of the same tree; ~child is a leaf.
        index = _column(trees, key, np.int64)
        node = np.where(index >= 0, index, n_splits[tree_of_split] + ~index) + first[tree_of_split]
        return _scatter(np.arange(n), splits, node)

    missing_type = (decision >> _MISSING_SHIFT) & 3
    default_left = (decision & _DEFAULT_LEFT) > 0
    # Without a missing type NaN counts as 0.0; a missing category always goes right
    # (LightGBM's Tree::NumericalDecision and Tree::CategoricalDecision).
    nan_left = np.where(missing_type == 0, threshold >= 0.0, default_left) & ~is_categorical
    subset = np.where(is_categorical, np.cumsum(is_categorical) - 1, -1)
    return {
        "feature": _scatter(np.full(n, -1), splits, _column(trees, "split_feature", np.int64)),
        "threshold": _scatter(np.zeros(n), splits, np.where(is_categorical, 0.0, threshold)),
        "subset": _scatter(np.full(n, -1), splits, subset),
        "subsets": _subsets(
            trees, tree_of_split[is_categorical], threshold[is_categorical].astype(np.int64)
        ),
        "left": child("left_child"),
        "right": child("right_child"),
        "missing_left": _scatter(np.zeros(n, dtype=bool), splits, nan_left),
        "zero_is_missing": _scatter(np.zeros(n, dtype=bool), splits, missing_type == _MISSING_ZERO),
        "value": _scatter(np.zeros(n), leaves, _column(trees, "leaf_value", np.float64) * scale),
        "roots": first,
    }


def _subsets(
    trees: list[Block], tree: NDArray[np.int64], index: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(S, W) left sets of the categorical splits number `index` of trees `tree`.

    They are 32-bit words in `cat_threshold`; split k of a tree owns the words from
    `cat_boundaries[k]` to `cat_boundaries[k + 1]`; a set bit goes left.
    """
    if not len(tree):
        return np.zeros((0, 0), dtype=bool)
    words = _column(trees, "cat_threshold", np.uint32)
    boundaries = _column(trees, "cat_boundaries", np.int64)
    n_boundaries = np.array([len(block.get("cat_boundaries", "").split()) for block in trees])
    n_words = np.array([len(block.get("cat_threshold", "").split()) for block in trees])
    position = (np.cumsum(n_boundaries) - n_boundaries)[tree] + index
    first_word = (np.cumsum(n_words) - n_words)[tree]
    start, end = first_word + boundaries[position], first_word + boundaries[position + 1]
    offsets = np.arange((end - start).max())
    inside = offsets < (end - start)[:, None]
    owned = np.where(inside, words[np.where(inside, start[:, None] + offsets, 0)], 0)
    bits = owned[:, :, None] >> np.arange(_WORD_BITS) & 1
    return bits.reshape(len(tree), -1).astype(bool)


def _column(trees: list[Block], key: str, dtype: type) -> NDArray[Any]:
    """The values of one key, concatenated over all trees."""
    return np.array(" ".join(tree.get(key, "") for tree in trees).split(), dtype=dtype)


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranges [first, first + length), concatenated."""
    before = np.cumsum(length) - length
    return np.repeat(first - before, length) + np.arange(length.sum())


def _scatter(array: NDArray[Any], at: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    array[at] = values
    return array
