"""The features of a model: what the caller states, checked against what the model knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from solvers.trees.features import Categorical, Feature
from vqlso.errors import SolverError


def settled_features(
    features: Sequence[Feature] | None,
    categories: int | Sequence[int] | None,
    *,
    known: Sequence[Feature],
    trained: NDArray[np.int64],
) -> tuple[Feature, ...]:
    """The features that the caller states, or else those that the model knows.

    Args:
        features: stated kinds and ranges.
        categories: shorthand for Categorical features: K of all, or one K per feature.
        known: (n_features,) what the model says of each.
        trained: (n_features,) one more than the highest category that the model was trained on
            or mentions; 0 for a feature that it does not split by categories.

    Raises:
        SolverError: both kinds of statement, another number of features, or fewer categories
            than the model was trained on.
    """
    if features is not None and categories is not None:
        raise SolverError("State the features or the categories, not both.")
    if categories is not None:
        features = [Categorical(K) for K in _one_each(categories, len(known))]
    if features is None:
        return tuple(known)
    if len(features) != len(known):
        raise SolverError(
            f"The model has {len(known)} features; {len(features)} were stated. State one each."
        )
    for index, feature in enumerate(features):
        if isinstance(feature, Categorical) and feature.categories < trained[index]:
            raise SolverError(
                f"The model was trained on category {trained[index] - 1} of feature {index}, "
                f"which was stated to have {feature.categories}: state at least {trained[index]}."
            )
    return tuple(features)


def _one_each(categories: int | Sequence[int], n_features: int) -> Sequence[int]:
    if isinstance(categories, int | np.integer):
        return [int(categories)] * n_features
    if len(categories) != n_features:
        raise SolverError(
            f"The model has {n_features} features; got numbers of categories of {len(categories)}."
        )
    return categories
