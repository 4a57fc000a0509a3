"""Acquisition values against quadrature and Monte Carlo, their slopes against differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from solvers.acquisition import (
    FAR_BELOW,
    Acquisition,
    ConfidenceBound,
    Criterion,
    LogExpectedImprovement,
    log_standard_improvement,
)
from solvers.contracts import DifferentiableAcquisition
from vqlso.records import FitReport

CRITERIA = [
    LogExpectedImprovement(0.7),
    ConfidenceBound(0.0),
    ConfidenceBound(2.0),
    ConfidenceBound(-1),
]


def expected_improvement(mean: float, deviation: float, best: float) -> float:
    value = LogExpectedImprovement(best)(np.array([mean]), np.array([deviation])).value[0]
    return float(np.exp(value))


class Bowl:
    """A posterior in closed form: mean -|z|^2, deviation exp(z_0 / 2)."""

    def fit(self, z, y, weight=None) -> FitReport:
        raise AssertionError("a closed form is not fitted")

    def predict(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.posterior(z)[0]

    def posterior(self, z):
        return -np.sum(z**2, axis=1), np.exp(z[:, 0] / 2)

    def posterior_gradient(self, z):
        mean, deviation = self.posterior(z)
        slope = np.zeros_like(z)
        slope[:, 0] = deviation / 2
        return mean, deviation, -2 * z, slope


@pytest.mark.parametrize(
    ("mean", "deviation", "best"), [(0.0, 1.0, 0.0), (2.0, 0.5, 1.5), (-3.0, 2.0, 1.0)]
)
def test_expected_improvement_is_the_integral(mean: float, deviation: float, best: float) -> None:
    exact, _ = quad(
        lambda score: (score - best) * norm.pdf(score, mean, deviation), best, mean + 40 * deviation
    )
    found = expected_improvement(mean, deviation, best)
    assert found == pytest.approx(exact, rel=1e-8)


def test_expected_improvement_is_the_mean_of_draws() -> None:
    mean, deviation, best = 0.3, 1.4, 1.0
    draws = np.random.default_rng(0).normal(mean, deviation, 400_000)
    gains = np.maximum(draws - best, 0)
    found = expected_improvement(mean, deviation, best)
    assert abs(found - gains.mean()) < 4 * gains.std() / np.sqrt(len(gains))


@pytest.mark.parametrize("u", [-0.5, -1.0, -1.001, -7.0, -40.0, -199.9, -200.1, -1e4, -1e8])
def test_the_log_is_exact_far_below_the_incumbent(u: float) -> None:
    """phi(u) + u Phi(u) = phi(u) / u^2 times the integral of s exp(-s - (s / u)^2 / 2)."""
    integral, _ = quad(lambda s: s * np.exp(-s - (s / u) ** 2 / 2), 0, 60, epsabs=0, epsrel=1e-12)
    exact = norm.logpdf(u) - 2 * np.log(-u) + np.log(integral)
    assert log_standard_improvement(np.array([u]))[0] == pytest.approx(exact, rel=1e-13, abs=1e-10)


@given(st.floats(-1e6, 100), st.floats(1e-6, 10))
def test_a_better_mean_ranks_higher(u: float, step: float) -> None:
    low, high = log_standard_improvement(np.array([u, u + max(step, 1e-9 * abs(u))]))
    assert low < high


@given(st.floats(-50, 50), st.floats(1e-3, 50), st.floats(-50, 50))
def test_the_expected_gain_is_at_least_the_gain_of_the_mean(
    mean: float, deviation: float, best: float
) -> None:
    gain = expected_improvement(mean, deviation, best)
    assert gain >= (mean - best) * (1 - 1e-12)
    assert gain >= 0


@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
@pytest.mark.parametrize("mean", [-900.0, -150.0, -20.0, -0.3, 0.7, 2.0])
@pytest.mark.parametrize("deviation", [0.5, 3.0])
def test_slopes_are_those_of_the_values(
    criterion: Criterion, mean: float, deviation: float
) -> None:
    step = 1e-5
    found = criterion(np.array([mean]), np.array([deviation]))

    def difference(by_mean: float, by_deviation: float) -> float:
        means = mean + by_mean * np.array([step, -step])
        deviations = deviation + by_deviation * np.array([step, -step])
        values = criterion(means, deviations).value
        return (values[0] - values[1]) / (2 * step)

    assert found.by_mean[0] == pytest.approx(difference(1, 0), rel=1e-5, abs=1e-7)
    assert found.by_deviation[0] == pytest.approx(difference(0, 1), rel=1e-5, abs=1e-7)


def test_slopes_stay_finite_where_the_gain_itself_underflows() -> None:
    found = LogExpectedImprovement(0.0)(np.array([5 * FAR_BELOW]), np.array([1.0]))
    assert expected_improvement(5 * FAR_BELOW, 1.0, 0.0) == 0
    # d log EI / du tends to -u.
    assert found.by_mean[0] == pytest.approx(-5 * FAR_BELOW, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
def test_gradients_by_the_latent_follow_the_chain(criterion: Criterion) -> None:
    acquisition = Acquisition(Bowl(), criterion)
    assert isinstance(acquisition, DifferentiableAcquisition)
    z = np.random.default_rng(0).normal(size=(5, 3))
    values, gradients = acquisition.gradient(z)
    np.testing.assert_array_equal(values, acquisition(z))
    for axis, step in enumerate(1e-6 * np.eye(3)):
        slope = (acquisition(z + step) - acquisition(z - step)) / 2e-6
        np.testing.assert_allclose(gradients[:, axis], slope, rtol=1e-5, atol=1e-8)


def test_bounds_lie_on_their_sides() -> None:
    mean, deviation = np.array([1.0]), np.array([0.5])
    assert ConfidenceBound(2.0)(mean, deviation).value == 2.0
    assert ConfidenceBound(-2.0)(mean, deviation).value == 0.0
    assert ConfidenceBound(0.0)(mean, deviation).value == 1.0
