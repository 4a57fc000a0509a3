"""A density whose every figure is known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GaussianDensity:
    """N(mean, covariance), by SciPy; its quantiles are those of `fitted`."""

    mean: Floats
    covariance: Floats
    fitted: Floats

    @classmethod
    def fit(cls, latents: Floats, rng: np.random.Generator) -> "GaussianDensity":
        return cls(latents.mean(axis=0), np.cov(latents.T), latents)

    @classmethod
    def standard(cls, dimensions: int) -> "GaussianDensity":
        draws = np.random.default_rng(0).standard_normal((1000, dimensions))
        return cls(np.zeros(dimensions), np.eye(dimensions), draws)

    @cached_property
    def _precision(self) -> Floats:
        return np.linalg.inv(self.covariance)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        return rng.multivariate_normal(self.mean, self.covariance, size=n)

    def log_likelihood(self, z: Floats) -> Floats:
        return np.atleast_1d(multivariate_normal(self.mean, self.covariance).logpdf(z))

    def log_likelihood_gradient(self, z: Floats) -> Floats:
        return (self.mean - z) @ self._precision

    def quantile(self, q: float) -> float:
        return float(np.quantile(self.log_likelihood(self.fitted), q))

    def furthest(self, direction: Floats, threshold: float) -> Floats:
        """The latent of log p >= threshold that lies furthest along (d,) a direction."""
        peak = self.log_likelihood(self.mean[None])[0]
        shape = self.covariance @ direction
        return self.mean + shape * np.sqrt(2 * (peak - threshold) / (direction @ shape))
