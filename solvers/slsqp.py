"""The inner search of continuous latents: SLSQP from many samples, where the density allows.

Paper 003, section 3 ("Continuous LSO"): local optimisation of the acquisition by SLSQP (Kraft
1988), held near the data by a density fitted to its latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from solvers.contracts import DifferentiableAcquisition, LatentDensityLike
from vqlso.errors import SolverError

CHUNK = 10_000  # samples at once
# Most starts tried for each success that is asked for.
PATIENCE = 10
# SLSQP ends with the constraint kept but for this much (its `ftol`), in nats here. It is told a
# threshold higher by ten times that, so that its points keep the true one.
TOLERANCE = 1e-6
MARGIN = 10 * TOLERANCE


def maximize_acquisition(
    acquisition: DifferentiableAcquisition,
    density: LatentDensityLike,
    threshold: float,
    *,
    count: int,
    samples: int = 100_000,
    successes: int = 10,
    min_distance: float = 0.01,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Maximise the acquisition subject to log p(z) >= threshold.

    The density is sampled; what lies below the threshold is dropped; SLSQP starts from the best
    of the rest, one after the other, until enough starts have succeeded. An end point that is
    infeasible when log p is evaluated again, or worse than its start, gives way to the start.

    Args:
        acquisition: what is maximised.
        density: where the samples come from, and whose log p is the constraint.
        threshold: least log p(z), in nats.
        count: latents to return, >= 1.
        samples: drawn from the density, >= 1.
        successes: converged, feasible runs of SLSQP after which no further one begins.
        min_distance: least Euclidean distance between two returned latents.
        rng: of the samples.

    Returns:
        (count, d) float64 feasible latents, best first: end points of SLSQP, and samples where
        these are too few.

    Raises:
        SolverError: fewer than `count` distinct feasible samples.
    """
    wanted = PATIENCE * max(successes, count)
    starts = _best_samples(acquisition, density, threshold, samples, wanted, rng)
    climb = _Climb(acquisition, density, threshold)
    ends, done = starts.copy(), 0
    for row in range(min(PATIENCE * successes, len(starts))):
        if done >= successes:
            break
        ends[row], succeeded = climb.run(starts[row])
        done += succeeded
    # The batch is evaluated once more: a value may depend on its neighbours in the last bits.
    ends = np.where((density.log_likelihood(ends) >= threshold)[:, None], ends, starts)
    best = ends[np.argsort(-acquisition(ends), kind="stable")]
    return _distinct(best, count, min_distance)


def _best_samples(
    acquisition: DifferentiableAcquisition,
    density: LatentDensityLike,
    threshold: float,
    samples: int,
    wanted: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """At most `wanted` feasible samples with the highest acquisition, best first."""
    best, values = density.sample(0, rng), np.empty(0)
    for start in range(0, samples, CHUNK):
        drawn = density.sample(min(CHUNK, samples - start), rng)
        drawn = drawn[density.log_likelihood(drawn) >= threshold]
        if len(drawn):
            best = np.concatenate([best, drawn])
            values = np.concatenate([values, acquisition(drawn)])
            order = np.argsort(-values, kind="stable")[:wanted]
            best, values = best[order], values[order]
    return best


@dataclass(frozen=True)
class _Climb:
    """One run of SLSQP at a time; everything in terms of single latents (d,)."""

    acquisition: DifferentiableAcquisition
    density: LatentDensityLike
    threshold: float

    def run(self, start: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
        """The better feasible one of start and end, and whether SLSQP came to a feasible end."""
        result: Any = minimize(
            self._loss,
            start,
            jac=True,
            method="SLSQP",
            constraints={"type": "ineq", "fun": self._slack, "jac": self._slack_gradient},
            options={"ftol": TOLERANCE},
        )
        end = np.asarray(result.x, dtype=np.float64)
        if not (np.isfinite(end).all() and self._log_density(end) >= self.threshold):
            return start, False
        better = self._loss(end)[0] < self._loss(start)[0]
        return (end if better else start), bool(result.success)

    def _loss(self, z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = self.acquisition.gradient(z[None])
        return -float(value[0]), -gradient[0]

    def _slack(self, z: NDArray[np.float64]) -> float:
        return self._log_density(z) - self.threshold - MARGIN

    def _slack_gradient(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.density.log_likelihood_gradient(z[None]).reshape(-1)

    def _log_density(self, z: NDArray[np.float64]) -> float:
        return float(self.density.log_likelihood(z[None])[0])


def _distinct(ordered: NDArray[np.float64], count: int, min_distance: float) -> NDArray[np.float64]:
    """The first `count` of (n, d) latents that are not close to an earlier one.

    Raises:
        SolverError: there are not as many.
    """
    kept: list[NDArray[np.float64]] = []
    for z in ordered:
        if all(np.linalg.norm(z - other) >= min_distance for other in kept):
            kept.append(z)
        if len(kept) == count:
            return np.stack(kept)
    raise SolverError(
        f"{count} latents were asked for, but only {len(kept)} samples of the density are above "
        f"the threshold and at least {min_distance} apart: lower the quantile behind the "
        "threshold or the distance, or draw more samples."
    )
