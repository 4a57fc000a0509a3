"""Cheaper ways to keep a surrogate up to date while a search goes on."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from solvers.contracts import TreeSurrogate
from solvers.surrogates import GridBoosting, LightGBM
from solvers.surrogates.samples import checked_samples
from solvers.trees import TreeEnsemble
from vqlso.records import FitReport

FULL = "full refit"


class TunedLightGBM(LightGBM):
    """With further parameters of LightGBM's own."""

    def __init__(self, categories: int, *, trees: int, **parameters: Any) -> None:
        super().__init__(categories, trees=trees)
        self._parameters |= parameters


class ContinuedLightGBM(LightGBM):
    """One full fit, then `more` trees on whatever the residuals are by now."""

    def __init__(self, categories: int, *, trees: int, more: int) -> None:
        super().__init__(categories, trees=trees)
        self.more = more

    def fit(
        self,
        z: NDArray[np.int64],
        y: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> FitReport:
        """The first time from scratch."""
        if self._booster is None:
            return super().fit(z, y, weight)
        began = perf_counter()
        samples = checked_samples(z, y, weight, self.categories)
        # The trees so far are on the scores' scale and lack the first fit's offset.
        data = lightgbm.Dataset(
            samples.codes.astype(np.float32),
            samples.scores - self._offset,
            weight=samples.weight,
            categorical_feature=list(range(samples.codes.shape[1])),
        )
        self._booster = lightgbm.train(
            self._parameters, data, num_boost_round=self.more, init_model=self._booster
        )
        self._ensemble = None
        return FitReport(perf_counter() - began, len(samples.codes))


class SeldomFitted:
    """Another surrogate, that is fitted at the first call of every `every`."""

    def __init__(self, surrogate: TreeSurrogate, every: int) -> None:
        self.surrogate = surrogate
        self.every = every
        self._asked = 0

    def fit(
        self,
        z: NDArray[np.int64],
        y: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> FitReport:
        """Now and then."""
        self._asked += 1
        if self._asked % self.every == 1:
            return self.surrogate.fit(z, y, weight)
        return FitReport(0.0, len(y))

    def predict(self, z: NDArray[np.int64]) -> NDArray[np.float64]:
        """By the last fit."""
        return self.surrogate.predict(z)

    def ensemble(self) -> TreeEnsemble:
        """Of the last fit."""
        return self.surrogate.ensemble()

    def importance(self, measure: str) -> NDArray[np.float64]:
        """In the last fit."""
        return self.surrogate.importance(measure)


# (K, trees of a full fit) -> a fresh surrogate
SHORTCUTS: dict[str, Callable[[int, int], TreeSurrogate]] = {
    FULL: lambda K, trees: GridBoosting(K, trees=trees),
    "half the trees at twice the rate": lambda K, trees: GridBoosting(
        K, trees=trees // 2, learning_rate=0.06
    ),
    "LightGBM with feature_fraction .5": lambda K, trees: TunedLightGBM(
        K, trees=trees, feature_fraction=0.5
    ),
    "LightGBM with bagging .5": lambda K, trees: TunedLightGBM(
        K, trees=trees, bagging_fraction=0.5, bagging_freq=1
    ),
    "refit every 2nd query": lambda K, trees: SeldomFitted(GridBoosting(K, trees=trees), 2),
    "refit every 5th query": lambda K, trees: SeldomFitted(GridBoosting(K, trees=trees), 5),
    "LightGBM continued by 2 trees": lambda K, trees: ContinuedLightGBM(K, trees=trees, more=2),
    "LightGBM continued by 10 trees": lambda K, trees: ContinuedLightGBM(K, trees=trees, more=10),
}
