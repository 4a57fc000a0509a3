"""Gradient-boosted regression trees over code grids, by XGBoost."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.extras import extra_package
from solvers.surrogates.samples import (
    check_cells,
    check_counts,
    check_measure,
    checked_codes,
    checked_samples,
)
from solvers.trees.ensemble import TreeEnsemble
from vqlso.errors import SolverError
from vqlso.records import FitReport

_MEASURES = {"gain": "total_gain", "split": "weight"}


class XGBoost:
    """Every cell is one categorical feature, and a split sends a set of codes to either side.

    Settings have the meaning and the defaults of `LightGBM`, so that the two can be compared;
    what differs is XGBoost's own: the L2 penalty of 1 on leaves, and the order in which codes
    are tried (doc/tutorials/categorical.rst of its sources). Held-out R^2 with these defaults,
    fit to 4,500 of 6,000: .752 on the smile degrees of procedural faces (K = 256, 64 cells;
    LightGBM's trees .773), .668 on synthetic pairwise scores (K = 32, 16 cells; .673). One code
    against all others (`max_cat_to_onehot` above K) reached .614 and .469.

    XGBoost adds its leaves in float32, whose rounding error over 800 trees is as large as what an
    exact optimiser must prove. Predictions here are its own leaves, added in float64. Scores are
    moved near 0 and scaled as for `LightGBM`, since its labels are float32, too.

    Args:
        categories: K, codes lie in 0..K-1; by default the largest code of the fit plus one.
        trees: number of boosting rounds, >= 1.
        depth: splits between root and leaf, >= 1.
        leaves: most leaves a tree, >= 2.
        min_samples_leaf: least weight of the samples in a leaf, where weights average 1.
        learning_rate: shrinkage, in (0, 1].
        threads: of XGBoost, >= 1.
        seed: of XGBoost; nothing is random with these settings, but its version may change.

    Raises:
        MissingExtraError: XGBoost is not installed.
        SolverError: a number below 1 that must be at least 1.
    """

    def __init__(
        self,
        categories: int | None = None,
        *,
        trees: int = 800,
        depth: int = 2,
        leaves: int = 5,
        min_samples_leaf: int = 20,
        learning_rate: float = 0.03,
        threads: int = 1,
        seed: int = 0,
    ) -> None:
        self._library = extra_package("xgboost", "xgboost")
        check_counts(categories=categories, trees=trees, depth=depth, threads=threads)
        self.categories = categories
        self.trees = trees
        self._parameters = {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "grow_policy": "lossguide",
            "max_depth": depth,
            "max_leaves": leaves,
            "min_child_weight": min_samples_leaf,
            "learning_rate": learning_rate,
            "nthread": threads,
            "seed": seed,
            "verbosity": 0,
        }
        self._booster: Any = None
        self._known = categories
        self._ensemble: TreeEnsemble | None = None

    def fit(
        self,
        z: NDArray[np.int64],
        y: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> FitReport:
        """Fit from scratch.

        Args:
            z: (n, h, w) or (n, cells) integer codes.
            y: (n,) finite scores.
            weight: (n,) sample weights >= 0; all equal by default.

        Returns:
            With the measure `r2`, the (weighted) in-sample R^2.

        Raises:
            SolverError: shapes that do not match, codes outside 0..K-1, scores that are not
                finite, or weights that are negative, not finite or all 0.
        """
        began = perf_counter()
        samples = checked_samples(z, y, weight, self.categories)
        self._known = samples.categories
        data = self._matrix(samples.codes)
        data.set_label(samples.moved)
        if samples.weight is not None:
            data.set_weight(samples.weight / samples.weight.mean())
        start = float(np.average(samples.moved, weights=samples.weight))
        self._booster = self._library.train(
            self._parameters | {"base_score": start}, data, num_boost_round=self.trees
        )
        trees = TreeEnsemble.from_xgboost(self._booster, categories=self._known)
        self._ensemble = replace(
            trees,
            value=trees.value * samples.scale,
            base=trees.base * samples.scale + samples.offset,
            base_last=True,
            sum_dtype="float64",
        )
        r2 = samples.r2(samples.scores - self.predict(samples.codes))
        return FitReport(perf_counter() - began, len(samples.codes), {"r2": r2})

    def predict(self, z: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, h, w) or (n, cells) codes -> (n,) float64: XGBoost finds the leaves.

        Raises:
            SolverError: before a fit, or as `fit`.
        """
        trees = self.ensemble()
        codes = checked_codes(z, self._known)
        check_cells(codes, trees.n_features)
        reached = self._booster.predict(self._matrix(codes), pred_leaf=True)
        # One column a tree: a matrix of one tree comes as a vector.
        nodes = reached.reshape(len(codes), -1).astype(np.int64)
        total = np.zeros(len(codes))
        for root, node in zip(trees.roots, nodes.T, strict=True):
            total += trees.value[root + node]
        return total + trees.base

    def ensemble(self) -> TreeEnsemble:
        """The fitted trees as neutral arrays, equal to `predict` to the last bit.

        Raises:
            SolverError: before a fit.
        """
        if self._ensemble is None:
            raise SolverError("The surrogate has not been fitted: call fit(z, y) first.")
        return self._ensemble

    def importance(self, measure: str = "gain") -> NDArray[np.float64]:
        """(cells,) float64, total gain of the splits on each flattened cell, or their number.

        Raises:
            SolverError: a measure other than "gain" and "split", or before a fit.
        """
        check_measure(measure)
        importance = np.zeros(self.ensemble().n_features)
        # Only cells that are split are listed, as "f" and their number.
        for name, value in self._booster.get_score(importance_type=_MEASURES[measure]).items():
            importance[int(name[1:])] = value
        return importance

    def _matrix(self, codes: NDArray[np.int64]) -> Any:
        # XGBoost's values are float32: exact below 2^24.
        return self._library.DMatrix(
            codes.astype(np.float32),
            feature_types=["c"] * codes.shape[1],
            enable_categorical=True,
            nthread=self._parameters["nthread"],
        )
