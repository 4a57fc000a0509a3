"""Proposals and scores: one entry of each field per id."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vqlso.errors import ObjectiveError, SolverError
from vqlso.records import Proposal, Scores, ScoreStatus, SolveStatus

IMAGES = np.zeros((3, 3, 8, 8), dtype=np.uint8)
PROPOSAL = Proposal(
    ids=np.array([7, 3, 5]),
    z=np.zeros((3, 2, 2), dtype=np.int64),
    space="codes",
    version="abc",
    parents=np.full(3, -1),
    predicted=np.zeros(3),
    acquisition=np.zeros(3),
    bound=np.full(3, np.nan),
    status=(SolveStatus.OPTIMAL,) * 3,
    controls={"reference": np.zeros((3, 2, 2), dtype=np.int64)},
)
SCORES = Scores(
    ids=np.array([3, 7, 5]),
    values=np.array([1.0, np.nan, 2.0]),
    status=(ScoreStatus.OK, ScoreStatus.FAIL, ScoreStatus.OK),
    reason=("", "RuntimeError: out", ""),
    images=IMAGES,
    control_values={"reference": np.zeros(3)},
    control_images={"reference": IMAGES},
)


def test_a_proposal_is_as_long_as_its_ids_and_scores_tell_which_are_answered() -> None:
    assert len(PROPOSAL) == 3
    assert SCORES.ok.dtype == bool
    assert SCORES.ok.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "field", ["z", "parents", "predicted", "acquisition", "bound", "status", "controls"]
)
def test_a_proposals_fields_have_one_entry_per_id(field: str) -> None:
    shorter: Any = (
        {"reference": PROPOSAL.z[:2]} if field == "controls" else getattr(PROPOSAL, field)[:2]
    )
    with pytest.raises(SolverError, match=f"3 ids.*{field}.*2"):
        replace(PROPOSAL, **{field: shorter})


@pytest.mark.parametrize(
    "field", ["values", "status", "reason", "images", "control_values", "control_images"]
)
def test_scores_fields_have_one_entry_per_id(field: str) -> None:
    value = getattr(SCORES, field)
    shorter: Any = (
        {"reference": value["reference"][:2]} if field.startswith("control") else value[:2]
    )
    with pytest.raises(ObjectiveError, match=f"3 ids.*{field}.*2"):
        replace(SCORES, **{field: shorter})


def test_an_id_stands_for_one_latent_and_one_answer() -> None:
    twice = np.array([3, 5, 3])
    with pytest.raises(SolverError, match=r"repeat: \[3, 5, 3\]"):
        replace(PROPOSAL, ids=twice)
    with pytest.raises(ObjectiveError, match=r"repeat: \[3, 5, 3\]"):
        replace(SCORES, ids=twice)


def test_statuses_are_their_own_words_in_a_journal() -> None:
    assert [str(status) for status in SolveStatus] == ["optimal", "feasible", "unproven"]
    assert [ScoreStatus("ok"), ScoreStatus("fail")] == list(ScoreStatus)
