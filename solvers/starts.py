"""Where a search over real latents begins."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from solvers.history import History
from vqlso.errors import SolverError
from vqlso.randomness import stream

Start = Literal["prior", "best"]


def require_start(start: str) -> None:
    """Raise SolverError where `start` is no known choice."""
    if start not in ("prior", "best"):
        raise SolverError(f"A search starts from 'prior' or from 'best', not from '{start}'.")


def starting_latent(
    history: History, start: Start, *, seed: int, rank: int = 0, target: int = 0, targets: int = 1
) -> NDArray[np.float64]:
    """(*space.shape,) a sample of the space, or one of the best training latents.

    Args:
        history: the training latents; row r was scored by target r % targets.
        start: "prior" or "best".
        seed: of the sample.
        rank: which start, from 0: another sample, or the next best latent.
        target: whose scores count.
        targets: how many there are.
    """
    own = np.arange(target, history.training_rows, targets)
    if start == "prior" or not len(own):
        rng = stream(seed, "start", rank, target)
        return np.asarray(history.space.sample(1, rng)[0], dtype=np.float64)
    ranking = own[np.argsort(-history.y[own], kind="stable")]
    return np.asarray(history.z[ranking[rank % len(ranking)]], dtype=np.float64)
