"""A fitted tree ensemble as neutral arrays, whichever library grew it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.trees.features import Categorical, Continuous, Feature, Integer
from solvers.trees.structure import centres, check_features, check_structure
from solvers.trees.transforms import IDENTITY, OutputTransform, Precision
from vqlso.errors import SolverError

CategoryRounding = Literal["truncated", "floored", "exact"]

_DTYPES: dict[str, type[np.generic]] = {
    "feature": np.int64,
    "threshold": np.float64,
    "subset": np.int64,
    "unknown_left": np.bool_,
    "left": np.int64,
    "right": np.int64,
    "missing_left": np.bool_,
    "zero_is_missing": np.bool_,
    "value": np.float64,
    "roots": np.int64,
}


@dataclass(frozen=True, eq=False, repr=False)
class TreeEnsemble:
    """A sum of regression trees over n_features features, and the arithmetic of its library.

    All trees share one list of N nodes. A node splits either by a threshold (value <= threshold
    goes left) or by a set of categories (member goes left, other known category right).

    Attributes:
        feature: (N,) int64, the feature that a node splits; -1 for a leaf.
        threshold: (N,) float64, never rounded; unused where `subset` >= 0.
        subset: (N,) int64, row of `subsets` for a categorical split; -1 for a numeric one.
        subsets: (S, W) uint64 bitsets: bit c % 64 of word c // 64 is set if category c goes left.
        unknown_left: (N,) bool, where a category goes that is negative or not below 64 W.
        left, right: (N,) int64, child nodes; a leaf points to itself.
        missing_left: (N,) bool, whether a missing value goes left.
        zero_is_missing: (N,) bool, whether a numeric split takes 0 for missing, beside NaN.
        value: (N,) float64, finite contribution of a leaf to the sum; 0 elsewhere.
        roots: (T,) int64, the first node of each tree.
        base: what is added to the sum of the trees.
        n_features: number of features.
        features: the kind and range of each; None where only predictions are wanted, since
            maximising needs to know the values to choose from.
        transform: from the sum to the library's prediction.
        input_dtype: "float32" where the library rounds values before it compares them.
        sum_dtype: "float32" where the library adds leaves in that precision.
        tiny_is_zero: whether |value| <= 1e-35 counts as 0 (LightGBM).
        category_rounding: how a value becomes a category: "truncated" towards 0, "floored", or
            "exact", where a fraction is unknown. Codes of `Categorical` features are not touched.
        base_last: whether `base` is added after the leaves instead of before.
        averaged: whether the library adds T-fold leaves and divides the sum by T. `value` holds
            what remains after the division.

    Raises:
        SolverError: arrays that are no trees, leaves that are no numbers, or features that do
            not fit the splits.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    subset: NDArray[np.int64]
    subsets: NDArray[np.uint64]
    unknown_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    zero_is_missing: NDArray[np.bool_]
    value: NDArray[np.float64]
    roots: NDArray[np.int64]
    base: float
    n_features: int
    features: tuple[Feature, ...] | None = None
    transform: OutputTransform = IDENTITY
    input_dtype: Precision = "float64"
    sum_dtype: Precision = "float64"
    tiny_is_zero: bool = False
    category_rounding: CategoryRounding = "truncated"
    base_last: bool = False
    averaged: bool = False

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            object.__setattr__(self, name, array)
        if self.subsets.dtype != np.uint64 or self.subsets.ndim != 2:
            raise SolverError(
                "`subsets` are bitsets of shape (S, W) and dtype uint64, as "
                f"solvers.trees.bitsets.packed makes them; got {self.subsets.dtype}."
            )
        object.__setattr__(self, "subsets", np.ascontiguousarray(self.subsets))
        check_structure(self)
        if self.features is not None:
            object.__setattr__(self, "features", tuple(self.features))
            check_features(self, self.features)

    def __repr__(self) -> str:
        kinds = Counter(type(feature).__name__ for feature in self.features or ())
        known = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "of unknown kinds"
        return (
            f"TreeEnsemble(n_trees={self.n_trees}, nodes={len(self.feature)}, "
            f"n_features={self.n_features} ({known}), transform={self.transform.shape})"
        )

    @classmethod
    def from_model(
        cls,
        model: Any,
        *,
        features: Sequence[Feature] | None = None,
        categories: int | Sequence[int] | None = None,
    ) -> TreeEnsemble:
        """Read a fitted model of LightGBM, XGBoost, scikit-learn or ONNX, or a file of one.

        Args:
            model: a booster, estimator, model proto, or the path of a file: LightGBM's text,
                XGBoost's JSON or UBJSON, or ONNX, recognised by their content.
            features: kind and range of every feature; by default what the model knows of them.
            categories: shorthand for Categorical features: K of all, or one K per feature.

        Raises:
            SolverError: a model that no sum of constant leaves can express, or of a kind that
                is not read; a file that is missing, damaged or pickled.
            MissingExtraError: the file needs a library that is not installed.
        """
        from solvers.trees.readers import read_model

        return read_model(model, features=features, categories=categories)

    @classmethod
    def from_lightgbm(
        cls,
        model: Any,
        *,
        features: Sequence[Feature] | None = None,
        categories: int | Sequence[int] | None = None,
    ) -> TreeEnsemble:
        """Read a `lightgbm.Booster`, a fitted LightGBM estimator, or the text of its model.

        Features and errors are as in `from_model`. Left out, features are Continuous within the
        range of the training data, or Categorical up to its highest category.
        """
        from solvers.trees.readers.lightgbm import read_lightgbm

        return read_lightgbm(model, features=features, categories=categories)

    @classmethod
    def from_xgboost(
        cls,
        model: Any,
        *,
        features: Sequence[Feature] | None = None,
        categories: int | Sequence[int] | None = None,
    ) -> TreeEnsemble:
        """Read an `xgboost.Booster`, a fitted XGBoost estimator, or the path of a saved model.

        Features and errors are as in `from_model`. A booster is read with all its trees, as
        `Booster.predict` takes them; an estimator up to its best iteration.
        """
        from solvers.trees.readers.xgboost import read_xgboost

        return read_xgboost(model, features=features, categories=categories)

    @classmethod
    def from_sklearn(
        cls,
        model: Any,
        *,
        features: Sequence[Feature] | None = None,
        categories: int | Sequence[int] | None = None,
    ) -> TreeEnsemble:
        """Read a fitted tree, forest or gradient-boosting regressor of scikit-learn.

        Features and errors are as in `from_model`. Of a gradient-boosting classifier of two
        classes, the prediction is the probability of the second.
        """
        from solvers.trees.readers.sklearn import read_sklearn

        return read_sklearn(model, features=features, categories=categories)

    @classmethod
    def from_onnx(
        cls,
        model: Any,
        *,
        features: Sequence[Feature] | None = None,
        categories: int | Sequence[int] | None = None,
    ) -> TreeEnsemble:
        """Read an `onnx.ModelProto`, its bytes or its path, whose one operator is an ensemble.

        Features and errors are as in `from_model`.
        """
        from solvers.trees.readers.onnx import read_onnx

        return read_onnx(model, features=features, categories=categories)

    @property
    def n_trees(self) -> int:
        """T, the number of trees."""
        return len(self.roots)

    @property
    def categories(self) -> tuple[int, ...] | None:
        """K of each feature if all are known and Categorical, else None."""
        if self.features is None:
            return None
        known = tuple(f.categories for f in self.features if isinstance(f, Categorical))
        return known if len(known) == self.n_features else None

    @cached_property
    def n_codes(self) -> NDArray[np.int64]:
        """(n_features,) K of a Categorical feature, 0 of another."""
        known = self.features or ()
        return np.array([f.categories if isinstance(f, Categorical) else 0 for f in known])

    @cached_property
    def largest_leaf(self) -> float:
        """The largest |value|."""
        return float(np.abs(self.value).max(initial=0.0))

    def with_features(self, features: Sequence[Feature]) -> TreeEnsemble:
        """The same trees over features of these kinds and ranges.

        Raises:
            SolverError: features that do not fit the splits.
        """
        return replace(self, features=tuple(features))

    def untransformed(self) -> TreeEnsemble:
        """The same ensemble whose prediction is the sum itself."""
        return replace(self, transform=IDENTITY)

    def negated(self) -> TreeEnsemble:
        """The ensemble that predicts -raw: to maximise it is to minimise this one."""
        return replace(self, value=-self.value, base=-self.base, transform=IDENTITY)

    @cached_property
    def exact(self) -> TreeEnsemble:
        """The sum itself in float64, which optimisers maximise; made once, for speed.

        What the leaves of a tree have in common is part of `base`: LightGBM adds the mean of the
        targets to those of its first tree, beside which their differences might be rounding.
        """
        middle = centres(self)
        leaf = self.feature < 0
        return replace(
            self,
            value=np.where(leaf, self.value - middle, 0.0),
            base=float(self.base + middle[self.roots].sum()),
            transform=IDENTITY,
            sum_dtype="float64",
        )

    @cached_property
    def exact_negated(self) -> TreeEnsemble:
        """The sum itself with the other sign, likewise."""
        return self.negated().exact

    @cached_property
    def in_whole_numbers(self) -> TreeEnsemble:
        """The same with Integer for every Continuous feature, likewise."""
        if not any(isinstance(feature, Continuous) for feature in self.features or ()):
            return self
        return self.with_features(
            [
                Integer(f.lower, f.upper) if isinstance(f, Continuous) else f
                for f in self.features or ()
            ]
        )

    def goes_left(self, nodes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether `values` take the left branch at `nodes`; the two are broadcast together."""
        from solvers.trees.traversal import branches

        at, asked = np.broadcast_arrays(nodes, values)
        # Copies, since compiled code tells read-only views from arrays.
        flat, numbers = at.astype(np.int64).ravel(), asked.astype(np.float64).ravel()
        return np.asarray(branches(self.arrays, flat, numbers)).reshape(at.shape)

    def left_table(
        self, nodes: NDArray[np.int64], values: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """(n,) nodes, (m,) values -> (n, m) as `goes_left`, at less expense of memory."""
        from solvers.trees.traversal import branch_table

        return np.asarray(branch_table(self.arrays, nodes, values.copy()))

    def predict(self, z: ArrayLike) -> NDArray[np.float64]:
        """(n, n_features) codes or numbers, NaN for missing -> (n,) float64 predictions.

        Raises:
            SolverError: `z` is not of shape (n, n_features).
        """
        return self.transform(self.raw(z))

    def raw(self, z: ArrayLike) -> NDArray[np.float64]:
        """The sums that `predict` transforms; arguments and errors are the same.

        Leaves are added in the order and precision of the library, so that sums are equal to
        its own, most of them to the last bit.
        """
        from solvers.trees.traversal import sums

        rows = np.asarray(z, dtype=np.float64, order="C")
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise SolverError(
                f"The ensemble predicts arrays of shape (n, {self.n_features}); got {rows.shape}."
            )
        return np.asarray(sums(self.arrays, rows))

    @cached_property
    def arrays(self) -> Any:
        """The `solvers.trees.traversal.Trees` that compiled kernels take."""
        from solvers.trees.traversal import EXACT, FLOORED, TRUNCATED, Trees

        rounding = {"truncated": TRUNCATED, "floored": FLOORED, "exact": EXACT}
        return Trees(
            **{name: getattr(self, name) for name in (*_DTYPES, "subsets")},
            base=float(self.base),
            float32_inputs=self.input_dtype == "float32",
            float32_sums=self.sum_dtype == "float32",
            tiny_is_zero=bool(self.tiny_is_zero),
            rounding=rounding[self.category_rounding],
            base_last=bool(self.base_last),
            averaged=bool(self.averaged),
        )
