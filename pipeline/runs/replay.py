"""Queries as the journal tells of them, and proposals and scores made from them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runs.journal import Event
from vqlso.records import Proposal, Scores, ScoreStatus, SolveStatus


def query_facts(proposal: Proposal, row: int, scores: Scores, answer: int) -> dict[str, Any]:
    """What the journal says of one query; `answer` is the row of its score."""
    details = {key: value for key, value in proposal.details.items() if key != "seconds"}
    return {
        "id": int(proposal.ids[row]),
        "space": proposal.space,
        "version": proposal.version,
        "parent": int(proposal.parents[row]),
        "z": proposal.z[row].tolist(),
        "predicted": float(proposal.predicted[row]),
        "acquisition": float(proposal.acquisition[row]),
        "bound": float(proposal.bound[row]),
        "status": str(proposal.status[row]),
        "score": float(scores.values[answer]),
        "score_status": str(scores.status[answer]),
        "reason": scores.reason[answer],
        "controls": {name: float(each[answer]) for name, each in scores.control_values.items()},
        **details,
    }


def replayed(
    events: Sequence[Event], images: NDArray[np.uint8], version: str
) -> tuple[Proposal, Scores]:
    """The proposal and the scores that journalled queries told of.

    Args:
        events: n "query" events.
        images: (n, 3, H, W) uint8, what was scored.
        version: of the generator that the latents are taken for.
    """

    ids = np.array([event["id"] for event in events], dtype=np.int64)
    proposal = Proposal(
        ids=ids,
        z=np.array([event["z"] for event in events]),
        space=events[0]["space"],
        version=version,
        parents=np.array([event["parent"] for event in events], dtype=np.int64),
        predicted=_column(events, "predicted"),
        acquisition=_column(events, "acquisition"),
        bound=_column(events, "bound"),
        status=tuple(SolveStatus(event["status"]) for event in events),
    )
    scores = Scores(
        ids=ids,
        values=_column(events, "score"),
        status=tuple(ScoreStatus(event["score_status"]) for event in events),
        reason=tuple(event["reason"] for event in events),
        images=images,
    )
    return proposal, scores


def proposal_arrays(events: Sequence[Event]) -> dict[str, NDArray[Any]]:
    """What n journalled queries proposed, as arrays for one file.

    Returns:
        (n,) ids and parents, int64; (n, *shape) latents z; (n,) predicted, acquisition, bound and
        score, float64 with NaN where there is none.
    """
    whole = {
        name: np.array([event[key] for event in events], dtype=np.int64)
        for name, key in (("ids", "id"), ("parents", "parent"))
    }
    latents = {"z": np.array([event["z"] for event in events])}
    names = ("predicted", "acquisition", "bound", "score")
    return whole | latents | {name: _column(events, name) for name in names}


def _column(events: Sequence[Event], name: str) -> NDArray[np.float64]:
    values = [event[name] for event in events]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
