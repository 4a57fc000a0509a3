"""What a run folder keeps of each query: its pictures, its journal line, its row of the round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event
from pipeline.runs.replay import proposal_arrays, query_facts
from vqlso.errors import ObjectiveError
from vqlso.records import Proposal, Scores


class QueryLog:
    """The queries of a run folder, round by round.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        # To read them from the journal would take longer with each round.
        self._round: list[Event] = []

    def begin(self, told: Sequence[Event]) -> None:
        """Go on with a round of which the journal already told these queries."""
        self._round = list(told)

    def write(
        self,
        proposal: Proposal,
        scores: Scores,
        measured: Sequence[Mapping[str, Any]],
        seconds: float,
    ) -> None:
        """Keep a proposal and its answers; pictures first, for the lines speak of them.

        Args:
            proposal: n latents.
            scores: of all of them, in any order.
            measured: n times whatever else a line tells.
            seconds: that scoring them took.
        """
        facts = []
        for row, answer in enumerate(rows_of_answers(proposal, scores)):
            self._keep_images(int(proposal.ids[row]), scores, answer)
            facts.append({**query_facts(proposal, row, scores, answer), **measured[row]})
        times = proposal.details.get("seconds", {}) | {"score": seconds}
        share = {stage: value / len(proposal) for stage, value in times.items()}
        self._folder.journal.append_all("query", facts, share)
        self._round += facts

    def end(self, round_: int) -> None:
        """Keep what the round proposed as arrays; a resumed run has it from the journal."""
        if self._round:
            self._folder.write_arrays(
                f"rounds/{round_:03d}/proposals.npz", **proposal_arrays(self._round)
            )
        self._round = []

    def _keep_images(self, id_: int, scores: Scores, answer: int) -> None:
        self._folder.write_image(id_, scores.images[answer])
        for role, images in scores.control_images.items():
            self._folder.write_image(id_, images[answer], role)


def rows_of_answers(proposal: Proposal, scores: Scores) -> NDArray[np.int64]:
    """(n,) the row of the score that belongs to each row of the proposal.

    Raises:
        ObjectiveError: a score is missing, or is of nothing that was proposed.
    """
    rows = {int(id_): row for row, id_ in enumerate(scores.ids)}
    missing = [int(id_) for id_ in proposal.ids if int(id_) not in rows]
    if missing or len(rows) != len(proposal):
        raise ObjectiveError(
            f"Scores of {sorted(rows)} were recorded for the proposal of {proposal.ids.tolist()}: "
            "the black box answers every proposed id once, by a value or by a failure."
        )
    return np.array([rows[int(id_)] for id_ in proposal.ids], dtype=np.int64)


def is_novel(z: NDArray[Any], *known: NDArray[Any]) -> bool:
    """Whether a (*shape) latent is among none of the known (m, *shape) ones."""
    axes = tuple(range(1, 1 + z.ndim))
    return not any((latents == z).all(axis=axes).any() for latents in known)
