import numpy as np
import pytest
from searching import archive_of, best, search, start

from solvers.genetic import GeneticCodes
from solvers.random_search import RandomCodes
from vqlso.errors import SolverError
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=8, height=3, width=4)
WEIGHTS = np.random.default_rng(5).normal(size=(SPACE.cells, SPACE.categories))


def separable(z):
    """Each cell's code has a value of its own, and they add up."""
    return WEIGHTS[np.arange(SPACE.cells), z.reshape(len(z), -1)].sum(axis=1)


def first_cell(z):
    return z[:, 0, 0].astype(np.float64)


@pytest.mark.parametrize("seed", range(3))
def test_it_beats_random_codes_and_nears_the_optimum(seed):
    found = []
    for solver in (
        GeneticCodes(SPACE, population=30, seed=seed),
        RandomCodes(SPACE, t=6, seed=seed),
    ):
        start(solver, SPACE, separable, 100)
        found.append(best(search(solver, separable, 400, batch=4), separable))
    genetic, chance = found
    optimum = WEIGHTS.max(axis=1).sum()
    assert genetic > chance + 2
    assert genetic > 0.8 * optimum


def test_children_mix_their_parents_cells_without_mutation():
    solver = GeneticCodes(SPACE, population=2, tournament=1, mutation=0.0)
    z = start(solver, SPACE, first_cell, 40).latents("first")
    population = z[np.argsort(-first_cell(z), kind="stable")[:2]]
    proposal = solver.ask(30)
    assert ((proposal.z[:, None] == population[None]).any(axis=1)).all()
    assert len(np.unique(proposal.z.reshape(30, -1), axis=0)) > 10


def test_mutations_are_codes_that_the_training_set_has_in_the_same_cell():
    """Codes of queries do not count, and seen codes come as often as they are seen."""
    rng = np.random.default_rng(0)
    # So many cells that no child is known by chance, which would tilt the frequencies.
    space = CodeGrid(categories=8, height=8, width=8)
    z = rng.choice([0, 1], p=[0.8, 0.2], size=(400, *space.shape))
    z[:, -1, -1] = 5
    solver = GeneticCodes(space, mutation=1.0)
    solver.rebase(archive_of(z, first_cell))
    children = solver.ask(100).z.reshape(100, -1)
    assert (children[:, -1] == 5).all()
    assert set(np.unique(children[:, :-1])) == {0, 1}
    share = (children[:, :-1] == 1).mean()
    assert share == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 6300) + 4 * np.sqrt(0.16 / 25200))


def test_one_cell_mutates_on_average():
    solver = GeneticCodes(SPACE, population=2, seed=2)
    z = np.zeros((60, *SPACE.shape), dtype=np.int64)
    z[2:] = SPACE.sample(58, np.random.default_rng(0))
    archive = archive_of(z, lambda z: -z.reshape(len(z), -1).sum(axis=1).astype(np.float64))
    solver.rebase(archive)
    changed = (solver.ask(500).z != 0).reshape(500, -1).sum(axis=1)
    # The parents are known already, so that children without a change are drawn again.
    frequency = 58 / 60 * 7 / 8 / SPACE.cells
    expected = SPACE.cells * frequency / (1 - (1 - frequency) ** SPACE.cells)
    assert changed.mean() == pytest.approx(expected, abs=0.15)


def test_children_are_new():
    solver = GeneticCodes(CodeGrid(3, 1, 3), population=5, mutation=1.0)
    z = np.array(np.meshgrid(*[range(3)] * 3)).reshape(3, -1).T.reshape(27, 1, 3)
    solver.rebase(archive_of(np.delete(z, 14, axis=0), first_cell))
    np.testing.assert_array_equal(solver.ask(1).z[0], z[14])


def test_where_everything_is_known_something_is_proposed_all_the_same():
    solver = GeneticCodes(CodeGrid(2, 1, 1), population=2)
    solver.rebase(archive_of(np.array([[[0]], [[1]]]), first_cell))
    assert solver.ask(1).z.shape == (1, 1, 1)


def test_parents_are_among_the_best_and_queries_join_them():
    solver = GeneticCodes(SPACE, population=10)
    archive = start(solver, SPACE, separable, 200)
    ranking = np.argsort(-archive.scores)
    proposal = solver.ask(40)
    assert np.isin(proposal.parents, ranking[:10]).all()
    np.testing.assert_array_equal(
        proposal.controls["reference"], archive.latents("first")[proposal.parents]
    )
    search(solver, separable, 200, batch=10)
    assert (solver.ask(20).parents >= 200).any()


def test_larger_tournaments_choose_better_parents():
    ranks = []
    for tournament in (1, 5):
        solver = GeneticCodes(SPACE, population=50, tournament=tournament)
        archive = start(solver, SPACE, separable, 100)
        rank = np.argsort(np.argsort(-archive.scores))
        ranks.append(rank[solver.ask(200).parents].mean())
    assert ranks[0] == pytest.approx(24.5, abs=4)
    # The expected minimum of k uniform draws of 0..49 is near 50 / (k + 1).
    assert ranks[1] == pytest.approx(50 / 6 - 0.5, abs=3)


@pytest.mark.parametrize(
    "settings", [{"population": 1}, {"tournament": 0}, {"mutation": -0.1}, {"mutation": 1.1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SolverError, match="population >= 2"):
        GeneticCodes(SPACE, **settings)
