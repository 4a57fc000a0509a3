"""Where in a VAE's latent space the data are: an ex-post density (Ghosh et al. 2020, section 4).

The encoded data do not fill the prior that a VAE is trained towards. A Gaussian mixture fitted to
them afterwards tells latents that decode well from those that no image was ever encoded near.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from vqlso.errors import ConfigError, DataError
from vqlso.spaces import RealVectors

Floats = NDArray[np.float64]
ITERATIONS = 100


@dataclass(frozen=True, eq=False)
class LatentDensity:
    """p(z) = sum_c mixing[c] * N(z; means[c], Sigma_c).

    Attributes:
        mixing: (C,) float64 component weights that sum to 1.
        means: (C, d) float64.
        whitening: (C, d, d) float64 upper triangular W_c with W_c W_c^T = Sigma_c^-1, so that
            (z - means[c]) W_c is standard normal.
        fitted: (m,) float64, log p(z) of the latents it was fitted to.
    """

    mixing: Floats
    means: Floats
    whitening: Floats
    fitted: Floats

    @classmethod
    def fit(
        cls,
        latents: Floats,
        weights: Floats | None = None,
        *,
        rng: np.random.Generator,
        components: int = 10,
        max_rows: int = 20_000,
    ) -> LatentDensity:
        """Maximum likelihood by EM, with full covariances.

        Args:
            latents: (n, d) finite, as a VAE encodes data.
            weights: (n,) not negative, any scale; None for equal weights. As many rows as there
                are (at most `max_rows`) are drawn with replacement by weight, as weighted
                retraining draws its own batches (Tripp et al. 2020).
            rng: draws the rows and the start; nothing else is random.
            components: C, at most; fewer where a component would have fewer distinct latents
                than its covariance has dimensions, and the density would be degenerate.
            max_rows: of more rows than this, so many are drawn.

        Raises:
            LatentSpaceError: latents that are not finite real numbers.
            DataError: latents that are not (n, d) or fewer than two, or weights that are negative,
                not finite, all 0 or not (n,).
            ConfigError: a setting below 1.
        """
        # It takes a second to import, and only continuous search needs it.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        if min(components, max_rows) < 1:
            raise ConfigError(
                "A latent density needs components and max_rows of at least 1; got "
                f"{components} and {max_rows}."
            )
        latents = np.asarray(latents)
        if latents.ndim != 2 or len(latents) < 2:
            raise DataError(
                f"A latent density needs at least two latents, (n, d); got shape {latents.shape}."
            )
        latents = RealVectors("z", latents.shape[1:]).validate(latents)
        rows = _drawn(len(latents), weights, max_rows, rng)
        supported = len(np.unique(rows)) // (latents.shape[1] + 1)
        mixture = GaussianMixture(
            max(1, min(components, supported)),
            covariance_type="full",
            max_iter=ITERATIONS,
            random_state=int(rng.integers(2**31)),
        )
        with warnings.catch_warnings():
            # EM stopped early is a density as well, and its quantiles are its own.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(latents[rows])
        density = cls(
            mixture.weights_, mixture.means_, mixture.precisions_cholesky_, fitted=np.empty(0)
        )
        return replace(density, fitted=density.log_likelihood(latents[rows]))

    @property
    def space(self) -> RealVectors:
        """The latents it is a distribution of."""
        return RealVectors("z", self.means.shape[1:])

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """(n, d) float64 latents."""
        component = rng.choice(len(self.mixing), size=n, p=self.mixing)
        z = rng.standard_normal((n, *self.space.shape))
        for c in np.unique(component):
            chosen = component == c
            z[chosen] = self.means[c] + np.linalg.solve(self.whitening[c].T, z[chosen].T).T
        return z

    def log_likelihood(self, z: Floats) -> Floats:
        """(n, d) latents -> (n,) float64 natural logarithms of p(z).

        Raises:
            LatentSpaceError: latents of another shape, or not finite.
        """
        return np.asarray(logsumexp(self._joint(self.space.validate(z)), axis=1))

    def log_likelihood_gradient(self, z: Floats) -> Floats:
        """(n, d) latents -> (n, d) float64 gradients of `log_likelihood`.

        The sum over components of p(c | z) Sigma_c^-1 (means[c] - z).

        Raises:
            LatentSpaceError: latents of another shape, or not finite.
        """
        z = self.space.validate(z)
        joint = self._joint(z)
        responsibility = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        gradient = np.zeros_like(z)
        for share, mean, whitening in zip(
            responsibility.T, self.means, self.whitening, strict=True
        ):
            gradient -= share[:, None] * ((z - mean) @ whitening @ whitening.T)
        return gradient

    def quantile(self, q: float) -> float:
        """The log likelihood that a share `q` of the fitted latents lies below.

        Raises:
            ConfigError: a share outside [0, 1].
        """
        if not 0 <= q <= 1:
            raise ConfigError(f"A quantile's share lies in [0, 1]; got {q}.")
        return float(np.quantile(self.fitted, q))

    def _joint(self, z: Floats) -> Floats:
        """(n, C) log(mixing[c] N(z; means[c], Sigma_c))."""
        joint = np.empty((len(z), len(self.mixing)))
        for c, (mean, whitening) in enumerate(zip(self.means, self.whitening, strict=True)):
            squared = np.square((z - mean) @ whitening).sum(axis=1)
            joint[:, c] = np.log(np.diagonal(whitening)).sum() - squared / 2
        constant = self.means.shape[1] / 2 * np.log(2 * np.pi)
        return np.asarray(joint + np.log(self.mixing) - constant)


def _drawn(
    n: int, weights: Floats | None, max_rows: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(m,) rows to fit to."""
    if weights is None:
        return np.arange(n) if n <= max_rows else rng.choice(n, size=max_rows, replace=False)
    weights = np.asarray(weights, dtype=np.float64)
    usable = weights.shape == (n,) and np.isfinite(weights).all() and (weights >= 0).all()
    if not usable or not weights.sum() > 0:
        raise DataError(
            f"Weights of {n} latents have shape ({n},), are finite and not negative, and not all "
            f"0; got shape {weights.shape}."
        )
    return rng.choice(n, size=min(n, max_rows), p=weights / weights.sum())
