"""The contract that every solver keeps, as tests: subclass the suite and give it one fixture.

    class TestMySolver(SolverContract):
        @pytest.fixture
        def case(self) -> SolverCase:
            space = CodeGrid(categories=4, height=3, width=3)
            return SolverCase(space, lambda seed: MySolver(space, seed=seed))

Needs pytest, which comes with the extra `dev`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from vqlso.archive import Archive
from vqlso.contracts import LatentSpace, Solver
from vqlso.errors import SolverError
from vqlso.records import Proposal, Scores, ScoreStatus, SolveStatus

IMAGE_SHAPE = (3, 2, 2)


@dataclass(frozen=True)
class SolverCase:
    """What a solver is tested on.

    Attributes:
        space: where it searches.
        make: a fresh solver of a given seed.
        training: scored latents that it starts from.
    """

    space: LatentSpace
    make: Callable[[int], Solver]
    training: int = 400

    def archive(self, version: str = "first", seed: int = 0) -> Archive:
        """A training set with scores that depend on the latents."""
        z = self.space.sample(self.training, np.random.default_rng(seed))
        return Archive(_images(len(z)), scores_of_latents(z), z, version)

    def started(self, seed: int = 0) -> Solver:
        """A solver that knows the training set."""
        solver = self.make(seed)
        solver.rebase(self.archive())
        return solver

    def foreign(self, ids: Sequence[int], version: str = "first") -> Proposal:
        """Points that no solver has proposed."""
        z = self.space.sample(len(ids), np.random.default_rng(77))
        return Proposal.unproven(
            z, space=self.space.name, version=version, ids=np.array(ids, dtype=np.int64)
        )


def scores_of_latents(z: NDArray[np.generic]) -> NDArray[np.float64]:
    """(n,) float64, a fixed weighted mean of each latent's entries."""
    flat = np.asarray(z, dtype=np.float64).reshape(len(z), -1)
    weights = np.cos(np.arange(flat.shape[1]))
    return np.asarray(flat @ weights / flat.shape[1], dtype=np.float64)


def answered(
    proposal: Proposal, rows: Sequence[int] | None = None, failed: Sequence[int] = ()
) -> Scores:
    """The answers to some rows of a proposal, by default to all, in the order of `rows`."""
    chosen = list(range(len(proposal)) if rows is None else rows)
    values = scores_of_latents(proposal.z[chosen])
    bad = np.isin(chosen, failed)
    return Scores(
        ids=proposal.ids[chosen],
        values=np.where(bad, np.nan, values),
        status=tuple(ScoreStatus.FAIL if each else ScoreStatus.OK for each in bad),
        reason=tuple("no answer" if each else "" for each in bad),
        images=_images(len(chosen)),
    )


def assert_same(first: Proposal, second: Proposal) -> None:
    """The same latents under the same ids, for the same reasons."""
    for name in ("ids", "z", "parents", "predicted", "acquisition", "bound"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), name)
    assert (first.space, first.version) == (second.space, second.version)
    assert first.status == second.status
    assert first.controls.keys() == second.controls.keys()
    for name, z in first.controls.items():
        np.testing.assert_array_equal(z, second.controls[name], name)


