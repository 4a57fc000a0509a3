"""What any search must beat: random latents, random codes, and the best of the training set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from solvers.free_cells import FreeCells
from solvers.history import History
from solvers.training_draws import codes_of_another, drawn_training_row
from vqlso.archive import Archive
from vqlso.contracts import LatentSpace
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import CodeGrid


class Distribution(Protocol):
    """Where latents can be drawn from."""

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """(n, *shape) latents."""


FitDensity = Callable[[NDArray[Any], np.random.Generator], Distribution]

# Samples that are drawn together, so that a mapping network makes them in one pass. However many
# are asked for at a time, an id's sample is the same to the last bit.
BLOCK = 32


class RandomLatents:
    """Fresh samples, whatever was scored before.

    Args:
        space: any latent space. Uniform codes, which are a `CodeGrid`'s own samples, do not
            look like data: give a distribution for grids.
        fit_density: (n, *shape) training latents and a random generator -> what to draw
            from; by default the space itself. It is fitted anew after each `rebase`.
        seed: of the samples.
    """

    def __init__(
        self,
        space: LatentSpace,
        *,
        fit_density: FitDensity | None = None,
        seed: int = 0,
    ) -> None:
        self.space = space
        self.fit_density = fit_density
        self.seed = seed
        self._history = History(space)
        self._distribution: Distribution | None = None
        self._block: tuple[int, NDArray[Any]] | None = None

    def rebase(self, archive: Archive) -> None:
        """Take the archive's latents; the next `ask` fits the distribution afresh."""
        self._history.rebase(archive)
        self._distribution = self._block = None

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Only the ids are learnt from.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    def ask(self, n: int) -> Proposal:
        """n >= 1 independent samples; they derive from nothing, so there is no control.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        return self._history.proposal(ids, np.stack([self._sample(int(id_)) for id_ in ids]))

    def _sample(self, id_: int) -> NDArray[Any]:
        number, row = divmod(id_, BLOCK)
        if self._block is None or self._block[0] != number:
            rng = stream(self.seed, "random latents", number)
            self._block = number, self._source().sample(BLOCK, rng)
        return np.asarray(self._block[1][row])

    def _source(self) -> Distribution:
        if self.fit_density is None:
            return self.space
        if self._distribution is None:
            training = self._history.z[: self._history.training_rows]
            rng = stream(self.seed, "density")
            self._distribution = self.fit_density(training, rng)
        return self._distribution


class RandomCodes:
    """A training grid whose free cells get the codes of another: chance, with faces that hold.

    The surrogate-based search draws the same references under the same seed, and with the same
    cells this is its control "random_codes", so that the two can be compared in pairs.

    Args:
        space: the code grid.
        t: how many cells are free. Without a surrogate they cannot be the important ones: they
            are drawn by seed and generator version, anew after each retraining.
        cells: row-major indices of the free cells to use instead.
        seed: of grids and cells.

    Raises:
        SolverError: free cells that the grid does not have.
    """

    def __init__(
        self,
        space: CodeGrid,
        *,
        t: int = 8,
        cells: tuple[int, ...] | None = None,
        seed: int = 0,
    ) -> None:
        FreeCells(t, fixed_choice=cells).check(space)
        self.space = space
        self.t = t
        self.cells = cells
        self.seed = seed
        self._history = History(space)

    def rebase(self, archive: Archive) -> None:
        """Take the archive's codes."""
        self._history.rebase(archive)

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Only the ids are learnt from.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    def ask(self, n: int) -> Proposal:
        """n >= 1 grids, with the training grids whose free cells were changed as "reference".

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        training = self._history.z[: self._history.training_rows]
        parents = np.array([drawn_training_row(self.seed, int(i), len(training)) for i in ids])
        cells = self._free_cells()
        return self._history.proposal(
            ids,
            codes_of_another(training[parents], cells, training, self.seed, ids),
            parents=parents,
            controls={"reference": training[parents]},
            details={"free_cells": cells.tolist()},
        )

    def _free_cells(self) -> NDArray[np.int64]:
        if self.cells is not None:
            return np.array(sorted(self.cells), dtype=np.int64)
        rng = stream(self.seed, f"free cells under {self._history.version}")
        return np.sort(rng.choice(self.space.cells, size=self.t, replace=False))


class BestOfTraining:
    """The best training latents in order of score, decoded once more: no search at all.

    What it finds is what the archive held from the start, up to the generator's own error; with
    retraining, what the new generators make of it. The id decides: id i is the training latent
    of rank i, from 0; behind the last one the order begins again. Nothing is random.

    Args:
        space: any latent space.
    """

    def __init__(self, space: LatentSpace) -> None:
        self.space = space
        self._history = History(space)
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def rebase(self, archive: Archive) -> None:
        """Take the re-encoded latents; the order goes on where it was."""
        self._history.rebase(archive)
        training = self._history.y[: self._history.training_rows]
        self._order = np.argsort(-training, kind="stable")

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Only the ids are learnt from.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    def ask(self, n: int) -> Proposal:
        """The next n >= 1 training latents.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        parents = self._order[ids % len(self._order)]
        z = self._history.z[parents]
        return self._history.proposal(ids, z, parents=parents, controls={"reference": z})
