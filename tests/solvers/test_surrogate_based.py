"""The surrogate-based search against brute force, and against engines and surrogates that lie."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solvers.free_cells import FreeCells
from solvers.surrogate_based import SurrogateSolver, code_counts
from solvers.surrogates import LightGBM
from solvers.testing import SolverCase, answered
from solvers.trees import Limits, Task, maximize
from solvers.trees.backends import BACKENDS, BackendEntry
from solvers.trees.backends.contract import BackendResult
from solvers.trees.backends.enumeration import EnumerationBackend
from vqlso.archive import Archive
from vqlso.errors import SolverError, VerificationError
from vqlso.records import Proposal, SolveStatus
from vqlso.spaces import CodeGrid
from vqlso.training.weighting import rank_weights

SPACE = CodeGrid(categories=4, height=2, width=3)
INTERACTING_TREES = {"depth": 3, "leaves": 8, "min_samples_leaf": 5, "learning_rate": 0.5}


def interacting(seed: int = 0) -> Archive:
    """Scores that depend on pairs of cells, so that no cell can be chosen by itself."""
    rng = np.random.default_rng(seed)
    z = SPACE.sample(1500, rng)
    flat = z.reshape(len(z), -1)
    pairs = rng.normal(size=(SPACE.cells, SPACE.cells, SPACE.categories, SPACE.categories))
    first, second = np.triu_indices(SPACE.cells, 1)
    scores = pairs[first, second, flat[:, first], flat[:, second]].sum(axis=1)
    return Archive(np.zeros((1500, 3, 2, 2), dtype=np.uint8), scores, z, "first")


def foreign(ids: Iterable[int]) -> Proposal:
    return SolverCase(SPACE, lambda seed: started(seed)).foreign(list(ids))


def small_surrogate(trees: int = 30) -> LightGBM:
    return LightGBM(SPACE.categories, trees=trees, **INTERACTING_TREES)


def started(case_seed: int = 0, **settings: Any) -> SurrogateSolver:
    surrogate = settings.pop("surrogate", None) or small_surrogate()
    solver = SurrogateSolver(
        SPACE, surrogate, **{"free_cells": FreeCells(4), "seed": case_seed} | settings
    )
    solver.rebase(interacting())
    return solver


def combinations(solver: SurrogateSolver) -> int:
    """How many are left to search once the reduction has done its part."""
    proposal = solver.ask(1)
    maximum = maximize(
        solver.surrogate.ensemble(),
        free=proposal.details["free_cells"],
        reference=proposal.controls["reference"][0].ravel(),
        backend="enumeration",
    )
    return maximum.sizes["combinations"]


def test_the_instances_here_are_not_trivial() -> None:
    assert combinations(started()) > 20


def changed(reference: NDArray[np.int64], cells: list[int]) -> NDArray[np.int64]:
    """Every grid that differs from the reference in these cells only."""
    codes = np.array(list(product(range(SPACE.categories), repeat=len(cells))))
    z = np.repeat(reference.reshape(1, -1), len(codes), axis=0)
    z[:, cells] = codes
    return z.reshape(-1, *SPACE.shape)


@pytest.mark.parametrize("backend", ["highs", "pyomo", "enumeration"])
@pytest.mark.parametrize("importance", ["gain", "split"])
def test_proposals_are_the_best_of_all_changes(backend: str, importance: Any) -> None:
    solver = started(backend=backend, free_cells=FreeCells(4, importance))
    for _ in range(2):
        proposal = solver.ask(2)
        cells = proposal.details["free_cells"]
        for row, reference in enumerate(proposal.controls["reference"]):
            best = solver.surrogate.predict(changed(reference, cells)).max()
            assert proposal.acquisition[row] == pytest.approx(best, rel=1e-9)
            assert proposal.bound[row] == pytest.approx(best, rel=1e-6)
            assert proposal.status[row] is SolveStatus.OPTIMAL
            fixed = np.setdiff1d(np.arange(SPACE.cells), cells)
            np.testing.assert_array_equal(proposal.z[row].ravel()[fixed], reference.ravel()[fixed])
        np.testing.assert_array_equal(proposal.predicted, solver.surrogate.predict(proposal.z))
        solver.tell(proposal, answered(proposal))


def test_references_are_the_parents_of_the_proposal() -> None:
    solver = started()
    proposal = solver.ask(5)
    latents = interacting().latents("first")
    np.testing.assert_array_equal(proposal.controls["reference"], latents[proposal.parents])


def test_random_codes_come_from_one_training_sample() -> None:
    """The chance level changes the same cells, to codes that occur together."""
    proposal = started().ask(4)
    cells = proposal.details["free_cells"]
    fixed = np.setdiff1d(np.arange(SPACE.cells), cells)
    training = interacting().latents("first").reshape(-1, 6)
    for control, reference in zip(
        proposal.controls["random_codes"].reshape(-1, 6),
        proposal.controls["reference"].reshape(-1, 6),
        strict=True,
    ):
        np.testing.assert_array_equal(control[fixed], reference[fixed])
        assert (training[:, cells] == control[cells]).all(axis=1).any()


def test_free_cells_are_the_most_important_ones() -> None:
    solver = started(free_cells=FreeCells(2))
    proposal = solver.ask(1)
    importance = solver.surrogate.importance("gain")
    chosen = proposal.details["free_cells"]
    others = np.setdiff1d(np.arange(SPACE.cells), chosen)
    assert importance[chosen].min() >= importance[others].max()


def test_chosen_cells_are_freed_whatever_their_importance() -> None:
    proposal = started(free_cells=FreeCells(fixed_choice=(5, 0))).ask(1)
    assert proposal.details["free_cells"] == [0, 5]


def test_uniform_references_never_are_queries() -> None:
    solver = started()
    queried = foreign(range(3000))
    solver.tell(queried, answered(queried))
    assert solver.ask(30).parents.max() < 1500


def test_weighted_references_follow_the_rank_weights() -> None:
    """Chi-square of 400 drawn parents against the distribution, three likeliest rows and rest."""
    solver = started(references="weighted", surrogate=small_surrogate(trees=1))
    weights = rank_weights(interacting().scores)
    parents = np.array([solver._draw_reference(id_) for id_ in range(400)])
    likeliest = np.argsort(-weights)[:3]
    observed = [np.sum(parents == row) for row in likeliest]
    expected = 400 * weights[likeliest]
    observed, expected = [*observed, 400 - sum(observed)], [*expected, 400 - sum(expected)]
    assert sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True)) < 16.27


def test_told_points_change_the_search() -> None:
    solver = started()
    before = solver.ask(1)
    solver.tell(before, answered(before))
    wonderful = foreign(range(50, 110))
    scores = answered(wonderful)
    scores.values[:] = 100.0
    solver.tell(wonderful, scores)
    assert solver.ask(1).predicted[0] > before.predicted[0] + 5


def test_a_node_limit_claims_no_optimum() -> None:
    proposal = started(backend="enumeration", limits=Limits(nodes=1)).ask(1)
    assert proposal.status == (SolveStatus.FEASIBLE,)
    assert proposal.bound[0] >= proposal.acquisition[0]


def test_counts_are_those_of_each_cell() -> None:
    z = np.array([[[0, 1]], [[0, 2]], [[3, 2]]])
    np.testing.assert_array_equal(code_counts(z, 4), [[2, 0, 0, 1], [0, 1, 2, 0]])


Lie = Callable[[BackendResult], BackendResult]


class LyingBackend(EnumerationBackend):
    """Right in everything but what the lie changes."""

    lie: Lie

    def solve(self, task: Task) -> BackendResult:
        return self.lie(super().solve(task))


@pytest.mark.parametrize(
    "lie",
    [
        lambda result: replace(result, values=result.values + 0.1, bound=result.bound + 0.1),
        lambda result: replace(result, bound=result.bound - 0.1),
        lambda result: replace(result, bound=result.bound + 0.1),
        lambda result: replace(result, points=0 * result.points),
        lambda result: replace(result, values=np.nan * result.values, bound=float("nan")),
    ],
    ids=["value", "low bound", "unproven optimum", "point", "nan"],
)
def test_a_lying_backend_is_caught(lie: Lie, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LyingBackend, "lie", staticmethod(lie), raising=False)
    entry = BackendEntry(__name__, LyingBackend.__name__, "lies", "nothing")
    monkeypatch.setitem(BACKENDS, "liar", entry)
    with pytest.raises(VerificationError, match=r"'liar'.* saved as"):
        started(backend="liar").ask(1)


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e7])
def test_a_surrogate_that_predicts_something_else_is_caught(scale: float) -> None:
    """The trees that were optimised must be the model that predicts, however small its scores."""

    class Forked(LightGBM):
        def predict(self, z: NDArray[np.int64]) -> NDArray[np.float64]:
            return super().predict(z) + 1e-3 * scale

    forked = Forked(SPACE.categories, trees=30, **INTERACTING_TREES)
    solver = started(surrogate=forked)
    few = interacting()
    z, scores = few.latents("first"), scale * few.scores
    solver.rebase(Archive(np.zeros((1500, 3, 2, 2), dtype=np.uint8), scores, z, "first"))
    with pytest.raises(VerificationError, match="the surrogate predicts"):
        solver.ask(1)


def test_an_unknown_backend_is_refused_at_once() -> None:
    with pytest.raises(SolverError, match="Did you mean 'highs'"):
        SurrogateSolver(SPACE, small_surrogate(), free_cells=FreeCells(1), backend="high")
