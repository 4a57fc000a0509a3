import numpy as np
import pytest
from searching import answers, archive_of, as_one, best, search, start

from solvers.cma_es import CMAES
from solvers.random_search import RandomLatents
from solvers.testing import assert_same
from vqlso.errors import SolverError
from vqlso.spaces import RealVectors

pytest.importorskip("cmaes")

SPACE = RealVectors("z", (5,))
OPTIMUM = np.array([1.5, -0.5, 0.0, 2.0, -1.0])
SCALES = np.array([1.0, 3.0, 1.0, 10.0, 0.5])


def ellipsoid(z):
    """A quadratic of condition 400 whose maximum is 0."""
    return -(((z - OPTIMUM) * SCALES) ** 2).sum(axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_it_reaches_the_optimum_of_a_quadratic(seed):
    solver = CMAES(SPACE, seed=seed)
    start(solver, SPACE, ellipsoid, 50)
    proposals = search(solver, ellipsoid, 1400, batch=7)
    assert best(proposals, ellipsoid) > -1e-6


def test_random_latents_come_nowhere_near():
    solver = RandomLatents(SPACE)
    start(solver, SPACE, ellipsoid, 50)
    assert best(search(solver, ellipsoid, 1400, batch=100), ellipsoid) < -0.1


def test_variances_alone_suffice_where_axes_are_apart():
    solver = CMAES(SPACE, diagonal=True)
    start(solver, SPACE, ellipsoid, 50)
    assert best(search(solver, ellipsoid, 1400, batch=7), ellipsoid) > -1e-6


def test_it_begins_with_the_mean_and_spread_of_the_best():
    z = np.random.default_rng(0).normal(size=(1000, 5))
    z[:100] = 4 + 0.5 * np.random.default_rng(1).normal(size=(100, 5))
    solver = CMAES(SPACE, elite=0.1)
    solver.rebase(archive_of(z, lambda z: np.arange(len(z))[::-1].astype(np.float64)))
    drawn = solver.ask(2000).z
    np.testing.assert_allclose(drawn.mean(axis=0), z[:100].mean(axis=0), atol=0.06)
    np.testing.assert_allclose(drawn.std(axis=0), z[:100].std(axis=0).mean(), rtol=0.15)


def test_latents_that_all_agree_have_the_priors_spread():
    solver = CMAES(SPACE)
    solver.rebase(archive_of(np.ones((30, 5)), ellipsoid))
    assert solver.ask(500).z.std() == pytest.approx(1, rel=0.1)


def test_the_distribution_moves_with_every_full_generation():
    solver = CMAES(SPACE, population=6)
    start(solver, SPACE, ellipsoid, 50)
    generations = [p.details["generation"] for p in search(solver, ellipsoid, 20, batch=4)]
    assert generations == [0, 0, 1, 2, 2]


def test_how_many_are_asked_for_at_a_time_changes_nothing_within_a_generation():
    one, many = CMAES(SPACE, population=8), CMAES(SPACE, population=8)
    for solver in (one, many):
        start(solver, SPACE, ellipsoid, 50)
    single = np.concatenate([one.ask(1).z for _ in range(8)])
    np.testing.assert_array_equal(single, many.ask(8).z)


def test_a_resumed_run_goes_on_alike_though_it_tells_all_in_one():
    original, resumed = CMAES(SPACE), CMAES(SPACE)
    start(original, SPACE, ellipsoid, 50)
    start(resumed, SPACE, ellipsoid, 50)
    told = as_one(search(original, ellipsoid, 45, batch=3))
    resumed.tell(told, answers(told, ellipsoid))
    assert_same(original.ask(4), resumed.ask(4))


def test_it_starts_afresh_when_the_generator_changed():
    solver = CMAES(SPACE, seed=4)
    archive = start(solver, SPACE, ellipsoid, 50)
    search(solver, ellipsoid, 70, batch=7)
    solver.rebase(archive_of(archive.latents("first"), ellipsoid, "second"))
    proposal = solver.ask(300)
    assert proposal.details["generation"] == 0
    elite = archive.latents("first")[np.argsort(-archive.scores)[:8]]
    np.testing.assert_allclose(proposal.z.mean(axis=0), elite.mean(axis=0), atol=0.3)


def test_latents_keep_their_shape():
    layered = RealVectors("w+", (2, 3))
    solver = CMAES(layered)
    start(solver, layered, lambda z: -(z**2).sum(axis=(1, 2)), 30)
    assert search(solver, lambda z: -(z**2).sum(axis=(1, 2)), 40, batch=4)[-1].z.shape == (4, 2, 3)


@pytest.mark.parametrize("settings", [{"population": 3}, {"elite": 0.0}, {"elite": 1.5}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SolverError, match="population >= 4"):
        CMAES(SPACE, **settings)


def test_thousands_of_dimensions_need_a_diagonal_covariance():
    wide = RealVectors("w+", (18, 512))
    with pytest.raises(SolverError, match="diagonal=True"):
        CMAES(wide)
    solver = CMAES(wide, diagonal=True, population=4)
    start(solver, wide, lambda z: z[:, 0, 0], 8)
    assert search(solver, lambda z: z[:, 0, 0], 8, batch=4)[-1].z.shape == (4, 18, 512)
