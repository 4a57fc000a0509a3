"""Averages of randomised regression trees over code grids, by scikit-learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from solvers.surrogates.samples import (
    Samples,
    check_cells,
    check_counts,
    check_measure,
    checked_codes,
    checked_samples,
)
from solvers.trees import bitsets
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical
from vqlso.errors import SolverError
from vqlso.records import FitReport


class OrderedForest(ABC):
    """Trees over codes that are ordered by their scores, with sets of codes for thresholds.

    scikit-learn splits by thresholds only, and codes have no order. At each fit every cell's
    codes are therefore given numbers: the mean score of the samples that have the code there, or
    the mean of all where none has. A threshold then parts the codes with low from those with high
    scores; for a tree's first split this finds the best of all sets of codes (Breiman et al.
    1984, section 4.2.2), for later ones an approximation. `ensemble` has the sets themselves, so
    that the exact optimiser searches over codes.

    Held-out R^2 of 30 trees with at least 5 samples a leaf, fit to 4,500 of 6,000, random forest
    / extra trees. Smile degrees of procedural faces (K = 256, 64 cells): codes as they are
    .335 / .100, ordered .759 / .759; synthetic pairwise scores (K = 32, 16 cells): codes as they
    are .226 / .138, one-hot .407 / .406, ordered .580 / .585. Ranks in place of means, and means
    drawn towards that of all, made no forest better by more than .005.

    The depth is a compromise with the exact optimiser. Random forest of 100 trees, 8 free cells,
    HiGHS, faces / pairwise: depth 6 has .759 / .555 and is solved in 1 s; depth 8 has .767 / .585
    and takes 1 s / 9 s to more than 40 s.

    Args:
        categories: K, codes lie in 0..K-1; by default the largest code of the fit plus one.
        trees: number of trees, >= 1.
        depth: most splits between root and leaf, >= 1; None for no limit.
        min_samples_leaf: fewest samples a leaf, >= 1.
        cells_tried: the share of the cells that each split chooses from, in (0, 1]; by default
            1/3 for a random forest and 1 for extra trees, whose R^2 at depth 6 was .753 / .577
            with all cells and .716 / .488 with a third.
        threads: >= 1; trees do not depend on it.
        seed: of the trees' randomness.

    Raises:
        SolverError: a number below 1 that must be at least 1.
    """

    _CELLS_TRIED = 1.0

    def __init__(
        self,
        categories: int | None = None,
        *,
        trees: int = 100,
        depth: int | None = 6,
        min_samples_leaf: int = 5,
        cells_tried: float | None = None,
        threads: int = 1,
        seed: int = 0,
    ) -> None:
        check_counts(
            categories=categories,
            trees=trees,
            depth=depth,
            min_samples_leaf=min_samples_leaf,
            threads=threads,
        )
        self.categories = categories
        self._settings = {
            "n_estimators": trees,
            "max_depth": depth,
            "min_samples_leaf": min_samples_leaf,
            "max_features": self._CELLS_TRIED if cells_tried is None else cells_tried,
            "n_jobs": threads,
            "random_state": seed,
        }
        self._model: Any = None
        self._known = categories
        self._numbers: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self._offset, self._scale = 0.0, 1.0
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
        self._offset, self._scale = samples.offset, samples.scale
        self._numbers = _mean_scores(samples)
        self._model = self._estimator().fit(
            self._numbered(samples.codes), samples.moved, sample_weight=samples.weight
        )
        self._ensemble = None
        r2 = samples.r2(samples.scores - self.predict(samples.codes))
        return FitReport(perf_counter() - began, len(samples.codes), {"r2": r2})

    def predict(self, z: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, h, w) or (n, cells) codes -> (n,) float64, by scikit-learn itself.

        Raises:
            SolverError: before a fit, or as `fit`.
        """
        model = self._fitted()
        codes = checked_codes(z, self._known)
        check_cells(codes, len(self._numbers))
        moved = model.predict(self._numbered(codes))
        return np.asarray(moved, dtype=np.float64) * self._scale + self._offset

    def ensemble(self) -> TreeEnsemble:
        """The fitted trees with sets of codes for thresholds, made once per fit.

        It adds leaves divided by T where scikit-learn divides their sum: equal but for rounding.
        """
        model = self._fitted()
        if self._ensemble is None:
            trees = TreeEnsemble.from_sklearn(model)
            split = np.flatnonzero(trees.feature >= 0)
            goes_left = self._numbers[trees.feature[split]] <= trees.threshold[split, None]
            subset = np.full(len(trees.feature), -1)
            subset[split] = np.arange(len(split))
            cells, categories = self._numbers.shape
            self._ensemble = replace(
                trees,
                threshold=np.zeros(len(subset)),
                subset=subset,
                subsets=bitsets.packed(goes_left),
                value=trees.value * self._scale,
                base=self._offset,
                base_last=True,
                features=(Categorical(categories),) * cells,
            )
        return self._ensemble

    def importance(self, measure: str = "gain") -> NDArray[np.float64]:
        """(cells,) float64, the squared error that splits on each flattened cell take away.

        Summed over all trees; or the number of these splits.

        Raises:
            SolverError: a measure other than "gain" and "split", or before a fit.
        """
        check_measure(measure)
        importance = np.zeros(len(self._numbers))
        for tree in (estimator.tree_ for estimator in self._fitted().estimators_):
            split = np.flatnonzero(tree.children_left >= 0)
            error = tree.impurity * tree.weighted_n_node_samples
            children = error[tree.children_left[split]] + error[tree.children_right[split]]
            gain = error[split] - children if measure == "gain" else np.ones(len(split))
            importance += np.bincount(tree.feature[split], gain, minlength=len(importance))
        return importance

    @abstractmethod
    def _estimator(self) -> Any:
        """scikit-learn's forest, not yet fitted."""

    def _numbered(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._numbers[np.arange(codes.shape[1]), codes]

    def _fitted(self) -> Any:
        if self._model is None:
            raise SolverError("The surrogate has not been fitted: call fit(z, y) first.")
        return self._model


class RandomForest(OrderedForest):
    """Trees on bootstrap samples, at the best threshold of some cells (Breiman 2001).

    Arguments, and how codes are ordered, are described at `OrderedForest`.
    """

    _CELLS_TRIED = 1 / 3

    def _estimator(self) -> Any:
        return RandomForestRegressor(**self._settings)


class ExtraTrees(OrderedForest):
    """Trees on all samples, at the best of random thresholds (Geurts et al. 2006).

    Arguments, and how codes are ordered, are described at `OrderedForest`.
    """

    def _estimator(self) -> Any:
        return ExtraTreesRegressor(**self._settings)


def _mean_scores(samples: Samples) -> NDArray[np.float32]:
    """(cells, K) float32, as scikit-learn takes it: the mean moved score of each code."""
    cells, categories = samples.codes.shape[1], samples.categories
    weight = np.ones(len(samples.codes)) if samples.weight is None else samples.weight
    place = (samples.codes + categories * np.arange(cells)).ravel()
    count, total = (
        np.bincount(place, np.repeat(each, cells), minlength=cells * categories)
        for each in (weight, weight * samples.moved)
    )
    overall = np.average(samples.moved, weights=weight)
    mean = np.divide(total, count, out=np.full(len(count), overall), where=count > 0)
    return mean.reshape(cells, categories).astype(np.float32)
