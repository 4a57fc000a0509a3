"""Searches side by side are the searches that each would be alone."""

import numpy as np
import pytest

from solvers.local_search import LocalSearch
from solvers.side_by_side import SideBySide
from solvers.testing import SolverCase, answered
from vqlso.errors import SolverError
from vqlso.records import Proposal
from vqlso.spaces import RealVectors

SPACE = RealVectors("z", (3,))
CASE = SolverCase(SPACE, lambda seed: LocalSearch(SPACE, adapts=True, seed=seed), training=20)


def together() -> SideBySide:
    both = SideBySide([CASE.make(1), CASE.make(2)])
    both.rebase(CASE.archive())
    return both


def test_each_goes_its_own_way() -> None:
    both, archive = together(), CASE.archive()
    found: list[Proposal] = []
    for size in (1, 2, 3, 4):
        found.append(both.ask(size))
        both.tell(found[-1], answered(found[-1], rows=range(size)[::-1]))
    z = np.concatenate([each.z for each in found])
    assert np.concatenate([each.ids for each in found]).tolist() == list(range(10))
    for place, seed in enumerate((1, 2)):
        alone = CASE.make(seed)
        rows = slice(place, None, 2)
        alone.rebase(
            type(archive)(
                archive.images(rows), archive.scores[rows], archive.latents("first")[rows], "first"
            )
        )
        first = alone.ask(1)
        np.testing.assert_array_equal(first.z[0], z[place])
        alone.tell(first, answered(first))


def test_answers_told_at_once_restore_it() -> None:
    first, second = together(), together()
    asked = first.ask(6)
    first.tell(asked, answered(asked))
    second.tell(asked, answered(asked))
    np.testing.assert_array_equal(first.ask(3).z, second.ask(3).z)


def test_what_it_refuses() -> None:
    with pytest.raises(SolverError, match="at least one solver"):
        SideBySide([])
    with pytest.raises(SolverError, match="at least one"):
        together().ask(0)
    asked = together().ask(2)
    with pytest.raises(SolverError, match="ids that the proposal lacks"):
        together().tell(CASE.foreign([7]), answered(asked))
