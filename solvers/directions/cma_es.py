"""Covariance matrix adaptation for an edit direction."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from solvers.cma_es import MOST_DIMENSIONS
from solvers.directions.edit_history import EditHistory
from solvers.extras import extra_package
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.problems.direction import Direction
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores


class DirectionCMAES:
    """CMA-ES (Hansen 2016) by the package `cmaes`, on ranks within each proposal.

    CMA-ES uses nothing but the order of a generation. Candidates of one proposal are scored under
    the same conditions, so a generation is best asked for in one proposal: then the anchors and
    the sign change none of its order. Smaller proposals are gathered to a generation by their
    ranks, each within its own. Candidates are shortened to L before they are scored and told.

    Args:
        problem: gives the edit space.
        radius: > 0, the first standard deviation of each entry.
        population: candidates a generation, >= 4; by default 4 + floor(3 ln entries).
        diagonal: adapt variances only (Ros and Hansen 2008), for "w+" and "s".
        seed: of the samples.

    Raises:
        SolverError: a setting outside its range, or a full covariance of too many entries.
        MissingExtraError: `cmaes` is not installed.
    """

    def __init__(
        self,
        problem: Direction,
        *,
        radius: float = 0.05,
        population: int | None = None,
        diagonal: bool = False,
        seed: int = 0,
    ) -> None:
        self._library = extra_package("cmaes", "evolution")
        self.space = problem.space
        entries = prod(self.space.shape)
        self.radius = radius
        self.population = 4 + int(3 * np.log(entries)) if population is None else population
        self.diagonal = diagonal
        self.seed = seed
        if self.population < 4 or not 0 < radius < np.inf:
            raise SolverError(
                "CMA-ES needs population >= 4 and a positive radius; got "
                f"{self.population} and {radius}."
            )
        if entries > MOST_DIMENSIONS and not diagonal:
            raise SolverError(
                f"Edit vectors of '{self.space.name}' have {entries} entries; the covariances of "
                f"more than {MOST_DIMENSIONS} are too many. Use diagonal=True."
            )
        self._history = EditHistory(self.space)
        self._gathered: list[tuple[NDArray[np.float64], float]] = []
        self._optimizer: Any = None

    @property
    def direction(self) -> NDArray[np.float64]:
        """(*shape), the mean of the distribution, shortened to L.

        Raises:
            SolverError: before `rebase`.
        """
        if self._optimizer is None:
            raise SolverError("The search has not begun: call rebase first.")
        mean: NDArray[np.float64] = self._optimizer.mean.reshape(1, *self.space.shape)
        return np.asarray(self.space.within(mean)[0])

    def rebase(self, archive: Archive) -> None:
        """Begin anew around the archive's best vector, usually the null vector."""
        self._history.rebase(archive)
        self._gathered = []
        kind = self._library.SepCMA if self.diagonal else self._library.CMA
        self._optimizer = kind(
            mean=self._history.start.flatten(),
            sigma=self.radius,
            population_size=self.population,
            seed=0,
        )

    def ask(self, n: int) -> Proposal:
        """n samples of the distribution as it stands, shortened to L.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        samples = []
        for id_ in ids:
            rng = stream(self.seed, "direction cma-es", int(id_))
            self._optimizer.reseed_rng(int(rng.integers(2**32)))
            samples.append(self._optimizer.ask().reshape(self.space.shape))
        return self._history.proposal(
            ids,
            self.space.within(np.stack(samples)),
            details={"generation": self._optimizer.generation},
        )

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Gather the answered candidates; every full generation moves the distribution.

        Raises:
            SolverError: as `History.tell`.
        """
        rows, values = self._history.answers(proposal, scores)
        ranks = rankdata(-values) / (len(values) + 1)  # the package minimises
        for row, rank in zip(rows, ranks.tolist(), strict=True):
            self._gathered.append((proposal.z[row].flatten(), rank))
        while len(self._gathered) >= self.population:
            self._optimizer.tell(self._gathered[: self.population])
            self._gathered = self._gathered[self.population :]
