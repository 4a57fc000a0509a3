"""Surrogate-based search over real vectors: the continuous baseline of paper 003, section 3."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from solvers.acquisition import (
    Acquisition,
    ConfidenceBound,
    Criterion,
    LogExpectedImprovement,
)
from solvers.contracts import LatentDensityLike, ProbabilisticSurrogate
from solvers.history import History
from solvers.slsqp import maximize_acquisition
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors

FitDensity = Callable[[NDArray[np.float64], np.random.Generator], LatentDensityLike]


class ContinuousSearch:
    """Fit a surrogate to all scored latents, maximise expected improvement near the data.

    Near means that a density fitted to the training latents is no lower than at a given share of
    them (the density after the fact of Ghosh et al. 2020; paper 003, appendix A.2).

    Args:
        space: vectors (d,).
        surrogate: of the score.
        fit_density: (n, d) training latents and a random generator -> their density.
        quantile: share of the training latents that the threshold on log p excludes, in [0, 1).
        samples: of the density for each `ask`; see `maximize_acquisition`.
        successes: runs of SLSQP for each `ask`.
        min_distance: between two proposals of one `ask`.
        confidence: maximise the prediction plus so many of its standard deviations; None for
            expected improvement, as the paper.
        seed: of the density's fit and the samples.

    Raises:
        SolverError: a space of other shapes, or a setting outside its range.
    """

    def __init__(
        self,
        space: RealVectors,
        surrogate: ProbabilisticSurrogate,
        *,
        fit_density: FitDensity,
        quantile: float = 0.05,
        samples: int = 100_000,
        successes: int = 10,
        min_distance: float = 0.01,
        confidence: float | None = None,
        seed: int = 0,
    ) -> None:
        _check(space, quantile, samples, successes)
        self.space = space
        self.surrogate = surrogate
        self.fit_density = fit_density
        self.quantile = quantile
        self.samples = samples
        self.successes = successes
        self.min_distance = min_distance
        self.confidence = confidence
        self.seed = seed
        self._history = History(space)
        self._density: LatentDensityLike | None = None
        self._stale = True

    def rebase(self, archive: Archive) -> None:
        """Take the archive's latents and scores; the next `ask` fits density and surrogate."""
        self._history.rebase(archive)
        self._density = None
        self._stale = True

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Add the answered points; ids that were never proposed here are welcome.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)
        self._stale = True

    def ask(self, n: int) -> Proposal:
        """The n >= 1 best latents found, best first.

        The control "reference" and the parent of each is the training latent nearest to it.

        Raises:
            SolverError: there is nothing to fit to yet, nothing is asked for, or the density's
                samples hold fewer than n distinct latents above the threshold.
        """
        ids = self._history.new_ids(n)
        density, density_seconds = self._fitted_density()
        fit_seconds = self._refit()
        threshold = density.quantile(self.quantile)
        criterion = self._criterion()
        began = perf_counter()
        z = maximize_acquisition(
            Acquisition(self.surrogate, criterion),
            density,
            threshold,
            count=n,
            samples=self.samples,
            successes=self.successes,
            min_distance=self.min_distance,
            rng=stream(self.seed, "acquisition", int(ids[0])),
        )
        solve_seconds = perf_counter() - began
        mean, deviation = self.surrogate.posterior(z)
        worth = criterion(mean, deviation).value
        training = self._training()
        parents = cdist(z, training).argmin(axis=1).astype(np.int64)
        return self._history.proposal(
            ids,
            z,
            parents=parents,
            predicted=mean,
            acquisition=np.exp(worth) if self.confidence is None else worth,
            controls={"reference": training[parents]},
            details={
                "threshold": float(threshold),
                "log_density": density.log_likelihood(z).tolist(),
                "seconds": {
                    "density": density_seconds,
                    "fit": fit_seconds,
                    "solve": solve_seconds,
                },
            },
        )

    def _criterion(self) -> Criterion:
        if self.confidence is None:
            return LogExpectedImprovement(float(self._history.y.max()))
        return ConfidenceBound(self.confidence)

    def _training(self) -> NDArray[np.float64]:
        return self._history.z[: self._history.training_rows]

    def _fitted_density(self) -> tuple[LatentDensityLike, float]:
        """The density of the training latents, and the seconds that its fit took just now."""
        began = perf_counter()
        if self._density is None:
            self._density = self.fit_density(self._training(), stream(self.seed, "density"))
        return self._density, perf_counter() - began

    def _refit(self) -> float:
        if not self._stale:
            return 0.0
        report = self.surrogate.fit(self._history.z, self._history.y)
        self._stale = False
        return report.seconds


def _check(space: RealVectors, quantile: float, samples: int, successes: int) -> None:
    if len(space.shape) != 1:
        raise SolverError(
            f"This search takes latents that are vectors (d,); those of space '{space.name}' "
            f"have shape {space.shape}."
        )
    if not 0 <= quantile < 1:
        raise SolverError(f"The quantile lies in [0, 1); got {quantile}.")
    if samples < 1 or successes < 1:
        raise SolverError(
            f"At least one sample and one success are needed; got {samples} and {successes}."
        )
