"""Nodes of scikit-learn's histogram-based gradient boosting, over the caller's own columns.

Its trees see the categorical columns first, each encoded as the ranks of its sorted categories.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.trees import bitsets
from solvers.trees.readers.assembly import OneTree, joined
from vqlso.errors import SolverError

# Bitsets are as wide as the highest code, however few codes there are.
_MOST_CODES = 2**16

_WORD_BITS = 32


def categorical_codes(model: Any) -> dict[int, NDArray[np.int64]]:
    """The categories of each categorical feature that the model was trained on, ascending.

    Raises:
        SolverError: categories that are no codes 0..K-1.
    """
    if model._preprocessor is None:
        return {}
    encoder = model._preprocessor.named_transformers_["encoder"]
    return {
        int(feature): _checked_codes(values, int(feature))
        for feature, values in zip(
            np.flatnonzero(model.is_categorical_), encoder.categories_, strict=True
        )
    }


def histogram_nodes(model: Any) -> dict[str, Any]:
    """Node arrays of a fitted histogram-based model of one output."""
    codes = categorical_codes(model)
    predictors = [predictor for (predictor,) in model._predictors]
    nodes = joined([_tree(predictor.nodes, _columns(model)) for predictor in predictors])
    is_categorical = np.concatenate([p.nodes["is_categorical"] for p in predictors]) > 0
    split = np.flatnonzero(is_categorical & (nodes["feature"] >= 0))
    if not len(split):
        return nodes
    left = nodes["missing_left"][split]
    n_codes = max(int(codes[feature].max()) + 1 for feature in nodes["feature"][split])
    members = np.repeat(left[:, None], n_codes, axis=1)  # an unknown category counts as missing
    encoded = _encoded_members(predictors, split, nodes["roots"])
    for row, feature in enumerate(nodes["feature"][split]):
        members[row, codes[feature]] = encoded[row, : len(codes[feature])]
    return {
        **nodes,
        "subset": _placed(np.full(len(is_categorical), -1), split, np.arange(len(split))),
        "subsets": _with_rest(members, left),
        "unknown_left": _placed(np.zeros(len(is_categorical), dtype=bool), split, left),
        "category_rounding": "exact",
    }


def _checked_codes(values: NDArray[Any], feature: int) -> NDArray[np.int64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array([-1.0])
    numbers = numbers[~np.isnan(numbers)]
    if ((numbers < 0) | (numbers % 1 != 0) | (numbers >= _MOST_CODES)).any():
        raise SolverError(
            f"The categories of feature {feature} are {values[:3].tolist()}..., not codes from 0 "
            f"to {_MOST_CODES - 1}: number them from 0 before training."
        )
    return numbers.astype(np.int64)


def _columns(model: Any) -> NDArray[np.int64]:
    """The feature behind each column that the trees see."""
    if model._preprocessor is None:
        return np.arange(model.n_features_in_)
    is_categorical = np.asarray(model.is_categorical_, dtype=bool)
    return np.concatenate([np.flatnonzero(is_categorical), np.flatnonzero(~is_categorical)])


def _tree(nodes: NDArray[np.void], columns: NDArray[np.int64]) -> OneTree:
    is_leaf = nodes["is_leaf"] > 0
    return OneTree(
        feature=np.where(is_leaf, -1, columns[nodes["feature_idx"]]),
        threshold=nodes["num_threshold"],
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        missing_left=nodes["missing_go_to_left"] > 0,
        value=nodes["value"],
    )


def _encoded_members(
    predictors: list[Any], split: NDArray[np.int64], roots: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(S, 256) whether an encoded category goes left at each of the nodes `split`."""
    sets = [predictor.raw_left_cat_bitsets for predictor in predictors]
    before = np.cumsum([0, *(len(rows) for rows in sets)])
    tree = np.searchsorted(roots, split, side="right") - 1
    within = np.concatenate([predictor.nodes["bitset_idx"] for predictor in predictors])[split]
    words = np.concatenate(sets)[before[tree] + within]
    bits = words[:, :, None] >> np.arange(_WORD_BITS) & 1
    return np.asarray(bits.reshape(len(split), -1), dtype=bool)


def _with_rest(members: NDArray[np.bool_], left: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Bitsets whose last word is filled up with what unknown categories do."""
    rest = -members.shape[1] % bitsets.WORD_BITS
    return bitsets.packed(np.concatenate([members, np.repeat(left[:, None], rest, axis=1)], axis=1))


def _placed(array: NDArray[Any], at: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    array[at] = values
    return array
