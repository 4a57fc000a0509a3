"""Gradient-boosted regression trees over code grids, by LightGBM (paper 003, section 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from solvers.surrogates.samples import (
    check_cells,
    check_counts,
    check_measure,
    checked_codes,
    checked_samples,
)
from solvers.trees.ensemble import TreeEnsemble
from vqlso.errors import SolverError
from vqlso.files import write_whole
from vqlso.records import FitReport


class LightGBM:
    """Every cell is one categorical feature, since codes have no order.

    The defaults are the paper's: 800 trees of interaction depth 2, at most 5 leaves a tree and
    at least 20 samples a leaf (depth 2 allows 4 leaves already). What the paper leaves open is
    LightGBM's default, but for the settings that make a fit repeatable. One thread: two on cores
    that a training keeps busy have been measured 64 times slower than on free ones.

    LightGBM keeps labels as float32 and bounds what it learns by absolute constants, so it learns
    nothing of scores around 1e9. Trees are therefore fitted to scores that are moved near 0 and
    scaled to a deviation near 1, by powers of two: these round nothing, and scores that need no
    moving give the very trees that they give untouched. Leaves and predictions are on the
    scores' own scale.

    Args:
        categories: K, codes lie in 0..K-1; by default the largest code of the fit plus one.
        trees: number of boosting rounds, >= 1.
        depth: splits between root and leaf, >= 1.
        leaves: most leaves a tree, >= 2.
        min_samples_leaf: fewest samples a leaf, >= 1.
        learning_rate: shrinkage, in (0, 1]. The paper states none; LightGBM's 0.1 overfits with
            800 trees. Held-out R^2 on smile degrees of 3,000 faces coded by k-means patches
            (K = 256, 64 cells, fit to 10,000): .582 at .02, .577 at .03, .527 at .1, .468 at .2;
            on synthetic pairwise scores .03 and .05 were best.
        threads: of LightGBM, >= 1.
        seed: of LightGBM; nothing is random with these settings, but its version may change.

    Raises:
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
        check_counts(
            categories=categories,
            trees=trees,
            depth=depth,
            threads=threads,
            min_samples_leaf=min_samples_leaf,
        )
        self.categories = categories
        self.trees = trees
        self.threads = threads
        self._parameters = {
            "objective": "regression",
            "max_depth": depth,
            "num_leaves": leaves,
            "min_data_in_leaf": min_samples_leaf,
            "learning_rate": learning_rate,
            "num_threads": threads,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        self._booster: Any = None  # its leaves lack the offset
        self._known = categories
        self._offset = 0.0
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
        self._known, self._offset = samples.categories, samples.offset
        data = lightgbm.Dataset(
            # LightGBM takes float32 without a copy; exact below 2^24.
            samples.codes.astype(np.float32),
            samples.moved,
            weight=samples.weight,
            categorical_feature=list(range(samples.codes.shape[1])),
        )
        self._booster = lightgbm.train(self._parameters, data, num_boost_round=self.trees)
        for tree, leaf, value in _leaves(self._booster):
            self._booster.set_leaf_output(tree, leaf, value * samples.scale)
        self._ensemble = None
        r2 = samples.r2(samples.scores - self.predict(samples.codes))
        return FitReport(perf_counter() - began, len(samples.codes), {"r2": r2})

    def predict(self, z: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, h, w) or (n, cells) codes -> (n,) float64, by LightGBM itself but for the offset.

        Raises:
            SolverError: before a fit, or as `fit`.
        """
        booster = self._fitted()
        codes = checked_codes(z, self._known)
        check_cells(codes, booster.num_feature())
        moved = booster.predict(codes.astype(np.float32), num_threads=self.threads)
        return np.asarray(moved, dtype=np.float64) + self._offset

    def ensemble(self) -> TreeEnsemble:
        """The fitted trees as neutral arrays, read once per fit.

        The offset is their base, added last as in `predict`: the two agree to the last bit.
        """
        if self._ensemble is None:
            trees = TreeEnsemble.from_lightgbm(self._fitted(), categories=self._known)
            self._ensemble = replace(trees, base=self._offset, base_last=True)
        return self._ensemble

    def importance(self, measure: str = "gain") -> NDArray[np.float64]:
        """(cells,) float64, total gain of the splits on each flattened cell, or their number.

        Raises:
            SolverError: a measure other than "gain" and "split", or before a fit.
        """
        check_measure(measure)
        importance = self._fitted().feature_importance(importance_type=measure)
        return np.asarray(importance, dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write the model as LightGBM text, whole or not at all.

        LightGBM's text has no base: the leaves of the last tree carry the offset. Added
        there it is rounded once more than in `predict`.
        """
        whole = lightgbm.Booster(model_str=self._fitted().model_to_string())
        last = whole.num_trees() - 1
        for tree, leaf, value in _leaves(whole, first=last):
            whole.set_leaf_output(tree, leaf, value + self._offset)
        write_whole(path, whole.model_to_string().encode())

    def _fitted(self) -> Any:
        if self._booster is None:
            raise SolverError("The surrogate has not been fitted: call fit(z, y) first.")
        return self._booster


def _leaves(booster: Any, first: int = 0) -> Iterator[tuple[int, int, float]]:
    """Tree, leaf and value of every leaf from tree `first` on."""
    counts = re.findall(r"^num_leaves=(\d+)$", booster.model_to_string(), re.MULTILINE)
    for tree in range(first, len(counts)):
        for leaf in range(int(counts[tree])):
            yield tree, leaf, booster.get_leaf_output(tree, leaf)
