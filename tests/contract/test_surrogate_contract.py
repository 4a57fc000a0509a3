"""What every surrogate promises: fitted afresh, deterministic, and what else it offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solvers.contracts import ProbabilisticSurrogate, TreeSurrogate
from solvers.surrogates import ExtraTrees, GridBoosting, LightGBM, RandomForest, XGBoost
from solvers.surrogates.dngo import DNGO
from solvers.surrogates.gaussian_process import SparseGP
from vqlso.contracts import Surrogate
from vqlso.errors import SolverError
from vqlso.records import FitReport
from vqlso.spaces import CodeGrid, RealVectors

CODES = CodeGrid(categories=5, height=2, width=3)
VECTORS = RealVectors("z", (6,))


@dataclass(frozen=True)
class Case:
    """A surrogate and where its latents live.

    Attributes:
        make: a fresh surrogate.
        space: of six entries, of which the first matters most and the last somewhat.
    """

    make: Callable[[], Surrogate]
    space: CodeGrid | RealVectors = CODES

    def samples(self, n: int = 80, seed: int = 0) -> tuple[NDArray[Any], NDArray[np.float64]]:
        z = self.space.sample(n, np.random.default_rng(seed))
        first, last = z.reshape(n, -1)[:, [0, -1]].T
        high = first == 2 if self.space is CODES else first > 0.8
        return z, np.where(high, 3.0, 0.0) + np.where(last > 2, 1.0, 0.0)


CASES = {
    "lightgbm": Case(lambda: LightGBM(CODES.categories, trees=10, min_samples_leaf=2)),
    "grid_boosting": Case(lambda: GridBoosting(CODES.categories, trees=10, min_samples_leaf=2)),
    "grid_boosting_threads": Case(lambda: GridBoosting(trees=10, min_samples_leaf=2, threads=2)),
    "xgboost": Case(lambda: XGBoost(CODES.categories, trees=30, min_samples_leaf=2)),
    "random_forest": Case(lambda: RandomForest(CODES.categories, trees=10)),
    "extra_trees": Case(
        lambda: ExtraTrees(CODES.categories, trees=30, depth=2, min_samples_leaf=10)
    ),
    "dngo": Case(lambda: DNGO(hidden=(20, 20)), VECTORS),
    "sparse_gp": Case(lambda: SparseGP(inducing=60, epochs=30, batch_size=100), VECTORS),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    for name, package in {"sparse_gp": "gpytorch", "xgboost": "xgboost"}.items():
        if request.param is CASES[name]:
            pytest.importorskip(package)
    return request.param


def test_it_is_a_surrogate(case: Case) -> None:
    assert isinstance(case.make(), Surrogate)


def test_predictions_are_one_number_a_latent(case: Case) -> None:
    surrogate = case.make()
    z, y = case.samples()
    report = surrogate.fit(z, y)
    predicted = surrogate.predict(z[:7])
    assert isinstance(report, FitReport)
    assert report.rows == len(z)
    assert predicted.shape == (7,)
    assert predicted.dtype == np.float64


def test_a_fit_explains_what_it_was_shown(case: Case) -> None:
    surrogate = case.make()
    z, y = case.samples(300)
    surrogate.fit(z, y)
    assert np.corrcoef(surrogate.predict(z), y)[0, 1] > 0.8


def test_a_fit_starts_from_scratch(case: Case) -> None:
    once, twice = case.make(), case.make()
    z, y = case.samples()
    twice.fit(z[::-1], -y)
    once.fit(z, y)
    twice.fit(z, y)
    np.testing.assert_array_equal(once.predict(z), twice.predict(z))


def test_scores_that_cannot_be_squared_are_refused(case: Case) -> None:
    surrogate = case.make()
    z, y = case.samples()
    with pytest.raises(SolverError, match="divide them all"):
        surrogate.fit(z, y * 1e200)


@pytest.mark.parametrize("kind", [LightGBM, GridBoosting, XGBoost, RandomForest, ExtraTrees])
@pytest.mark.parametrize("setting", ["categories", "trees", "threads"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_counts_below_one_are_refused(kind: type[LightGBM], setting: str, value: int) -> None:
    if kind is XGBoost:
        pytest.importorskip("xgboost")
    with pytest.raises(SolverError, match=f"{setting} must be at least 1"):
        kind(**{setting: value})


def test_weights_move_the_fit(case: Case) -> None:
    surrogate = case.make()
    z, y = case.samples()
    surrogate.fit(z, y, np.where(y > 2, 100.0, 0.01))
    heavy = surrogate.predict(z).mean()
    surrogate.fit(z, y)
    assert heavy > surrogate.predict(z).mean() + 0.5


def test_trees_predict_what_the_surrogate_predicts(case: Case) -> None:
    surrogate = case.make()
    if not isinstance(surrogate, TreeSurrogate):
        return
    z, y = case.samples()
    surrogate.fit(z, y)
    new, _ = case.samples(seed=1)
    np.testing.assert_allclose(
        surrogate.ensemble().predict(new.reshape(len(new), -1)), surrogate.predict(new), rtol=1e-9
    )
    assert surrogate.importance("gain").shape == (CODES.cells,)
    assert surrogate.importance("gain").argmax() == 0


def test_the_posterior_is_around_the_prediction_and_so_are_its_gradients(case: Case) -> None:
    surrogate = case.make()
    if not isinstance(surrogate, ProbabilisticSurrogate):
        return
    z, y = case.samples()
    surrogate.fit(z, y)
    mean, deviation, mean_slope, deviation_slope = surrogate.posterior_gradient(z[:5])
    np.testing.assert_allclose(mean, surrogate.predict(z[:5]), rtol=1e-9)
    np.testing.assert_allclose([mean, deviation], surrogate.posterior(z[:5]), rtol=1e-9)
    assert (deviation > 0).all()
    assert mean_slope.shape == deviation_slope.shape == (5, 6)
    assert {each.dtype for each in (mean, deviation, mean_slope, deviation_slope)} == {
        np.dtype(np.float64)
    }
