"""The neighbours' prior: against brute force and a distribution whose factors are known."""

from itertools import product

import numpy as np
import pytest

from solvers.free_cells import FreeCells
from solvers.plausibility import NeighbourPrior, Plausibility, neighbours
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import LightGBM
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=4, height=2, width=2)
CHAIN = CodeGrid(categories=3, height=1, width=3)


def correlated(n: int = 3000, space: CodeGrid = SPACE, seed: int = 0) -> np.ndarray:
    """Grids in which a cell mostly repeats the one before it."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, space.categories, (n, space.cells))
    for cell in range(1, space.cells):
        copied = rng.random(n) < 0.7
        z[copied, cell] = z[copied, cell - 1]
    return z.reshape(n, *space.shape)


def test_neighbours_are_beside_or_above_each_other() -> None:
    assert list(neighbours(CodeGrid(2, 2, 3))) == [
        *((0, 1), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (4, 5))
    ]


def test_on_a_chain_it_is_the_markov_chain_itself() -> None:
    """There the Bethe form is exact: p(a) p(b|a) p(c|b), from plain frequencies."""
    z = correlated(200_000, CHAIN)
    prior = NeighbourPrior(z, CHAIN, smoothing=1e-9)
    every = np.array(list(product(range(3), repeat=3))).reshape(-1, 1, 3)
    probability = np.exp(prior.log_probability(every))
    assert probability.sum() == pytest.approx(1, abs=1e-4)
    index = np.ravel_multi_index(z.reshape(-1, 3).T, (3, 3, 3))
    frequency = np.bincount(index, minlength=27) / len(z)
    # Five standard errors of a frequency.
    assert np.abs(probability - frequency).max() < 5 * np.sqrt(0.25 / len(z))


def test_unseen_codes_and_pairs_are_improbable_not_impossible() -> None:
    prior = NeighbourPrior(np.zeros((50, 2, 2), dtype=np.int64), SPACE)
    unseen = np.array([[[3, 3], [3, 3]]])
    assert -100 < prior.log_probability(unseen)[0] < -10


def test_terms_tell_free_cells_apart_as_the_prior_does() -> None:
    z = correlated()
    prior = NeighbourPrior(z, SPACE)
    free, reference = np.array([1, 2]), z[0].ravel()
    terms = prior.terms(free, 0.3)
    points = np.tile(reference, (16, 1))
    points[:, free] = list(product(range(4), repeat=2))
    given = [sum(term.value(p.astype(float), ()) for term in terms) for p in points]
    wanted = 0.3 * prior.log_probability(points.reshape(-1, 2, 2))
    np.testing.assert_allclose(np.diff(given), np.diff(wanted))


def solver(**settings: object) -> SurrogateSolver:
    surrogate = LightGBM(SPACE.categories, trees=30, min_samples_leaf=5)
    return SurrogateSolver(SPACE, surrogate, free_cells=FreeCells(3), backend="highs", **settings)


def archive(z: np.ndarray) -> Archive:
    """High scores for a first cell that differs from its neighbour, against the data's habit."""
    scores = (z[:, 0, 0] - z[:, 0, 1]) + 0.1 * z[:, 1, 1]
    return Archive(np.zeros((len(z), 3, 2, 2), np.uint8), scores.astype(float), z, "v")


def every_choice(cells: list[int], z: np.ndarray, parent: int) -> np.ndarray:
    choices = np.array(list(product(range(4), repeat=len(cells))))
    grids = np.tile(z[parent].ravel(), (len(choices), 1))
    grids[:, cells] = choices
    return grids.reshape(-1, 2, 2)


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_the_proposal_is_the_brute_force_maximum_of_prediction_and_prior(weight: float) -> None:
    z = correlated(800)
    asked = solver(plausibility=Plausibility(weight))
    asked.rebase(archive(z))
    proposal = asked.ask(2)
    prior = NeighbourPrior(z, SPACE)
    for row, parent in enumerate(proposal.parents):
        grids = every_choice(proposal.details["free_cells"], z, parent)
        objective = asked.surrogate.predict(grids) + weight * prior.log_probability(grids)
        found = proposal.z[row][None]
        reached = asked.surrogate.predict(found) + weight * prior.log_probability(found)
        assert reached[0] == pytest.approx(objective.max(), abs=1e-9)
    np.testing.assert_allclose(
        proposal.details["log_probability"], prior.log_probability(proposal.z)
    )
    np.testing.assert_allclose(proposal.predicted, asked.surrogate.predict(proposal.z))


def test_more_weight_gives_more_plausible_codes_of_lower_prediction() -> None:
    z = correlated(800)
    prior = NeighbourPrior(z, SPACE)
    asked = [solver(plausibility=Plausibility(weight)) for weight in (0.0, 0.1, 0.2)]
    for each in asked:
        each.rebase(archive(z))
    proposals = [each.ask(20) for each in asked]
    likely = [prior.log_probability(each.z).mean() for each in proposals]
    promised = [each.predicted.mean() for each in proposals]
    assert likely[0] < likely[1] < likely[2]
    # The least weight only decides between codes that the trees do not tell apart.
    assert promised[0] == pytest.approx(promised[1])
    assert promised[1] > promised[2]


def test_only_codes_and_pairs_that_were_seen_often_enough() -> None:
    z = correlated(300)
    z[z == 3] = 0
    z[0, 0, 0] = 3
    asked = solver(plausibility=Plausibility(least=12))
    asked.rebase(archive(z))
    proposal = asked.ask(6)
    free = set(proposal.details["free_cells"])
    flat = z.reshape(-1, 4)
    for row, grid in enumerate(proposal.z.reshape(-1, 4)):
        reference = flat[proposal.parents[row]]
        for cell in free:
            assert grid[cell] == reference[cell] or (flat[:, cell] == grid[cell]).sum() >= 12
        for first, second in neighbours(SPACE):
            kept = (grid[[first, second]] == reference[[first, second]]).all()
            together = (flat[:, [first, second]] == grid[[first, second]]).all(axis=1).sum()
            if {first, second} & free:
                assert kept or together >= 12


def test_several_distinct_optima_around_each_reference() -> None:
    z = correlated(400)
    asked = solver(optima=3)
    asked.rebase(archive(z))
    proposal = asked.ask(5)
    assert len(np.unique(proposal.z.reshape(5, -1), axis=0)) == 5
    parents = proposal.parents
    assert parents[0] == parents[1] == parents[2]
    assert parents[3] == parents[4]
    grids = every_choice(proposal.details["free_cells"], z, parents[0])
    best = np.sort(asked.surrogate.predict(grids))[::-1][:3]
    np.testing.assert_allclose(proposal.predicted[:3], best, atol=1e-9)


@pytest.mark.parametrize("settings", [{"weight": -1.0}, {"least": -1}, {"smoothing": 0.0}])
def test_settings_outside_their_range(settings: dict[str, float]) -> None:
    with pytest.raises(SolverError, match="Plausibility"):
        Plausibility(**settings)


def test_no_optimum_is_no_proposal() -> None:
    with pytest.raises(SolverError, match=r"solver\.optima"):
        solver(optima=0)