class SolverContract:
    """See `vqlso.contracts.Solver`."""

    def test_it_is_a_solver(self, case: SolverCase) -> None:
        """It has the methods of the Protocol."""
        assert isinstance(case.make(0), Solver)

    @pytest.mark.parametrize("n", [1, 3])
    def test_proposals_lie_in_the_space(self, case: SolverCase, n: int) -> None:
        """Shapes, dtypes, ranges, and whom the latents belong to."""
        archive = case.archive()
        solver = case.make(0)
        solver.rebase(archive)
        proposal = solver.ask(n)
        assert len(proposal) == n
        assert proposal.z.dtype == case.space.sample(1, np.random.default_rng(0)).dtype
        np.testing.assert_array_equal(case.space.validate(proposal.z), proposal.z)
        for z in proposal.controls.values():
            case.space.validate(z)
        assert (proposal.space, proposal.version) == (case.space.name, archive.version)
        assert proposal.ids.dtype == np.int64
        assert ((proposal.parents >= -1) & (proposal.parents < len(archive))).all()
        for figure in (proposal.predicted, proposal.acquisition, proposal.bound):
            assert figure.dtype == np.float64
        assert all(isinstance(status, SolveStatus) for status in proposal.status)

    def test_bounds_hold(self, case: SolverCase) -> None:
        """No bound lies below what was reached, and a proof leaves no gap."""
        proposal = case.started().ask(3)
        known = ~np.isnan(proposal.bound)
        slack = 1e-6 * np.maximum(1, np.abs(proposal.acquisition))
        assert (proposal.bound >= proposal.acquisition - slack)[known].all()
        for status, gap, allowed in zip(
            proposal.status, proposal.bound - proposal.acquisition, slack, strict=True
        ):
            assert status is not SolveStatus.OPTIMAL or gap <= allowed

    def test_ids_count_from_zero_and_continue(self, case: SolverCase) -> None:
        """Also when a proposal was never answered, and when the generator changed."""
        solver = case.started()
        first, unanswered = solver.ask(2), solver.ask(1)
        solver.tell(first, answered(first))
        third = solver.ask(3)
        solver.tell(third, answered(third))
        solver.rebase(case.archive("second"))
        fourth = solver.ask(1)
        ids = np.concatenate([each.ids for each in (first, unanswered, third, fourth)])
        assert ids.tolist() == list(range(7))

    def test_ids_continue_behind_those_that_were_told(self, case: SolverCase) -> None:
        """Points of an earlier run keep their ids to themselves, failures too."""
        solver = case.started()
        foreign = case.foreign([3, 9])
        solver.tell(foreign, answered(foreign, failed=[1]))
        assert solver.ask(2).ids.tolist() == [10, 11]

    def test_scores_come_in_any_order(self, case: SolverCase) -> None:
        """Scores are matched by id: permuted answers lead to the same next proposal."""
        straight, permuted = case.started(), case.started()
        proposal = straight.ask(3)
        assert_same(proposal, permuted.ask(3))
        straight.tell(proposal, answered(proposal))
        permuted.tell(proposal, answered(proposal, rows=[2, 0, 1]))
        assert_same(straight.ask(2), permuted.ask(2))

    def test_failures_count_as_unanswered(self, case: SolverCase) -> None:
        """A failed point teaches nothing."""
        failing, answering = case.started(), case.started()
        proposal = failing.ask(3)
        answering.ask(3)
        failing.tell(proposal, answered(proposal, failed=[0]))
        answering.tell(proposal, answered(proposal, rows=[1, 2]))
        assert_same(failing.ask(2), answering.ask(2))

    def test_all_may_fail(self, case: SolverCase) -> None:
        """Then the next proposal rests on what was known before."""
        solver = case.started()
        proposal = solver.ask(2)
        solver.tell(proposal, answered(proposal, failed=[0, 1]))
        assert len(solver.ask(1)) == 1

    def test_the_same_history_gives_the_same_proposal(self, case: SolverCase) -> None:
        """A killed run is restored by `rebase` and `tell` alone."""
        original, restored = case.started(seed=5), case.started(seed=5)
        history = []
        for n in (2, 1):
            proposal = original.ask(n)
            scores = answered(proposal, failed=[0] if n == 2 else [])
            original.tell(proposal, scores)
            history.append((proposal, scores))
        for proposal, scores in history:
            restored.tell(proposal, scores)
        assert_same(original.ask(2), restored.ask(2))

    def test_another_seed_searches_elsewhere(self, case: SolverCase) -> None:
        """Some of a few latents differ."""
        first, second = case.started(seed=0).ask(4), case.started(seed=1).ask(4)
        assert not np.array_equal(first.z, second.z)

    def test_rebase_moves_to_the_new_version(self, case: SolverCase) -> None:
        """Latents of the old generator are refused from then on."""
        solver = case.started()
        old = solver.ask(1)
        solver.rebase(case.archive("second"))
        with pytest.raises(SolverError, match=r"first.*second"):
            solver.tell(old, answered(old))
        assert solver.ask(1).version == "second"

    def test_scores_of_unknown_ids_are_refused(self, case: SolverCase) -> None:
        """An answer without a question is a mistake of the caller."""
        solver = case.started()
        proposal = solver.ask(1)
        other = case.foreign([8])
        with pytest.raises(SolverError, match="8"):
            solver.tell(proposal, answered(other))

    def test_the_archive_is_left_alone(self, case: SolverCase) -> None:
        """It belongs to the loop."""
        archive = case.archive()
        latents, scores = archive.latents("first").copy(), archive.scores
        solver = case.make(0)
        solver.rebase(archive)
        proposal = solver.ask(2)
        solver.tell(proposal, answered(proposal))
        np.testing.assert_array_equal(archive.latents("first"), latents)
        np.testing.assert_array_equal(archive.scores, scores)

    def test_nothing_can_be_asked_before_rebase(self, case: SolverCase) -> None:
        """There is no generator whose latents it could propose."""
        with pytest.raises(SolverError, match="rebase"):
            case.make(0).ask(1)

    def test_asking_for_nothing_is_a_mistake(self, case: SolverCase) -> None:
        """An empty proposal would hide an empty budget."""
        with pytest.raises(SolverError, match="at least one"):
            case.started().ask(0)


def _images(n: int) -> NDArray[np.uint8]:
    return np.zeros((n, *IMAGE_SHAPE), dtype=np.uint8)
