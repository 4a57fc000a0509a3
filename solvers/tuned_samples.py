"""Samples of a generator that is fine-tuned on their scores, as ask and tell."""

from __future__ import annotations

import numpy as np

from solvers.history import History
from vqlso.archive import Archive
from vqlso.records import Proposal, Scores
from vqlso.training.generator_ascent import TunedGenerators


class TunedSamples:
    """Id i is a sample of step i // batch_size: everything that the fine-tuning learns from.

    The fine-tuning differentiates the score by itself, as `GradientSearch` does, so scores that
    are told teach it nothing but ids, and a killed run is restored by computing its steps again.

    Args:
        generators: the original and what becomes of it.
    """

    def __init__(self, generators: TunedGenerators) -> None:
        self.generators = generators
        self._history = History(generators.space)

    def rebase(self, archive: Archive) -> None:
        """Start afresh."""
        self._history.rebase(archive)

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Only the ids are learnt from.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    def ask(self, n: int) -> Proposal:
        """n >= 1 samples, of the steps in turn.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        steps, rows = np.divmod(ids, self.generators.training.batch_size)
        batches = {int(step): self.generators.latents(int(step)) for step in np.unique(steps)}
        z = np.stack([batches[int(step)][row] for step, row in zip(steps, rows, strict=True)])
        return self._history.proposal(ids, z, details={"gradients": int(ids[-1] + 1 - n)})
