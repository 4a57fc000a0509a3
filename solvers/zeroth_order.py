"""Gradient ascent where scores have no gradient: it is estimated from scores around a centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.ascent import Ascent, Point, Rule, adam, with_decays
from solvers.history import History
from solvers.starts import Start, require_start, starting_latent
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors


class ZerothOrder:
    """Antithetic pairs around a centre, which their estimated gradient moves.

    Ids 2j and 2j + 1 are the centre plus and minus `spread` times a standard normal vector u, and
    the gradient is the mean of (score - mean score) * u / spread (Nesterov and Spokoiny 2017,
    "Random Gradient-Free Minimization of Convex Functions"; Salimans et al. 2017 for the pairs).
    The centre moves after every 2 * pairs answers, so ask for no more at a time: later answers
    around an old centre are not used, nor are points that were never proposed here. The state
    follows from the archive and the answers alone.

    Args:
        space: real latents of any shape.
        pairs: how many pairs an estimate rests on, >= 1.
        spread: standard deviation around the centre, > 0.
        step: of the rule, > 0.
        evaluations: of the whole search, for the decay of the step.
        rule: how an estimated gradient moves the centre.
        start: "prior" begins at a sample of the space, "best" at the best training latent.
        seed: of start and directions.

    Raises:
        SolverError: a setting outside its range.
    """

    def __init__(
        self,
        space: RealVectors,
        *,
        pairs: int = 8,
        spread: float = 0.1,
        step: float = 0.1,
        evaluations: int = 1000,
        rule: Rule = adam,
        start: Start = "prior",
        seed: int = 0,
    ) -> None:
        require_start(start)
        if pairs < 1 or not 0 < spread < np.inf or not 0 < step < np.inf:
            raise SolverError(
                "A zeroth-order search needs at least one pair and positive spread and step; got "
                f"{pairs}, {spread} and {step}."
            )
        self.space = space
        self.pairs = pairs
        self.spread = spread
        self.step = step
        self.evaluations = evaluations
        self.rule = rule
        self.start: Start = start
        self.seed = seed
        self._history = History(space)
        self._ascent: Ascent | None = None
        self._centre = np.empty(space.shape)
        self._offsets: list[NDArray[np.float64]] = []
        self._answers: list[float] = []

    def rebase(self, archive: Archive) -> None:
        """Start afresh."""
        self._history.rebase(archive)
        start = starting_latent(self._history, self.start, seed=self.seed)
        moves = max(1, self.evaluations // (2 * self.pairs))
        self._ascent = with_decays(self.rule, start, self.step, moves)
        self._centre = next(self._ascent)
        self._forget()

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Move the centre with every full set of pairs.

        Raises:
            SolverError: as `History.tell`.
        """
        known = len(self._history)
        ids = proposal.ids[self._history.tell(proposal, scores)]
        for row, id_ in enumerate(ids.tolist(), start=known):
            offset = self._offset(id_)
            if (self._history.z[row] == self._centre + self.spread * offset).all():
                self._offsets.append(offset)
                self._answers.append(float(self._history.y[row]))
            if len(self._answers) == 2 * self.pairs:
                self._move()

    def ask(self, n: int) -> Proposal:
        """n >= 1 points around the centre.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        offsets = np.stack([self._offset(int(id_)) for id_ in ids])
        return self._history.proposal(
            ids, self._centre + self.spread * offsets, details={"gradients": 0}
        )

    def _offset(self, id_: int) -> NDArray[np.float64]:
        pair, sign = divmod(id_, 2)
        normal = stream(self.seed, "zeroth order", pair).standard_normal(self.space.shape)
        return -normal if sign else normal

    def _move(self) -> None:
        assert self._ascent is not None
        scores, offsets = np.array(self._answers), np.stack(self._offsets)
        estimate = np.tensordot(scores - scores.mean(), offsets, 1) / (len(scores) * self.spread)
        self._centre = self._ascent.send(Point(self._centre, float(scores.mean()), estimate))
        self._forget()

    def _forget(self) -> None:
        self._offsets, self._answers = [], []
