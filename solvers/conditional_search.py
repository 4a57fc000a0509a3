"""Latents of a generator that is conditioned on the score and asked for a high one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.history import History
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.generators.conditional_latents import ConditionalLatents
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors


class ConditionalSearch:
    """Fits latents given their score, asks for a score, and fits again to what that taught.

    Args:
        space: vectors (d,).
        asked: the score that is asked for; None asks for the highest one known at each fit.
        refit: answers between two fits, >= 1.
        seed: of fits and samples.

    Raises:
        SolverError: a space of other shapes, or a setting outside its range.
    """

    def __init__(
        self,
        space: RealVectors,
        *,
        asked: float | None = None,
        refit: int = 100,
        seed: int = 0,
    ) -> None:
        if len(space.shape) != 1 or refit < 1:
            raise SolverError(
                "A generator conditioned on the score takes latents that are vectors (d,), and "
                f"is fitted after at least one answer; got {space.shape} and refit={refit}."
            )
        self.space = space
        self.asked = asked
        self.refit = refit
        self.seed = seed
        self._history = History(space)
        self._fitted: ConditionalLatents | None = None
        self._rows = 0
        self._best = -np.inf

    def rebase(self, archive: Archive) -> None:
        """Take the archive's latents and scores; the next `ask` fits anew."""
        self._history.rebase(archive)
        self._fitted = None

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Add the answered points; ids that were never proposed here are welcome.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    @property
    def fitted(self) -> ConditionalLatents:
        """The latest fit.

        Raises:
            SolverError: nothing was asked for yet.
        """
        if self._fitted is None:
            raise SolverError("No generator was conditioned yet: call ask first.")
        return self._fitted

    def ask(self, n: int) -> Proposal:
        """n >= 1 latents of the score that is asked for.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
            DataError: too few scores are known to fit anything.
        """
        ids = self._history.new_ids(n)
        self._fit_if_due()
        asked = self._best if self.asked is None else self.asked
        z = np.concatenate([self._latent(int(id_), asked) for id_ in ids])
        details = {"asked": asked, "explained": self.fitted.explained}
        return self._history.proposal(ids, z, details=details)

    def _latent(self, id_: int, asked: float) -> NDArray[np.float64]:
        rng = stream(self.seed, "conditional samples", id_)
        return self.fitted.latents(self.space.sample(1, rng), asked, rng)

    def _fit_if_due(self) -> None:
        """Rows count from the training set, so that a restored search fits to the same ones."""
        base = self._history.training_rows
        rows = base + (len(self._history) - base) // self.refit * self.refit
        if self._fitted is not None and rows == self._rows:
            return
        rng = stream(self.seed, "conditional fit", rows)
        z, y = self._history.z[:rows], self._history.y[:rows]
        self._fitted = ConditionalLatents.fit(self.space, z, y, rng)
        self._rows, self._best = rows, float(y.max())
