"""Covariance matrix adaptation over real latents."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from solvers.extras import extra_package
from solvers.history import History
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors

# The covariance and its decomposition: 32 MB and seconds a generation.
MOST_DIMENSIONS = 2000


class CMAES:
    """CMA-ES (Hansen 2016) by the package `cmaes`.

    The first normal distribution has the mean of the best training latents and, in every
    direction alike, their mean deviation. It is updated after every `population` answers, in the
    order in which they were told, so the state follows from the archive and the answers alone:
    any number can be asked for at a time, and a failed point is replaced by the next one. Points
    that were never proposed here count as samples of the distribution, too.

    No latent derives from another, so there is no control. Samples are not bounded.

    Args:
        space: real latents of any shape.
        population: answers a generation, >= 4; by default 4 + floor(3 ln d).
        elite: the share of all scored latents that the search begins from, in (0, 1], though at
            least as many as a generation.
        diagonal: adapt variances only (Ros and Hansen 2008), for thousands of dimensions.
        seed: of the samples.

    Raises:
        SolverError: a setting outside its range, or a full covariance of too many dimensions.
        MissingExtraError: `cmaes` is not installed.
    """

    def __init__(
        self,
        space: RealVectors,
        *,
        population: int | None = None,
        elite: float = 0.1,
        diagonal: bool = False,
        seed: int = 0,
    ) -> None:
        dimensions = prod(space.shape)
        default = 4 + int(3 * np.log(dimensions))
        self._library = extra_package("cmaes", "evolution")
        self.space = space
        self.population = default if population is None else population
        self.elite = elite
        self.diagonal = diagonal
        self.seed = seed
        self._history = History(space)
        self._rows_taken = 0
        self._optimizer: Any = None
        if self.population < 4 or not 0 < elite <= 1:
            raise SolverError(
                "CMA-ES needs population >= 4 and elite in (0, 1]; got "
                f"{self.population} and {elite}."
            )
        if dimensions > MOST_DIMENSIONS and not diagonal:
            raise SolverError(
                f"Latents of space '{space.name}' have {dimensions} dimensions; the covariances "
                f"of more than {MOST_DIMENSIONS} are too many. Use diagonal=True."
            )

    def rebase(self, archive: Archive) -> None:
        """Start afresh around the best of all scored latents, as they are encoded now."""
        self._history.rebase(archive)
        self._rows_taken = len(self._history)
        self._optimizer = self._started()

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Add the answered points; every full generation moves the distribution.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)
        while len(self._history) - self._rows_taken >= self.population:
            rows = slice(self._rows_taken, self._rows_taken + self.population)
            z = self._history.z[rows].reshape(self.population, -1)
            # The package minimises.
            self._optimizer.tell(list(zip(z, -self._history.y[rows], strict=True)))
            self._rows_taken += self.population

    def ask(self, n: int) -> Proposal:
        """n >= 1 samples of the distribution as it stands.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        samples = []
        for id_ in ids:
            self._optimizer.reseed_rng(int(stream(self.seed, "cma-es", int(id_)).integers(2**32)))
            samples.append(self._optimizer.ask().reshape(self.space.shape))
        return self._history.proposal(
            ids, np.stack(samples), details={"generation": self._optimizer.generation}
        )

    def _started(self) -> Any:
        share = int(np.ceil(self.elite * len(self._history)))
        best = np.argsort(-self._history.y, kind="stable")[: max(share, self.population)]
        elite = self._history.z[best].reshape(len(best), -1)
        spread = float(np.sqrt(elite.var(axis=0).mean()))
        kind = self._library.SepCMA if self.diagonal else self._library.CMA
        return kind(
            mean=elite.mean(axis=0),
            sigma=spread if spread > 0 else 1.0,
            population_size=self.population,
            seed=0,
        )
