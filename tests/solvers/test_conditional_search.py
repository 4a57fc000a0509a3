"""Asking for a score: what comes has it, and fits follow what was told."""

import numpy as np
import pytest

from solvers.conditional_search import ConditionalSearch
from solvers.testing import SolverCase, answered, scores_of_latents
from vqlso.errors import SolverError
from vqlso.spaces import RealVectors

SPACE = RealVectors("w", (6,))


def started(asked: float | None, refit: int = 1000) -> ConditionalSearch:
    solver = ConditionalSearch(SPACE, asked=asked, refit=refit)
    solver.rebase(SolverCase(SPACE, lambda seed: solver).archive())
    return solver


@pytest.mark.parametrize("asked", [-0.8, 0.0, 0.8])
def test_linear_scores_are_met(asked: float) -> None:
    proposal = started(asked).ask(30)
    np.testing.assert_allclose(scores_of_latents(proposal.z), asked, atol=0.05)
    assert np.ptp(proposal.z, axis=0).min() > 1
    assert proposal.details["asked"] == asked


def test_the_best_known_is_asked_for_at_each_fit() -> None:
    solver = started(None, refit=4)
    best = SolverCase(SPACE, lambda seed: solver).archive().scores.max()
    first = solver.ask(4)
    assert first.details["asked"] == best
    solver.tell(first, answered(first))
    assert solver.ask(1).details["asked"] == max(best, scores_of_latents(first.z).max())


def test_nothing_is_fitted_before_it_is_asked() -> None:
    with pytest.raises(SolverError, match="ask"):
        _ = started(0.5).fitted
    with pytest.raises(SolverError, match="refit=0"):
        ConditionalSearch(SPACE, refit=0)
