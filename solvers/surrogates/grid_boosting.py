"""Gradient-boosted trees of depth 2 over code grids, of our own: LightGBM's trees in less time."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from solvers.surrogates.boosting.fitting import fitted
from solvers.surrogates.boosting.forest import Forest, as_ensemble, predict
from solvers.surrogates.boosting.text import lightgbm_text
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

MOST_THREADS = 64


class GridBoosting:
    """Every cell is one categorical feature, and a tree has a root and two splits below it.

    It grows the trees that `LightGBM` grows from the same data: same cells, same sets of codes,
    leaves that agree to about 1e-7. Where two splits gain exactly the same, LightGBM's choice may
    depend on rounding, and so may differ; docs/architecture.md names the cases. Other depths
    than 2 and fewer than four leaves a tree are what `LightGBM` is for.

    It is faster because it does less: the root's histogram is kept from tree to tree and changed
    where leaves say so, only rows that leave the largest leaf are touched, and only the ends of
    an order of categories are sorted. Kernels are compiled at the first fit of an installation.

    Args:
        categories: K, codes lie in 0..K-1; by default the largest code of the fit plus one.
        trees: number of boosting rounds, >= 1.
        min_samples_leaf: fewest samples a leaf, >= 1.
        learning_rate: shrinkage, in (0, 1].
        threads: >= 1; trees do not depend on it.

    Raises:
        SolverError: an argument outside its range.
    """

    DEPTH = 2
    LEAVES = 4

    def __init__(
        self,
        categories: int | None = None,
        *,
        trees: int = 800,
        min_samples_leaf: int = 20,
        learning_rate: float = 0.03,
        threads: int = 1,
    ) -> None:
        check_counts(
            categories=categories, trees=trees, min_samples_leaf=min_samples_leaf, threads=threads
        )
        if not 0 < learning_rate <= 1:
            raise SolverError(f"learning_rate must be in (0, 1], got {learning_rate}.")
        self.categories = categories
        self.trees = trees
        self.min_samples_leaf = min_samples_leaf
        self.learning_rate = learning_rate
        self.threads = threads
        self._known = 0
        self._cells = 0
        self._forest: Forest | None = None
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
            weight: (n,) sample weights >= 0; all equal by default, which is faster.

        Returns:
            With the measure `r2`, the (weighted) in-sample R^2.

        Raises:
            SolverError: shapes that do not match, codes outside 0..K-1, scores that are not
                finite, or weights that are negative, not finite or all 0.
        """
        began = perf_counter()
        samples = checked_samples(z, y, weight, self.categories)
        self._forest, residual = fitted(
            samples,
            trees=self.trees,
            min_samples_leaf=self.min_samples_leaf,
            learning_rate=self.learning_rate,
            threads=min(self.threads, MOST_THREADS),
        )
        self._known, self._cells = samples.categories, samples.codes.shape[1]
        self._ensemble = None
        measures = {"r2": samples.r2(residual)}
        return FitReport(perf_counter() - began, len(samples.codes), measures)

    def predict(self, z: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, h, w) or (n, cells) codes -> (n,) float64.

        Raises:
            SolverError: before a fit, or as `fit`.
        """
        forest = self._fitted()
        codes = checked_codes(z, self._known)
        check_cells(codes, self._cells)
        return np.asarray(predict(forest, np.ascontiguousarray(codes.T, dtype=np.int64)))

    def ensemble(self) -> TreeEnsemble:
        """The fitted trees as neutral arrays, made once per fit; equal to `predict` in all bits."""
        forest = self._fitted()
        if self._ensemble is None:
            self._ensemble = as_ensemble(forest, self._cells, self._known)
        return self._ensemble

    def importance(self, measure: str = "gain") -> NDArray[np.float64]:
        """(cells,) float64, total gain of the splits on each flattened cell, or their number.

        Raises:
            SolverError: a measure other than "gain" and "split", or before a fit.
        """
        check_measure(measure)
        forest = self._fitted()
        there = forest.cell >= 0
        # LightGBM keeps gains as float32.
        gain = forest.gain.astype(np.float32)[there] if measure == "gain" else None
        return np.bincount(forest.cell[there], gain, minlength=self._cells).astype(np.float64)

    def save(self, path: Path) -> None:
        """Write the model as LightGBM text, whole or not at all."""
        text = lightgbm_text(
            self._fitted(),
            cells=self._cells,
            categories=self._known,
            learning_rate=self.learning_rate,
        )
        write_whole(path, text.encode())

    def _fitted(self) -> Forest:
        if self._forest is None:
            raise SolverError("The surrogate has not been fitted: call fit(z, y) first.")
        return self._forest
