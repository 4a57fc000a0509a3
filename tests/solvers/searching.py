"""Runs of a solver on a function of latents, for the tests of searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.archive import Archive
from vqlso.contracts import LatentSpace, Solver
from vqlso.records import Proposal, Scores, ScoreStatus

Score = Callable[[NDArray[Any]], NDArray[np.float64]]


def archive_of(z: NDArray[Any], score: Score, version: str = "first") -> Archive:
    return Archive(_no_images(len(z)), score(z), z, version)


def start(solver: Solver, space: LatentSpace, score: Score, training: int) -> Archive:
    """Give a solver scored samples of its space."""
    archive = archive_of(space.sample(training, np.random.default_rng(0)), score)
    solver.rebase(archive)
    return archive


def answers(proposal: Proposal, score: Score) -> Scores:
    n = len(proposal)
    ok = (ScoreStatus.OK,) * n
    return Scores(proposal.ids, score(proposal.z), ok, ("",) * n, _no_images(n))


def search(solver: Solver, score: Score, evaluations: int, batch: int = 1) -> list[Proposal]:
    """Ask and tell until so many latents were scored."""
    proposals = []
    for _ in range(evaluations // batch):
        proposal = solver.ask(batch)
        solver.tell(proposal, answers(proposal, score))
        proposals.append(proposal)
    return proposals


def best(proposals: list[Proposal], score: Score) -> float:
    return max(float(score(proposal.z).max()) for proposal in proposals)


def as_one(proposals: list[Proposal]) -> Proposal:
    """What a resumed run tells: all proposals of a round in one."""
    z = np.concatenate([proposal.z for proposal in proposals])
    unknown = np.full(len(z), np.nan)
    return Proposal(
        ids=np.concatenate([proposal.ids for proposal in proposals]),
        z=z,
        space=proposals[0].space,
        version=proposals[0].version,
        parents=np.concatenate([proposal.parents for proposal in proposals]),
        predicted=unknown,
        acquisition=unknown,
        bound=unknown,
        status=sum((proposal.status for proposal in proposals), ()),
    )


def _no_images(n: int) -> NDArray[np.uint8]:
    return np.zeros((n, 3, 2, 2), dtype=np.uint8)
