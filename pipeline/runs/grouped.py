"""Many cheap proposals in one line of the journal, and a search that is made from it again.

A search of tens of thousands of evaluations would drown in a line and an image for each. A line of
kind "proposals" tells the scores of several proposals, in order, and a hash of their latents. The
latents themselves follow from the solver: what it asks depends on the archive, on what it was told
and on (seed, id) alone (`vqlso.contracts.Solver`), so it is asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np

from pipeline.runs.journal import Event, Journal
from vqlso.contracts import Solver
from vqlso.errors import RunFolderError
from vqlso.records import Proposal, Scores, ScoreStatus


class ProposalGroup:
    """Proposals since the journal's last line.

    Args:
        journal: where they go.
        size: proposals a line, >= 1. A killed run repeats those that no line tells of.
    """

    def __init__(self, journal: Journal, size: int) -> None:
        self.journal = journal
        self.size = size
        self._told: list[tuple[Proposal, Scores]] = []
        self._scoring = 0.0
        self._began = perf_counter()

    def add(self, proposal: Proposal, scores: Scores, seconds: float) -> None:
        """Take a scored proposal, and write a line when there are enough.

        Raises:
            RunFolderError: the disk is full or the folder cannot be written.
        """
        self._told.append((proposal, scores))
        self._scoring += seconds
        if len(self._told) >= self.size:
            self.write()

    def write(self) -> None:
        """Write what has come since the last line, if anything.

        Raises:
            RunFolderError: the disk is full or the folder cannot be written.
        """
        if not self._told:
            return
        now = perf_counter()
        seconds = {"propose": now - self._began - self._scoring, "score": self._scoring}
        self.journal.append("proposals", _facts(self._told), seconds)
        self._told, self._scoring, self._began = [], 0.0, now


def asked_again(event: Event, solver: Solver) -> Iterator[tuple[Proposal, Scores]]:
    """The proposals and scores of one line. Each must be told before the next is taken.

    Raises:
        RunFolderError: the solver asks for other latents than those that were scored.
    """
    proposals, values = [], iter(event["scores"])
    for size in event["sizes"]:
        proposal = solver.ask(size)
        proposals.append(proposal)
        reasons = tuple(event["reasons"].get(str(id_), "") for id_ in proposal.ids)
        told = [np.nan if each is None else each for each in islice(values, size)]
        yield (
            proposal,
            Scores(
                ids=proposal.ids,
                values=np.array(told, dtype=np.float64),
                status=tuple(ScoreStatus.FAIL if each else ScoreStatus.OK for each in reasons),
                reason=reasons,
                images=np.zeros((size, 3, 0, 0), dtype=np.uint8),
            ),
        )
    if _hash(proposals) != event["latents"]:
        raise RunFolderError(
            f"Asked again from id {event['first']} on, the solver proposes other latents than "
            "those that were scored: its settings or a package it uses have changed. Start a new "
            "run with another out=DIR."
        )


def _facts(told: Sequence[tuple[Proposal, Scores]]) -> dict[str, Any]:
    """What the journal says; the details are those of the last proposal."""
    values: dict[int, float] = {}
    reasons: dict[int, str] = {}
    for _, scores in told:
        values.update(zip(scores.ids.tolist(), scores.values.tolist(), strict=True))
        reasons.update(zip(scores.ids.tolist(), scores.reason, strict=True))
    proposals = [proposal for proposal, _ in told]
    ids = [id_ for proposal in proposals for id_ in proposal.ids.tolist()]
    details = proposals[-1].details
    return {
        "first": ids[0],
        "sizes": [len(proposal) for proposal in proposals],
        "scores": [values[id_] for id_ in ids],
        "reasons": {str(id_): reasons[id_] for id_ in ids if reasons[id_]},
        "details": {key: value for key, value in details.items() if key != "seconds"},
        "latents": _hash(proposals),
    }


def _hash(proposals: Sequence[Proposal]) -> str:
    """Sixteen hexadecimal digits of all latents."""
    digest = hashlib.sha256()
    for proposal in proposals:
        digest.update(np.ascontiguousarray(proposal.z).tobytes())
    return digest.hexdigest()[:16]
