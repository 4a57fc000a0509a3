"""Local search for an edit direction (Meißner et al. 2022, "Keep It Simple", algorithm 1)."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from solvers.directions.edit_history import EditHistory
from solvers.local_search import FAILURES_A_SUCCESS, GROWTH
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.problems.direction import Direction
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores


class DirectionSearch:
    """d plus a normal step, shortened to L, taken where it scores strictly better than d.

    A proposal of n holds d in its first row and n - 1 steps from it: both must be scored under
    the same anchors and the same sign. The paper asks for two. A proposal of one holds a step
    alone, from which nothing can be learnt.

    Args:
        problem: gives the edit space, and compares the vectors of several starts.
        radius: r > 0, the standard deviation of each entry of a step; 3e-4 in the paper. A step
            is about r sqrt(entries) long.
        adapts: whether the steps grow by 1.5 where d moves and shrink by 1.5^(1/4) where it does
            not, the one-fifth rule of the (1+1) evolution strategy. Steps get about L long at most.
        restart_after: proposals after which the search begins anew from where it began, keeping
            the better vector by its effect on fixed anchors; None for a single start.
        judges: fixed anchors behind that choice.
        seed: of the steps.

    Raises:
        SolverError: a radius that is no positive number, or a restart after fewer than one.
    """

    def __init__(
        self,
        problem: Direction,
        *,
        radius: float = 3e-4,
        adapts: bool = False,
        restart_after: int | None = None,
        judges: int = 100,
        seed: int = 0,
    ) -> None:
        if not 0 < radius < np.inf or (restart_after is not None and restart_after < 1):
            raise SolverError(
                "A local search needs a positive radius, and restarts after one proposal or more; "
                f"got {radius} and {restart_after}."
            )
        self.problem = problem
        self.space = problem.space
        self.radius = radius
        self.adapts = adapts
        self.restart_after = restart_after
        self.judges = judges
        self.seed = seed
        self._history = EditHistory(self.space)
        self._champion: tuple[float, NDArray[np.float64]] | None = None
        self._d = np.zeros(self.space.shape)
        self._step = radius
        self._told = 0  # proposals of this start

    @property
    def direction(self) -> NDArray[np.float64]:
        """(*shape), the vector found so far: of several finished starts the best."""
        return self._d if self._champion is None else self._champion[1]

    def images_of(self, n: int) -> int:  # noqa: ARG002
        """Images by which the start that ends with the next proposal is compared."""
        ends = self._told + 1 == self.restart_after
        return 3 * self.judges if ends else 0

    def rebase(self, archive: Archive) -> None:
        """Begin anew from the archive's best vector, usually the null vector."""
        self._history.rebase(archive)
        self._champion = None
        self._begin()

    def ask(self, n: int) -> Proposal:
        """d and n - 1 steps from it; see above.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        own = self.images_of(n)
        ids = self._history.new_ids(n)
        first = 1 if n > 1 else 0
        steps = np.stack([self._normal(int(id_)) for id_ in ids[first:]])
        tried = self.space.within(self._d + self._step * steps)
        return self._history.proposal(
            ids,
            np.concatenate([np.repeat(self._d[None], first, axis=0), tried]),
            details={"step": self._step, "images": own},
        )

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Move to the best of the proposal if it is strictly better than d.

        Raises:
            SolverError: as `History.tell`.
        """
        rows, values = self._history.answers(proposal, scores)
        # Only where d itself was scored beside a step can the step be judged.
        if len(rows) > 1 and rows[0] == 0 and np.array_equal(proposal.z[0], self._d):
            best = int(values.argmax())  # the first of equals: a tie is not strictly better
            self._d = np.asarray(proposal.z[rows[best]], dtype=np.float64)
            self._adapt(best > 0)
        self._told += 1
        if self._told == self.restart_after:
            self._finish()

    def _adapt(self, moved: bool) -> None:
        if self.adapts:
            grown = self._step * (GROWTH if moved else GROWTH ** (-1 / FAILURES_A_SUCCESS))
            self._step = min(grown, self.space.longest / prod(self.space.shape) ** 0.5)

    def _finish(self) -> None:
        """Keep the better of this start's vector and the best so far, and start anew."""
        effect = self.problem.effect(self._d, anchors=self.judges, seed=self.seed).change
        if self._champion is None or effect > self._champion[0]:
            self._champion = (effect, self._d)
        self._begin()

    def _begin(self) -> None:
        self._d = self._history.start
        self._step = self.radius
        self._told = 0

    def _normal(self, id_: int) -> NDArray[np.float64]:
        return stream(self.seed, "direction search", id_).standard_normal(self.space.shape)
