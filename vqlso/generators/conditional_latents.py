"""A generator asked for a score: which of its latents have it, learnt from a few scored pairs.

G(x, s) = G(x'), where x' is a sample x of the generator's latent space, moved along the one
direction in which the score and the latents vary together. Were both jointly normal, x' would be
distributed as latents with the score s are. Everything else about x stays as it was drawn, and
with it whatever of the space's distribution is not normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import DataError
from vqlso.spaces import RealVectors

Floats = NDArray[np.float64]

FEWEST_PAIRS = 8
# Of the mean squared latent; the leave-one-out error chooses.
RIDGES = tuple(10.0**k for k in range(-3, 4))
# Draws of the space behind its covariance: they cost no score.
DRAWS = 4000


@dataclass(frozen=True, eq=False)
class ConditionalLatents:
    """The part of the score that is linear in the latent, and what follows for latents of a score.

    Attributes:
        centre: (d,) mean of the scored latents.
        slope: (d,) change of the predicted score with the latent.
        path: (d,) change of the latent with the predicted score: of all changes that raise it by
            one the most probable, Sigma slope / (slope^T Sigma slope).
        score: mean of their scores.
        spread: standard deviation of the scores.
        explained: share of the scores' variance that is predicted, in [0, 1], left one out.
    """

    centre: Floats
    slope: Floats
    path: Floats
    score: float
    spread: float
    explained: float

    @classmethod
    def fit(
        cls,
        space: RealVectors,
        z: Floats,
        scores: Floats,
        rng: np.random.Generator,
    ) -> ConditionalLatents:
        """Ridge regression of the scores on the latents.

        Args:
            space: vectors (d,), whose samples tell how latents are distributed.
            z: (n, d) scored latents.
            scores: (n,).
            rng: draws the samples.

        Raises:
            DataError: fewer than 8 pairs, latents that are no vectors, or scores all alike.
        """
        if len(z) < FEWEST_PAIRS or z.ndim != 2 or not np.ptp(scores) > 0:
            raise DataError(
                f"A generator conditioned on the score needs {FEWEST_PAIRS} or more vectors with "
                f"scores that differ; got latents of shape {z.shape} and "
                f"{len(np.unique(scores))} different scores. Give more starts."
            )
        centre = z.mean(axis=0)
        slope, explained = _ridge(z - centre, scores - scores.mean())
        along = np.cov(space.sample(DRAWS, rng).T) @ slope
        path = along / max(float(slope @ along), np.finfo(float).tiny)
        return cls(centre, slope, path, float(scores.mean()), float(scores.std()), explained)

    def latents(self, x: Floats, asked: float, rng: np.random.Generator) -> Floats:
        """(n, d) samples of the space -> (n, d) latents of images that should score `asked`.

        Of a score that latents explain in part, the predicted part is nearer to the mean than the
        score is: by the share explained, with the variance that is left of it.
        """
        share = self.explained
        mean = share * (asked - self.score)
        deviation = self.spread * np.sqrt(share * (1 - share))
        wanted = mean + deviation * rng.standard_normal(len(x))
        found = (x - self.centre) @ self.slope
        return np.asarray(x + (wanted - found)[:, None] * self.path)


def _ridge(x: Floats, y: Floats) -> tuple[Floats, float]:
    """(d,) slopes, and the share of variance explained, of the penalty that predicts best.

    Leaving one out needs no further fits (Hastie et al. 2009, "The Elements of Statistical
    Learning", equation 7.64).
    """
    u, sizes, vt = np.linalg.svd(x, full_matrices=False)
    best, slope = np.inf, np.zeros(x.shape[1])
    for ridge in RIDGES:
        shrink = sizes**2 / (sizes**2 + ridge * np.square(x).mean() * len(x))
        leverage = np.einsum("ij,j,ij->i", u, shrink, u)
        residual = (y - u @ (shrink * (u.T @ y))) / (1 - leverage)
        error = float(np.square(residual).mean())
        if error < best:
            inverse = np.divide(shrink, sizes, out=np.zeros_like(sizes), where=sizes > 0)
            best, slope = error, vt.T @ (inverse * (u.T @ y))
    return slope, float(np.clip(1 - best / np.square(y).mean(), 0, 1))
