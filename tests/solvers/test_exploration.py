"""The distance to known grids: its reduction and the acquisition against brute force."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvers.exploration import Exploration, distance_to_nearest, possibly_nearest
from solvers.free_cells import FreeCells
from solvers.plausibility import NeighbourPrior, Plausibility, neighbours
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import LightGBM
from solvers.testing import answered
from solvers.trees import Limits, LinearTerm, Optimum, maximize
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.records import SolveStatus
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=3, height=2, width=3)


def every_choice(cells: list[int], reference: np.ndarray) -> np.ndarray:
    choices = np.array(list(product(range(SPACE.categories), repeat=len(cells))))
    grids = np.tile(reference.ravel(), (len(choices), 1))
    grids[:, cells] = choices
    return grids.reshape(-1, *SPACE.shape)


def alike(n: int = 400, seed: int = 0) -> np.ndarray:
    """Grids that differ from one of five in a few cells, so that several are the nearest."""
    rng = np.random.default_rng(seed)
    z = SPACE.sample(5, rng)[rng.integers(0, 5, n)]
    changed = rng.random(z.shape) < 0.25
    return np.where(changed, SPACE.sample(n, rng), z)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 30),
    free=st.sets(st.integers(0, 5), min_size=1, max_size=6),
    within=st.booleans(),
)
def test_rows_that_are_left_out_never_are_nearest(
    seed: int, n: int, free: set[int], within: bool
) -> None:
    rng = np.random.default_rng(seed)
    known = alike(n, seed)
    reference = (known[0] if within else SPACE.sample(1, rng)[0]).ravel()
    cells = np.array(sorted(free))
    kept = possibly_nearest(known.reshape(n, -1), cells, reference)
    grids = every_choice(cells.tolist(), reference)
    np.testing.assert_array_equal(
        distance_to_nearest(grids, kept.reshape(-1, *SPACE.shape)),
        distance_to_nearest(grids, known),
    )


def test_rows_that_are_far_or_repeat_others_are_left_out() -> None:
    known = np.array(
        [
            [0, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0],  # near: another code in a free cell
            [1, 0, 0, 0, 0, 2],  # the same free codes, farther in the fixed cells
            [1, 1, 0, 0, 0, 2],  # 1 away in the fixed cells, which is below t
            [2, 2, 1, 1, 0, 0],  # 2 away
        ]
    )
    kept = possibly_nearest(known, np.array([0, 1]), known[0])
    np.testing.assert_array_equal(kept, known[[0, 1, 3]])


def maximised(kappa: float, known: np.ndarray, free: list[int], k: int) -> tuple[Optimum, list]:
    """The farthest or nearest points by themselves, with the terms of each solve."""
    asked: list = []
    flat = LightGBM(SPACE.categories, trees=1)
    flat.fit(known, np.zeros(len(known)))

    def solve(terms: list) -> Optimum:
        asked.append(terms)
        reference = known[0].ravel()
        return maximize(flat.ensemble(), free=free, reference=reference, terms=terms, k=k)

    cells = np.array(free)
    return Exploration(kappa).maximised(solve, known, cells, known[0].ravel(), 3), asked


@pytest.mark.parametrize("kappa", [-0.5, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_distance_alone(kappa: float, seed: int) -> None:
    known, free = alike(40, seed), [0, 1, 2, 4]
    optimum, asked = maximised(kappa, known, free, 6)
    every = np.sort(kappa * distance_to_nearest(every_choice(free, known[0]), known))[::-1]
    np.testing.assert_allclose([each.value for each in optimum.solutions], every[:6])
    assert optimum.status is SolveStatus.OPTIMAL
    assert optimum.bound == pytest.approx(every[0])
    if kappa < 0:
        assert all(isinstance(term, LinearTerm) for (term,) in asked)
    else:
        counted = [1 if isinstance(t, LinearTerm) else len(t.data) for (t,) in asked]
        # The last time they may be all.
        assert counted[:-1] == [2**i for i in range(len(asked) - 1)]


def test_one_grid_takes_one_linear_solve() -> None:
    known = np.array([[[0, 1, 2], [0, 1, 2]], [[1, 2, 0], [1, 2, 0]]])
    # With two free cells the second grid is too far away.
    optimum, ((term,),) = maximised(0.5, known, [0, 2], 1)
    assert isinstance(term, LinearTerm)
    assert optimum.value == 1.0
    _, ((term,), *_) = maximised(0.5, known, [0, 1, 2, 3, 4, 5], 1)
    assert isinstance(term, LinearTerm)


def solver(**settings: Any) -> SurrogateSolver:
    surrogate = LightGBM(SPACE.categories, trees=20, min_samples_leaf=5, learning_rate=0.3)
    return SurrogateSolver(SPACE, surrogate, **{"free_cells": FreeCells(3)} | settings)


def archive(z: np.ndarray) -> Archive:
    rng = np.random.default_rng(7)
    pairs = rng.normal(size=(6, 6, 3, 3))
    i, j = np.triu_indices(6, 1)
    flat = z.reshape(-1, 6)
    scores = pairs[i, j, flat[:, i], flat[:, j]].sum(axis=1)
    return Archive(np.zeros((len(z), 3, 2, 2), np.uint8), scores, z, "v")


@pytest.mark.parametrize("kappa", [-0.8, 0.8])
@pytest.mark.parametrize("backend", ["highs", "tables", "auto"])
@pytest.mark.parametrize("t", [2, 6])
def test_the_proposal_is_the_brute_force_maximum(kappa: float, backend: str, t: int) -> None:
    """Also of what has been queried since."""
    z = alike(60)
    asked = solver(exploration=Exploration(kappa), backend=backend, free_cells=FreeCells(t))
    asked.rebase(archive(z))
    for _ in range(3):
        proposal = asked.ask(2)
        known = asked._history.z
        np.testing.assert_array_equal(
            proposal.details["distance"], distance_to_nearest(proposal.z, known)
        )
        np.testing.assert_array_equal(proposal.predicted, asked.surrogate.predict(proposal.z))
        np.testing.assert_allclose(
            proposal.acquisition,
            proposal.predicted + kappa * np.array(proposal.details["distance"]),
        )
        for row, parent in enumerate(proposal.parents):
            grids = every_choice(proposal.details["free_cells"], known[parent])
            best = asked.surrogate.predict(grids) + kappa * distance_to_nearest(grids, known)
            assert proposal.acquisition[row] == pytest.approx(best.max(), abs=1e-9)
        asked.tell(proposal, answered(proposal))


@pytest.mark.parametrize("kappa", [-0.8, 0.8])
def test_several_optima_are_the_best_of_all_choices(kappa: float) -> None:
    z = alike(60)
    asked = solver(exploration=Exploration(kappa), optima=5)
    asked.rebase(archive(z))
    proposal = asked.ask(5)
    grids = every_choice(proposal.details["free_cells"], z[proposal.parents[0]])
    every = asked.surrogate.predict(grids) + kappa * distance_to_nearest(grids, z)
    np.testing.assert_allclose(proposal.acquisition, np.sort(every)[::-1][:5], atol=1e-9)
    assert len(np.unique(proposal.z.reshape(5, -1), axis=0)) == 5
    assert set(proposal.status) == {SolveStatus.OPTIMAL}


def test_near_the_data_limits_claim_no_optimum() -> None:
    z = alike(60)
    settings = {"backend": "enumeration", "limits": Limits(nodes=1), "free_cells": FreeCells(6)}
    asked = solver(exploration=Exploration(-0.2), **settings)
    asked.rebase(archive(z))
    proposal = asked.ask(1)
    grids = every_choice(list(range(6)), z[0])
    best = asked.surrogate.predict(grids) - 0.2 * distance_to_nearest(grids, z)
    assert proposal.status == (SolveStatus.FEASIBLE,)
    assert proposal.acquisition[0] < best.max() <= proposal.bound[0] + 1e-9


def test_a_higher_kappa_goes_farther_for_a_lower_prediction() -> None:
    z = alike()
    asked = [solver(exploration=Exploration(kappa)) for kappa in (-5.0, 0.0, 5.0)]
    for each in asked:
        each.rebase(archive(z))
    proposals = [each.ask(15) for each in asked]
    far = [distance_to_nearest(each.z, z).mean() for each in proposals]
    promised = [each.predicted.mean() for each in proposals]
    assert far[0] == 0.0
    assert far[0] < far[1] < far[2]
    assert promised[1] > max(promised[0], promised[2])
    assert "distance" not in proposals[1].details


def test_distance_and_plausibility_are_added() -> None:
    z = alike()
    weight, kappa = 0.3, 0.8
    asked = solver(plausibility=Plausibility(weight), exploration=Exploration(kappa))
    asked.rebase(archive(z))
    proposal = asked.ask(3)
    prior = NeighbourPrior(z, SPACE)

    def objective(grids: np.ndarray) -> np.ndarray:
        likely = weight * prior.log_probability(grids)
        return asked.surrogate.predict(grids) + likely + kappa * distance_to_nearest(grids, z)

    for row, parent in enumerate(proposal.parents):
        grids = every_choice(proposal.details["free_cells"], z[parent])
        reached = objective(proposal.z[row][None])[0]
        assert reached == pytest.approx(objective(grids).max(), abs=1e-9)
    assert {"distance", "log_probability"} <= set(proposal.details)


@pytest.mark.parametrize("kappa", [np.nan, np.inf])
def test_a_kappa_that_is_no_number_is_refused(kappa: float) -> None:
    with pytest.raises(SolverError, match="finite kappa"):
        Exploration(kappa)


def test_distance_cannot_make_up_for_codes_that_are_not_allowed() -> None:
    z = alike()
    settings = {"plausibility": Plausibility(least=40), "free_cells": FreeCells(6)}
    asked = solver(exploration=Exploration(1e3), **settings)
    asked.rebase(archive(z))
    proposal = asked.ask(4)
    flat = z.reshape(-1, 6)
    for grid, parent in zip(proposal.z.reshape(-1, 6), proposal.parents, strict=True):
        for pair in map(list, neighbours(SPACE)):
            together = (flat[:, pair] == grid[pair]).all(axis=1).sum()
            assert together >= 40 or (grid[pair] == flat[parent, pair]).all()
    assert min(proposal.details["distance"]) > 0
