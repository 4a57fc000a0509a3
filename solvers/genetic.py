"""A genetic algorithm on code grids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.history import History
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import CodeGrid

# A child that is known already teaches nothing; where nearly all grids are known, it must do.
ATTEMPTS = 100
POPULATION = 100


class GeneticCodes:
    """Children of the best grids known: tournaments, uniform crossover, mutation to seen codes.

    Steady-state (Whitley and Kauth 1988): the population is the best of all that was ever
    scored, training set included, so that any number of children can be asked for, and each
    counts from when its score is told. A mutated cell takes the code that it has in a training
    grid drawn for it: codes come as often as they do in the training set, and none comes where
    it was never seen.

    Args:
        space: the code grid.
        population: how many of the best grids may have children, >= 2; 100 by default.
        tournament: of how many drawn members the best becomes a parent, >= 1.
        mutation: chance of each cell to mutate, in [0, 1]; by default one cell of a child on
            average.
        seed: of everything drawn.

    Raises:
        SolverError: a setting outside its range.
    """

    def __init__(
        self,
        space: CodeGrid,
        *,
        population: int | None = None,
        tournament: int = 3,
        mutation: float | None = None,
        seed: int = 0,
    ) -> None:
        self.space = space
        self.population = POPULATION if population is None else population
        self.tournament = tournament
        self.mutation = 1 / space.cells if mutation is None else mutation
        self.seed = seed
        self._history = History(space)
        if self.population < 2 or tournament < 1 or not 0 <= self.mutation <= 1:
            raise SolverError(
                "A genetic search needs population >= 2, tournament >= 1 and mutation in [0, 1]; "
                f"got {self.population}, {tournament} and {self.mutation}."
            )

    def rebase(self, archive: Archive) -> None:
        """The population lives on in the new generator's codes."""
        self._history.rebase(archive)

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Add the answered points; ids that were never proposed here are welcome.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    def ask(self, n: int) -> Proposal:
        """n >= 1 children, with the first parent of each as "reference".

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        ranking = np.argsort(-self._history.y, kind="stable")[: self.population]
        children = [self._child(ranking, stream(self.seed, "genetic", int(i))) for i in ids]
        parents = np.array([parent for parent, _ in children], dtype=np.int64)
        return self._history.proposal(
            ids,
            np.stack([child for _, child in children]),
            parents=parents,
            controls={"reference": self._history.z[parents]},
        )

    def _child(
        self, ranking: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[int, NDArray[np.int64]]:
        """The first parent's row, and a child that is new if one can be found."""
        z = self._history.z
        for _ in range(ATTEMPTS):
            # Ranks: the lowest of a tournament is the best.
            first, second = ranking[rng.integers(len(ranking), size=(2, self.tournament)).min(1)]
            child = np.where(rng.random(self.space.shape) < 0.5, z[first], z[second])
            mutates = rng.random(self.space.shape) < self.mutation
            child = np.where(mutates, self._seen_codes(rng), child)
            if not (z == child).all(axis=(1, 2)).any():
                break
        return int(first), child

    def _seen_codes(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """(h, w) each cell's code in a training grid drawn for this cell alone."""
        rows, columns = np.indices(self.space.shape)
        donors = rng.integers(self._history.training_rows, size=self.space.shape)
        return np.asarray(self._history.z[donors, rows, columns])
