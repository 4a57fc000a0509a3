"""What makes a latent worth scoring, given a surrogate's mean and standard deviation there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

from solvers.contracts import ProbabilisticSurrogate

LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)
# In deviations below the incumbent: from here on the closed form's terms cancel; the series of
# the normal tail that takes over is as exact there as the closed form, 11 digits.
FAR_BELOW = -200.0


class Value(NamedTuple):
    """A criterion's values with their slopes.

    Attributes:
        value: (n,) float64.
        by_mean: (n,) derivative by the surrogate's mean.
        by_deviation: (n,) derivative by the surrogate's standard deviation.
    """

    value: NDArray[np.float64]
    by_mean: NDArray[np.float64]
    by_deviation: NDArray[np.float64]


class Criterion(Protocol):
    """How a mean and a standard deviation become one number; larger is better."""

    def __call__(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Value:
        """(n,) means and (n,) standard deviations > 0 -> values and slopes."""


@dataclass(frozen=True)
class LogExpectedImprovement:
    """log E[max(score - best, 0)], for a normal score.

    It has the maximisers of expected improvement itself, which underflows to a plateau of zeros
    far below the incumbent (Ament et al. 2023, section 4.1).

    Attributes:
        best: the highest score so far.
    """

    best: float

    def __call__(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Value:
        """See `Criterion`."""
        u = (mean - self.best) / deviation
        log_gain = log_standard_improvement(u)
        log_density = -0.5 * u * u - LOG_ROOT_TWO_PI
        return Value(
            value=np.log(deviation) + log_gain,
            by_mean=np.exp(log_ndtr(u) - log_gain) / deviation,
            by_deviation=np.exp(log_density - log_gain) / deviation,
        )


@dataclass(frozen=True)
class ConfidenceBound:
    """mean + width * standard deviation.

    Attributes:
        width: above 0 the upper bound, which explores; below 0 the lower one, which is cautious;
            at 0 the mean itself.
    """

    width: float

    def __call__(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Value:
        """See `Criterion`."""
        return Value(
            mean + self.width * deviation, np.ones_like(mean), np.full_like(deviation, self.width)
        )


@dataclass(frozen=True)
class Acquisition:
    """A criterion over latents.

    Attributes:
        surrogate: fitted.
        criterion: of its mean and standard deviation.
    """

    surrogate: ProbabilisticSurrogate
    criterion: Criterion

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) latents -> (n,) values."""
        return self.criterion(*self.surrogate.posterior(z)).value

    def gradient(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, d) latents -> (n,) values and (n, d) gradients."""
        mean, deviation, mean_slope, deviation_slope = self.surrogate.posterior_gradient(z)
        value, by_mean, by_deviation = self.criterion(mean, deviation)
        slope = by_mean[:, None] * mean_slope + by_deviation[:, None] * deviation_slope
        return value, slope


def log_standard_improvement(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(phi(u) + u Phi(u)), the log expected improvement of a standard normal over -u.

    Below -1 the density is taken out of the sum, which leaves 1 - |u| times Mills' ratio
    (Ament et al. 2023, eq. 9); far below that too cancels, and is replaced by its series in
    1 / u^2 (Abramowitz and Stegun, 26.2.12).
    """
    u = np.asarray(u, dtype=np.float64)
    out = np.empty_like(u)
    near, far = u > -1, u < FAR_BELOW
    between = ~(near | far)
    x = u[near]
    out[near] = np.log(np.exp(-0.5 * x * x - LOG_ROOT_TWO_PI) + x * ndtr(x))
    x = u[between]
    ratio = np.sqrt(np.pi / 2) * erfcx(-x / np.sqrt(2))
    out[between] = -0.5 * x * x - LOG_ROOT_TWO_PI + np.log1p(x * ratio)
    x = u[far]
    series = np.log1p(-3 / x**2 + 15 / x**4)
    out[far] = -0.5 * x * x - LOG_ROOT_TWO_PI - 2 * np.log(-x) + series
    return out
