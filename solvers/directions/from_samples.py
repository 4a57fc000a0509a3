"""Directions that are learnt from scored samples, instead of searched for."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from solvers.directions.edit_history import EditHistory
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.problems.direction import Direction, lengths
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores


class LearnsNormal(Protocol):
    """A rule that finds the direction in which the level grows."""

    def __call__(
        self, latents: NDArray[np.float64], levels: NDArray[np.float64], seed: int
    ) -> NDArray[np.float64]:
        """(m, d) latents and their finite (m,) levels -> (d,) of any length but 0."""


class DirectionFromSamples:
    """Scores samples of the edited space and learns the vector from all of them.

    Each id stands for as many further samples as `samples` says: the vector that is proposed
    under it is learnt from those of all ids so far, and is L long. So it improves with the
    budget, like a search. Values that are told back teach it nothing.

    Args:
        problem: draws and scores the samples.
        learn: the rule.
        samples: >= 2, scored for each proposed vector.
        seed: of the samples.

    Raises:
        SolverError: fewer than two samples.
    """

    def __init__(
        self, problem: Direction, learn: LearnsNormal, *, samples: int = 1000, seed: int = 0
    ) -> None:
        if samples < 2:
            raise SolverError(f"A direction is learnt from two samples or more; got {samples}.")
        self.problem = problem
        self.space = problem.space
        self.learn = learn
        self.samples = samples
        self.seed = seed
        self._history = EditHistory(self.space)
        self._parts: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._next_id = 0
        self._latest: NDArray[np.float64] | None = None

    @property
    def direction(self) -> NDArray[np.float64]:
        """(*shape), learnt from all samples so far.

        Raises:
            SolverError: nothing has been asked for.
        """
        if self._latest is None:
            raise SolverError("No samples have been scored yet: ask for a proposal first.")
        return self._latest

    def images_of(self, n: int) -> int:
        """Samples that are scored for the next n vectors."""
        return (self._next_id + n - len(self._parts)) * self.samples

    def rebase(self, archive: Archive) -> None:
        """Forget all samples: they may be another generator's."""
        self._history.rebase(archive)
        self._parts, self._latest = [], None

    def ask(self, n: int) -> Proposal:
        """n vectors, each learnt from more samples than the one before.

        Raises:
            SolverError: nothing is asked for, before `rebase`, or the levels do not differ.
        """
        ids = self._history.new_ids(n)
        scored = len(self._parts)
        d = np.stack([self._learnt(int(id_)) for id_ in ids])
        self._latest, self._next_id = d[-1], int(ids[-1]) + 1
        own = (len(self._parts) - scored) * self.samples
        return self._history.proposal(ids, d, details={"images": own})

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Take note of the ids.

        Raises:
            SolverError: as `History.tell`.
        """
        self._history.answers(proposal, scores)
        self._next_id = max(self._next_id, int(proposal.ids.max()) + 1)

    def _learnt(self, id_: int) -> NDArray[np.float64]:
        for part in range(len(self._parts), id_ + 1):
            rng = stream(self.seed, "direction samples", part)
            self._parts.append(self.problem.samples(self.samples, rng))
        latents = np.concatenate([each for each, _ in self._parts])
        levels = np.concatenate([each for _, each in self._parts])
        known = np.isfinite(levels)
        if known.sum() < 2 or np.ptp(levels[known]) == 0:
            raise SolverError(
                f"Of {len(levels)} samples, {int(known.sum())} have a level, and these do not "
                "differ: nothing tells in which direction the attribute grows."
            )
        normal = self.learn(latents[known].reshape(int(known.sum()), -1), levels[known], self.seed)
        d = normal.reshape(1, *self.space.shape)
        return np.asarray(self.space.within(d * (self.space.longest / lengths(d))[0])[0])


def extremes(
    levels: NDArray[np.float64], share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the highest and of the lowest levels, as many of each and at least one.

    Args:
        levels: (m,), m >= 2.
        share: of all rows on each side, in (0, 0.5].
    """
    order = np.argsort(levels, kind="stable")
    count = min(max(1, round(share * len(levels))), len(levels) // 2)
    return order[-count:], order[:count]


def require_share(share: float) -> None:
    """Make sure that both ends of the samples can be taken.

    Raises:
        SolverError: they would overlap, or be empty.
    """
    if not 0 < share <= 0.5:
        raise SolverError(f"The share of samples at each end lies in (0, 0.5]; got {share}.")
