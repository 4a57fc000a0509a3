"""Local search over code grids, one cell at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.history import History
from vqlso.archive import Archive
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import CodeGrid


class CoordinateSearch:
    """The best grid so far with one cell's code changed, kept where it scores strictly better.

    A sweep tries every other code of every cell once, in a random order that is drawn anew for
    each sweep. The detail "since_improvement" counts the points that were no better; twice a sweep
    of them prove that no change of a single cell improves the grid.

    Args:
        space: the code grid.
        seed: of the orders.
    """

    def __init__(self, space: CodeGrid, *, seed: int = 0) -> None:
        self.space = space
        self.seed = seed
        self._history = History(space)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    @property
    def sweep(self) -> int:
        """Points in a sweep."""
        return self.space.cells * (self.space.categories - 1)

    def rebase(self, archive: Archive) -> None:
        """Go on from the best grid as the new generator encodes it."""
        self._history.rebase(archive)

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Move to the best answered grid if it is strictly better than all before.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.tell(proposal, scores)

    def ask(self, n: int) -> Proposal:
        """n >= 1 changes of the best grid so far, which is the control "reference".

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        # The first of equals: a tie is not strictly better.
        best = int(self._history.y.argmax())
        origin = self._history.z[best]
        since = len(self._history) - max(best + 1, self._history.training_rows)
        return self._history.proposal(
            ids,
            np.stack([self._changed(origin, int(id_)) for id_ in ids]),
            parents=np.full(n, best, dtype=np.int64),
            controls={"reference": np.repeat(origin[None], n, axis=0)},
            details={"since_improvement": since},
        )

    def _changed(self, origin: NDArray[np.int64], id_: int) -> NDArray[np.int64]:
        sweep, position = divmod(id_, self.sweep)
        cell, shift = divmod(int(self._moves(sweep)[position]), self.space.categories - 1)
        z = origin.copy()
        # From 1 on: never the code that the cell has.
        z.flat[cell] = (origin.flat[cell] + 1 + shift) % self.space.categories
        return z

    def _moves(self, sweep: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != sweep:
            rng = stream(self.seed, "coordinate sweep", sweep)
            self._order = (sweep, rng.permutation(self.sweep))
        return self._order[1]
