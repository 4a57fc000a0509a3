import numpy as np
import pytest
from searching import archive_of, search, start

from solvers.free_cells import FreeCells
from solvers.random_search import BestOfTraining, RandomCodes, RandomLatents
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import LightGBM
from vqlso.errors import SolverError
from vqlso.spaces import CodeGrid, RealVectors

SPACE = CodeGrid(categories=6, height=3, width=4)
VECTORS = RealVectors("z", (2, 3))
TRAINING = 50


def total(z):
    return z.reshape(len(z), -1).sum(axis=1).astype(np.float64)


class Shifted:
    """A distribution that remembers what it was fitted to."""

    def __init__(self, z, rng):
        self.z = z

    def sample(self, n, rng):
        return self.z.mean(axis=0) + rng.standard_normal((n, *self.z.shape[1:]))


def test_random_latents_follow_the_space():
    """Kolmogorov and Smirnov, at a level that no right code would meet by chance."""
    from scipy.stats import kstest

    solver = RandomLatents(VECTORS)
    start(solver, VECTORS, total, TRAINING)
    proposal = solver.ask(300)
    assert kstest(proposal.z.ravel(), "norm").pvalue > 1e-4
    assert proposal.controls == {}
    assert (proposal.parents == -1).all()


def test_random_latents_do_not_depend_on_scores():
    told, untold = RandomLatents(VECTORS), RandomLatents(VECTORS)
    for solver in (told, untold):
        start(solver, VECTORS, total, TRAINING)
    search(told, total, 4)
    untold.ask(4)
    np.testing.assert_array_equal(told.ask(2).z, untold.ask(2).z)


def test_random_latents_are_the_same_however_many_are_asked_for_at_a_time():
    together, one_by_one = RandomLatents(VECTORS), RandomLatents(VECTORS)
    for solver in (together, one_by_one):
        start(solver, VECTORS, total, TRAINING)
    expected = np.concatenate([one_by_one.ask(1).z for _ in range(70)])
    np.testing.assert_array_equal(together.ask(70).z, expected)
    assert len(np.unique(expected, axis=0)) == 70


def test_random_latents_are_made_in_one_pass_of_a_mapping_network():
    calls = []

    def draw(n, rng):
        calls.append(n)
        return rng.standard_normal((n, 2, 3))

    solver = RandomLatents(RealVectors("w", (2, 3), draw))
    start(solver, VECTORS, total, TRAINING)
    for _ in range(32):
        solver.ask(2)
    assert calls == [32, 32]


def test_a_distribution_is_fitted_to_the_training_set_anew_after_each_rebase():
    solver = RandomLatents(VECTORS, fit_density=Shifted)
    z = VECTORS.sample(TRAINING, np.random.default_rng(0))
    for shift in (0.0, 100.0):
        archive = archive_of(z + shift, total, f"shifted by {shift}")
        solver.rebase(archive)
        assert solver.ask(50).z.mean() == pytest.approx(shift, abs=1)
        assert len(solver._distribution.z) == TRAINING


def test_random_codes_change_free_cells_only_and_to_codes_of_one_training_grid():
    solver = RandomCodes(SPACE, t=5)
    training = start(solver, SPACE, total, TRAINING).latents("first").reshape(TRAINING, -1)
    proposal = solver.ask(20)
    cells = proposal.details["free_cells"]
    assert len(set(cells)) == 5
    fixed = np.setdiff1d(np.arange(SPACE.cells), cells)
    for z, parent in zip(proposal.z.reshape(20, -1), proposal.parents, strict=True):
        np.testing.assert_array_equal(z[fixed], training[parent][fixed])
        assert (training[:, cells] == z[cells]).all(axis=1).any()
    references = training[proposal.parents].reshape(proposal.z.shape)
    np.testing.assert_array_equal(proposal.controls["reference"], references)
    assert not np.array_equal(proposal.z, references)


def test_random_codes_never_derive_from_queries():
    solver = RandomCodes(SPACE, t=2)
    start(solver, SPACE, total, 3)
    search(solver, total, 50, batch=10)
    assert solver.ask(50).parents.max() < 3


def test_free_cells_are_drawn_anew_for_each_generator():
    solver = RandomCodes(SPACE, t=4)
    z = SPACE.sample(TRAINING, np.random.default_rng(0))
    drawn = []
    for version in ("first", "second", "first"):
        solver.rebase(archive_of(z, total, version))
        drawn.append(solver.ask(1).details["free_cells"])
    assert drawn[0] == drawn[2] != drawn[1]
    seeded = RandomCodes(SPACE, t=4, seed=1)
    seeded.rebase(archive_of(z, total))
    assert seeded.ask(1).details["free_cells"] != drawn[0]


def test_given_cells_are_free():
    solver = RandomCodes(SPACE, cells=(7, 2))
    start(solver, SPACE, total, TRAINING)
    assert solver.ask(1).details["free_cells"] == [2, 7]


def test_random_codes_are_the_control_of_the_surrogate_based_search():
    """The same references and the same codes under the same seed: comparisons are paired."""
    surrogate = LightGBM(SPACE.categories, trees=2, min_samples_leaf=5)
    free = FreeCells(fixed_choice=(1, 6, 8))
    search_ = SurrogateSolver(SPACE, surrogate, free_cells=free, seed=3)
    chance = RandomCodes(SPACE, cells=(1, 6, 8), seed=3)
    for solver in (search_, chance):
        start(solver, SPACE, total, TRAINING)
    expected, proposal = search_.ask(5), chance.ask(5)
    np.testing.assert_array_equal(proposal.z, expected.controls["random_codes"])
    np.testing.assert_array_equal(proposal.controls["reference"], expected.controls["reference"])


@pytest.mark.parametrize("settings", [{"t": 13}, {"t": 0}, {"cells": (12,)}, {"cells": (1, 1)}])
def test_cells_that_the_grid_lacks_are_refused(settings):
    with pytest.raises(SolverError, match=r"solver\.(t|cells)"):
        RandomCodes(SPACE, **settings)


@pytest.mark.parametrize("space", [SPACE, VECTORS], ids=["codes", "vectors"])
def test_the_best_come_in_order_and_again_behind_the_last(space):
    solver = BestOfTraining(space)
    archive = start(solver, space, total, 7)
    # Queries, however good, are not of the training set.
    proposals = search(solver, lambda z: total(z) + 1000, 6, batch=2)
    proposals += [solver.ask(8)]
    z = np.concatenate([proposal.z for proposal in proposals])
    scores = total(z)
    np.testing.assert_array_equal(np.sort(scores[:7])[::-1], scores[:7])
    np.testing.assert_array_equal(np.sort(scores[:7]), np.sort(archive.scores[:7]))
    np.testing.assert_array_equal(z[7:], z[:7])
    for proposal in proposals:
        np.testing.assert_array_equal(proposal.controls["reference"], proposal.z)


def test_ties_go_to_the_earlier_row():
    solver = BestOfTraining(SPACE)
    start(solver, SPACE, lambda z: np.zeros(len(z)), 5)
    assert solver.ask(5).parents.tolist() == [0, 1, 2, 3, 4]


def test_the_order_goes_on_after_a_retraining():
    solver = BestOfTraining(VECTORS)
    z = VECTORS.sample(6, np.random.default_rng(0))
    solver.rebase(archive_of(z, total))
    solver.ask(2)
    solver.rebase(archive_of(z + 1, total, "second"))
    third = np.argsort(-total(z))[2]
    np.testing.assert_array_equal(solver.ask(1).z[0], z[third] + 1)
