"""Fine-tuning a generator's mapping network on a black-box score, by REINFORCE."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from solvers.history import History
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores
from vqlso.spaces import RealVectors

# Inputs whose images, as the original maps them, tell how much each entry of w varies.
DRAWS = 1000


class PolicySearch:
    """A stochastic policy over w: what the mapping network makes of z, plus normal noise.

    The likelihood of a w under the policy is known, so the score needs no gradient: the expected
    score climbs along the mean of advantage times the gradient of log p(w | z) (Williams 1992,
    "Simple statistical gradient-following algorithms", with the batch's mean score as baseline,
    and divided by the batch's deviation). A penalty on the distance from the original mapping, in
    standard deviations of w, keeps the distribution from collapsing.

    Every `batch` answers make a step, in the order in which they are told; an answer to a point
    that was never proposed here counts like any other.

    Args:
        space: "w", vectors (d,).
        mapping: (n, z_dim) -> (n, d); a copy is trained.
        z_dim: length of z, standard normal.
        batch: answers a step, at least 2.
        learning_rate: Adam's.
        noise: standard deviation of the policy around the mapping, in those of w, > 0.
        anchor: weight of the mean squared distance from the original mapping, >= 0.
        seed: of z and noise.

    Raises:
        SolverError: a setting outside its range.
    """

    def __init__(
        self,
        space: RealVectors,
        mapping: nn.Module,
        z_dim: int,
        *,
        batch: int = 25,
        learning_rate: float = 2e-2,
        noise: float = 0.3,
        anchor: float = 0.1,
        seed: int = 0,
    ) -> None:
        if batch < 2 or not learning_rate > 0 or not noise > 0 or not anchor >= 0:
            raise SolverError(
                "REINFORCE needs a batch of at least 2, a positive learning rate and noise, and "
                f"an anchor from 0; got {batch}, {learning_rate}, {noise} and {anchor}."
            )
        self.space = space
        self.original = mapping
        self.z_dim = z_dim
        self.batch = batch
        self.learning_rate = learning_rate
        self.noise = noise
        self.anchor = anchor
        self.seed = seed
        self._history = History(space)
        rng = stream(seed, "policy scale")
        with torch.no_grad():
            self._scale = mapping(_normal((DRAWS, z_dim), rng)).std(0)
        self._begin()

    @property
    def mapping(self) -> nn.Module:
        """The mapping network as it is now."""
        return self._mapping

    def rebase(self, archive: Archive) -> None:
        """Start afresh."""
        self._history.rebase(archive)
        self._begin()

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Climb with every batch of answers that is complete.

        Raises:
            SolverError: as `History.tell`.
        """
        self._told += proposal.ids[self._history.tell(proposal, scores)].tolist()
        while len(self._told) >= (self._step + 1) * self.batch:
            self._climb()

    def ask(self, n: int) -> Proposal:
        """n >= 1 draws of the policy; ask for no more than a batch at a time.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        z, noise = self._drawn(ids)
        with torch.no_grad():
            w = self._mapping(z) + self.noise * self._scale * noise
        return self._history.proposal(ids, w.double().numpy(), details={"step": self._step})

    def _begin(self) -> None:
        self._step = 0
        self._told: list[int] = []
        self._mapping = copy.deepcopy(self.original).requires_grad_(True)
        self._optimiser = torch.optim.Adam(self._mapping.parameters(), lr=self.learning_rate)

    def _climb(self) -> None:
        """One step on the first answers that none was made on."""
        batch = slice(self._step * self.batch, (self._step + 1) * self.batch)
        self._step += 1
        known = self._history.training_rows
        scores = self._history.y[known:][batch]
        if not np.ptp(scores) > 0:
            return
        advantage = torch.from_numpy((scores - scores.mean()) / scores.std()).float()
        z, _ = self._drawn(np.array(self._told[batch]))
        w = torch.from_numpy(self._history.z[known:][batch]).float()
        with torch.enable_grad():
            mapped = self._mapping(z)
            likelihood = -((w - mapped) / (self.noise * self._scale)).square().sum(1) / 2
            left = ((mapped - self.original(z)) / self._scale).square().mean()
            loss = self.anchor * left - (advantage * likelihood).mean() / w.shape[1]
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self._optimiser.step()

    def _drawn(self, ids: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """(n, z_dim) inputs and (n, d) noise of these ids."""
        streams = [stream(self.seed, "policy", int(id_)) for id_ in ids]
        z = torch.cat([_normal((1, self.z_dim), rng) for rng in streams])
        return z, torch.cat([_normal((1, *self.space.shape), rng) for rng in streams])


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape)).float()
