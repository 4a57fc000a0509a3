"""Nevergrad's optimisers (Rapin and Teytaud 2018) over real latents."""

from __future__ import annotations

import copy
from difflib import get_close_matches
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.extras import extra_package
from solvers.history import History
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors

# Mean and spread of a space are estimated from so many samples.
SAMPLES = 256
# Points that an optimiser remembers beside its population; each is copied at every batch.
REMEMBERED = 100
# How paper 001 calls them.
SHORT_NAMES = {"2PDE": "TwoPointsDE", "DDE": "DiscreteDE", "DOPO": "DiscreteOnePlusOne"}


class NevergradSearch:
    """Any optimiser of Nevergrad by its name, such as "TwoPointsDE", "DiscreteOnePlusOne".

    It searches coordinates in which the space's samples have mean 0 and deviation 1. Where its
    first point would be 0, as with all (1+1) methods, it begins at the best training latent
    instead: 0 is the one latent that no sample is like, and has no direction under a
    generator's normalisation.

    Every answer is one ask and tell of the library, under a random state of the answer's id, so
    the state follows from the archive and the answers alone. Of n points asked for at a time, all
    but the first rest on a copy that is then thrown away. Failed points are replaced.

    Args:
        space: real latents of any shape.
        optimizer: a name of Nevergrad's registry, or one of paper 001's abbreviations.
        evaluations: the budget that some optimisers plan by.
        seed: of everything random.

    Raises:
        SolverError: no optimiser of that name.
        MissingExtraError: `nevergrad` is not installed.
    """

    def __init__(
        self,
        space: RealVectors,
        optimizer: str = "DiscreteOnePlusOne",
        *,
        evaluations: int = 1000,
        seed: int = 0,
    ) -> None:
        self._library = extra_package("nevergrad", "nevergrad")
        registry = self._library.optimizers.registry
        name = SHORT_NAMES.get(optimizer, optimizer)
        if name not in registry:
            near = get_close_matches(optimizer, [*SHORT_NAMES, *registry], n=3, cutoff=0.0)
            raise SolverError(
                f"Nevergrad has no optimiser '{optimizer}'; the nearest names are "
                f"{', '.join(near)}."
            )
        self.space = space
        self.optimizer = name
        self.evaluations = evaluations
        self.seed = seed
        self._history = History(space)
        self._told: list[tuple[int, int]] = []  # ids and rows of the history
        self._centre = np.zeros(space.shape)
        self._scale = np.ones(space.shape)
        self._state: Any = None
        # What the state was asked for last, by id: the library's candidate and its latent, which
        # takes the library a while to tell.
        self._pending: tuple[int, Any, NDArray[np.float64]] | None = None

    def rebase(self, archive: Archive) -> None:
        """Start afresh."""
        self._history.rebase(archive)
        samples = self.space.sample(SAMPLES, stream(self.seed, "nevergrad space"))
        spread = samples.std(axis=0)
        self._centre = samples.mean(axis=0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._told = []
        self._restart()

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Add the answered points; points that were never proposed here are welcome.

        Raises:
            SolverError: as `History.tell`.
        """
        known = len(self._history)
        ids = proposal.ids[self._history.tell(proposal, scores)].tolist()
        for row, id_ in enumerate(ids, start=known):
            self._told.append((id_, row))
            if self._pending is not None and self._pending[0] != id_:
                # The state has been asked for a point that was not answered.
                self._restart()
            else:
                self._learn(id_, row)

    def ask(self, n: int) -> Proposal:
        """The optimiser's next n >= 1 points.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        if self._pending is not None:
            self._restart()
        state = self._state if n == 1 else copy.deepcopy(self._state)
        candidates = [self._asked(state, int(id_)) for id_ in ids]
        latents = np.stack([self._latent(candidate) for candidate in candidates])
        if n == 1:
            self._pending = (int(ids[0]), candidates[0], latents[0])
        return self._history.proposal(ids, latents)

    def _restart(self) -> None:
        """The state after all answers, none of its points being asked for."""
        self._state = self._fresh()
        self._pending = None
        for id_, row in self._told:
            self._learn(id_, row)

    def _learn(self, id_: int, row: int) -> None:
        """One ask and tell; what was asked for becomes what was answered."""
        if self._pending is not None:
            _, asked, latent = self._pending
        else:
            asked = self._asked(self._state, id_)
            latent = self._latent(asked)
        self._pending = None
        z = self._history.z[row]
        if not np.array_equal(latent, z):
            told = asked.spawn_child(new_value=self._coordinates(z))
            # Else it would not count as the child of whoever was to be improved.
            told.uid = asked.uid
            asked = told
        self._state.tell(asked, -float(self._history.y[row]))

    def _fresh(self) -> Any:
        state = self._built()
        if not np.any(self._asked(self._built(), 0).value):
            best = self._history.z[int(self._history.y[: self._history.training_rows].argmax())]
            state.suggest(self._coordinates(best))
        return state

    def _built(self) -> Any:
        # One generator for all points that descend from this: it is seeded anew for each.
        array = self._library.p.Array(shape=(prod(self.space.shape),))
        array.random_state = np.random.RandomState(0)
        state = self._library.optimizers.registry[self.optimizer](
            parametrization=array, budget=self.evaluations, num_workers=1
        )
        state.pruning = self._library.optimization.utils.Pruning(REMEMBERED, 2 * REMEMBERED)
        return state

    def _asked(self, state: Any, id_: int) -> Any:
        seed = int(stream(self.seed, "nevergrad", id_).integers(2**32))
        state.parametrization.random_state.seed(seed)
        return state.ask()

    def _latent(self, candidate: Any) -> NDArray[np.float64]:
        offset = np.asarray(candidate.value, dtype=np.float64).reshape(self.space.shape)
        return np.asarray(self._centre + self._scale * offset, dtype=np.float64)

    def _coordinates(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((z - self._centre) / self._scale, dtype=np.float64).ravel()
