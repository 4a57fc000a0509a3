"""Random local search over real latents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.history import History
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors

# Auger 2009, "Benchmarking the (1+1) evolution strategy with one-fifth success rule": constant in
# the mean where one step in five succeeds.
GROWTH = 1.5
FAILURES_A_SUCCESS = 4


class LocalSearch:
    """The best latent so far plus a normal step, kept where it scores strictly better.

    The search begins at the best training latent. Steps are r times a standard normal vector:
    r is a standard deviation, and the step is about r * sqrt(d) long in d dimensions.

    Args:
        space: real latents of any shape.
        step: r > 0.
        adapts: whether r grows by 1.5 with each success and shrinks by 1.5^(1/4) with each
            failure, counted from the last `rebase`: the (1+1) evolution strategy. Points that
            were never proposed here count likewise.
        seed: of the steps.

    Raises:
        SolverError: a step that is no positive number.
    """

    def __init__(
        self, space: RealVectors, *, step: float = 0.1, adapts: bool = False, seed: int = 0
    ) -> None:
        if not 0 < step < np.inf:
            raise SolverError(f"The step of a local search is a positive number; got {step}.")
        self.space = space
        self.step = step
        self.adapts = adapts
        self.seed = seed
        self._history = History(space)
        self._rows_at_rebase = 0

    def rebase(self, archive: Archive) -> None:
        """Go on from the best latent as the new generator encodes it, with the first step."""
        self._history.rebase(archive)
        self._rows_at_rebase = len(self._history)

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Move to the best answered point if it is strictly better than all before.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    def ask(self, n: int) -> Proposal:
        """n >= 1 steps from the best latent so far, which is the control "reference".

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        # The first of equals: a tie is not strictly better.
        best = int(self._history.y.argmax())
        origin = self._history.z[best]
        step = self._step()
        return self._history.proposal(
            ids,
            np.stack([origin + step * self._direction(int(id_)) for id_ in ids]),
            parents=np.full(n, best, dtype=np.int64),
            controls={"reference": np.repeat(origin[None], n, axis=0)},
            details={"step": step},
        )

    def _direction(self, id_: int) -> NDArray[np.float64]:
        return stream(self.seed, "local search", id_).standard_normal(self.space.shape)

    def _step(self) -> float:
        if not self.adapts:
            return self.step
        best_before = np.maximum.accumulate(self._history.y)[self._rows_at_rebase - 1 : -1]
        improved = self._history.y[self._rows_at_rebase :] > best_before
        successes = int(improved.sum())
        failures = len(improved) - successes
        return float(self.step * GROWTH ** (successes - failures / FAILURES_A_SUCCESS))
