"""What every surrogate promises: fitted afresh, deterministic, and readable as trees."""

from collections.abc import Callable

import numpy as np
import pytest

from solvers.contracts import TreeSurrogate
from solvers.surrogates import GridBoosting, LightGBM
from vqlso.contracts import Surrogate
from vqlso.records import FitReport
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=5, height=2, width=3)
Make = Callable[[], Surrogate]
SURROGATES = {
    "lightgbm": lambda: LightGBM(SPACE.categories, trees=10, min_samples_leaf=2),
    "grid_boosting": lambda: GridBoosting(SPACE.categories, trees=10, min_samples_leaf=2),
    "grid_boosting_threads": lambda: GridBoosting(trees=10, min_samples_leaf=2, threads=2),
}


@pytest.fixture(params=SURROGATES.values(), ids=SURROGATES.keys())
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


def samples(n: int = 80, seed: int = 0):
    z = SPACE.sample(n, np.random.default_rng(seed))
    return z, np.where(z[:, 0, 0] == 2, 3.0, 0.0) + np.where(z[:, 1, 2] > 2, 1.0, 0.0)


def test_it_is_a_surrogate(make: Make) -> None:
    assert isinstance(make(), Surrogate)


def test_predictions_are_one_number_a_latent(make: Make) -> None:
    surrogate = make()
    z, y = samples()
    report = surrogate.fit(z, y)
    predicted = surrogate.predict(z[:7])
    assert isinstance(report, FitReport)
    assert report.rows == len(z)
    assert predicted.shape == (7,)
    assert predicted.dtype == np.float64


def test_a_fit_explains_what_it_was_shown(make: Make) -> None:
    surrogate = make()
    z, y = samples(300)
    surrogate.fit(z, y)
    assert np.corrcoef(surrogate.predict(z), y)[0, 1] > 0.8


def test_a_fit_starts_from_scratch(make: Make) -> None:
    once, twice = make(), make()
    z, y = samples()
    twice.fit(z[::-1], -y)
    once.fit(z, y)
    twice.fit(z, y)
    np.testing.assert_array_equal(once.predict(z), twice.predict(z))


def test_weights_move_the_fit(make: Make) -> None:
    surrogate = make()
    z, y = samples()
    surrogate.fit(z, y, np.where(y > 2, 100.0, 0.01))
    heavy = surrogate.predict(z).mean()
    surrogate.fit(z, y)
    assert heavy > surrogate.predict(z).mean() + 0.5


def test_trees_predict_what_the_surrogate_predicts(make: Make) -> None:
    surrogate = make()
    if not isinstance(surrogate, TreeSurrogate):
        return
    z, y = samples()
    surrogate.fit(z, y)
    new, _ = samples(seed=1)
    np.testing.assert_allclose(
        surrogate.ensemble().predict(new.reshape(len(new), -1)), surrogate.predict(new), rtol=1e-9
    )
    assert surrogate.importance("gain").shape == (SPACE.cells,)
    assert surrogate.importance("gain").argmax() == 0
