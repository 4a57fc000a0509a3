"""Bayesian linear regression with the precisions that the data make most likely."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

# The ratio of the precisions, as a share of the features' largest second moment. Beyond these
# ends the prior has no effect, or is all there is.
RATIOS = (1e-12, 1e4)
STARTS = 60
# Targets have a deviation near 1: a fit better than this is exact but for rounding.
LEAST_NOISE = 1e-6


@dataclass(frozen=True)
class BayesianLinear:
    """y = phi(z) w + noise, w ~ N(0, 1 / alpha), noise ~ N(0, 1 / beta) (Bishop 2006, 3.3-3.5).

    Attributes:
        alpha: precision of the prior.
        beta: precision of the noise of a sample of weight 1.
        mean: (m,) float64, of the coefficients' posterior.
        root: (m, m) float64; root @ root.T is the covariance of that posterior.
        evidence: log marginal likelihood of the targets.
    """

    alpha: float
    beta: float
    mean: NDArray[np.float64]
    root: NDArray[np.float64]
    evidence: float

    @classmethod
    def fit(
        cls,
        features: NDArray[np.float64],
        targets: NDArray[np.float64],
        weight: NDArray[np.float64],
    ) -> BayesianLinear:
        """alpha and beta maximise the marginal likelihood.

        Given their ratio the best beta is known in closed form, which leaves one number to
        search for: on a grid of logarithms, then between the neighbours of the best.

        Args:
            features: (n, m), the bias among them if there is one.
            targets: (n,) with a deviation near 1.
            weight: (n,) > 0; a sample's noise has precision beta times its weight.
        """
        weighted = features * weight[:, None]
        moments, basis = np.linalg.eigh(weighted.T @ features)
        profile = _Profile(
            moments=np.maximum(moments, 0),
            products=basis.T @ (weighted.T @ targets),
            power=float(weight @ targets**2),
            count=len(targets),
            log_weight=float(np.log(weight).sum()),
        )
        ratio = profile.best_ratio()
        beta = profile.beta(ratio)
        damped = profile.moments + ratio
        return cls(
            alpha=ratio * beta,
            beta=beta,
            mean=basis @ (profile.products / damped),
            root=basis / np.sqrt(beta * damped),
            evidence=profile.evidence(ratio),
        )

    def posterior(
        self, features: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n,) means and (n,) standard deviations of targets, noise included."""
        spread = features @ self.root
        variance = np.einsum("ij,ij->i", spread, spread) + 1 / self.beta
        return features @ self.mean, np.sqrt(variance)

    def deviation_gradient(
        self, features: NDArray[np.float64], deviation: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(n, m) gradients of the (n,) standard deviations by the features."""
        return features @ self.root @ self.root.T / deviation[:, None]


@dataclass(frozen=True)
class _Profile:
    """The evidence as a function of alpha / beta alone, in the eigenbasis of the features."""

    moments: NDArray[np.float64]
    products: NDArray[np.float64]
    power: float
    count: int
    log_weight: float

    def beta(self, ratio: float) -> float:
        """The noise precision that maximises the evidence at this ratio."""
        explained = np.sum(self.products**2 / (self.moments + ratio))
        return self.count / max(self.power - float(explained), self.count * LEAST_NOISE**2)

    def evidence(self, ratio: float) -> float:
        """Bishop 2006, eq. 3.86, with noise of weighted precision."""
        beta, damped = self.beta(ratio), self.moments + ratio
        unexplained = self.power - float(np.sum(self.products**2 / damped))
        return 0.5 * (
            len(self.moments) * log(ratio)
            - float(np.log(damped).sum())
            + self.count * log(beta / (2 * pi))
            + self.log_weight
            - beta * unexplained
        )

    def best_ratio(self) -> float:
        """Where the evidence is highest."""
        grid = np.log(np.geomspace(*RATIOS, STARTS) * self.moments.max())
        values = [self.evidence(exp(each)) for each in grid]
        best = int(np.argmax(values))
        found = minimize_scalar(
            lambda each: -self.evidence(exp(each)),
            bounds=(grid[max(best - 1, 0)], grid[min(best + 1, STARTS - 1)]),
            method="bounded",
            options={"xatol": 1e-6},
        )
        return exp(found.x if -found.fun > values[best] else grid[best])
