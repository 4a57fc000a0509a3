import numpy as np
import pytest
from searching import answers, archive_of, as_one, best, search, start

from solvers.nevergrad_search import NevergradSearch
from solvers.random_search import RandomLatents
from solvers.testing import answered, assert_same
from vqlso.errors import SolverError
from vqlso.spaces import RealVectors

nevergrad = pytest.importorskip("nevergrad")

SPACE = RealVectors("z", (20,))
OPTIMUM = np.random.default_rng(3).normal(size=20)
NAMES = ["TwoPointsDE", "DiscreteDE", "DiscreteOnePlusOne", "OnePlusOne", "CMA"]


def quadratic(z):
    return -((z - OPTIMUM) ** 2).mean(axis=1)


def started(name, seed=0, **settings):
    solver = NevergradSearch(SPACE, name, seed=seed, **settings)
    start(solver, SPACE, quadratic, 5)
    return solver


@pytest.mark.parametrize("name", NAMES)
def test_it_beats_random_search(name):
    found = best(search(started(name), quadratic, 400), quadratic)
    random = RandomLatents(SPACE)
    start(random, SPACE, quadratic, 5)
    assert found > best(search(random, quadratic, 400), quadratic)


@pytest.mark.parametrize("name", ["TwoPointsDE", "DiscreteDE", "DiscreteOnePlusOne", "DiagonalCMA"])
def test_asked_one_by_one_it_is_nevergrads_own_search(name):
    """Given the same random states, ask and tell are the library's, to the last bit."""
    solver = started(name)
    solver._centre, solver._scale = np.zeros(20), np.ones(20)
    solver._restart()
    proposals = search(solver, quadratic, 80)
    own = solver._fresh()
    for id_, proposal in enumerate(proposals):
        candidate = solver._asked(own, id_)
        np.testing.assert_array_equal(proposal.z[0], candidate.value)
        own.tell(candidate, -float(quadratic(proposal.z)[0]))


@pytest.mark.parametrize("name", ["DiscreteOnePlusOne", "OnePlusOne", "DOPO", "CauchyOnePlusOne"])
def test_one_plus_one_methods_do_not_start_from_zero(name):
    """z = 0 has no direction: a generator that normalises its latents divides by its length."""
    solver = NevergradSearch(SPACE, name)
    archive = start(solver, SPACE, quadratic, 5)
    first, second = search(solver, quadratic, 2)
    best_known = archive.latents("first")[archive.scores.argmax()]
    np.testing.assert_allclose(first.z[0], best_known, atol=1e-12)
    assert np.linalg.norm(second.z) > 1


def test_populations_are_drawn_from_the_space():
    """Of w, neither mean nor spread are those of a standard normal distribution."""
    space = RealVectors("w", (20,), lambda n, rng: rng.normal(7, 0.2, size=(n, 20)))
    solver = NevergradSearch(space, "TwoPointsDE")
    start(solver, space, quadratic, 5)
    z = solver.ask(30).z
    assert z.mean() == pytest.approx(7, abs=0.05)
    assert z.std() == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize("name", ["TwoPointsDE", "DiscreteOnePlusOne", "CMA"])
@pytest.mark.parametrize("batch", [1, 7])
def test_a_resumed_run_goes_on_alike_though_it_tells_all_in_one(name, batch):
    original, resumed = started(name), started(name)
    told = as_one(search(original, quadratic, 70, batch))
    resumed.tell(told, answers(told, quadratic))
    assert_same(original.ask(4), resumed.ask(4))
    assert_same(original.ask(1), resumed.ask(1))


def test_a_failed_point_is_replaced_by_another():
    solver = started("DiscreteOnePlusOne")
    search(solver, quadratic, 5)
    first = solver.ask(1)
    solver.tell(first, answered(first, failed=[0]))
    assert not np.array_equal(first.z, solver.ask(1).z)


def test_children_that_were_asked_for_together_replace_their_own_parents():
    """Told as strangers, they would replace the worst of the population instead."""
    solver = started("TwoPointsDE")
    search(solver, quadratic, 90, batch=30)
    assert solver._state.num_tell_not_asked == 0
    assert len(solver._state.population) == 30


def test_latents_keep_their_shape():
    layered = RealVectors("w+", (2, 3))
    solver = NevergradSearch(layered, "OnePlusOne")
    archive = archive_of(
        layered.sample(4, np.random.default_rng(0)), lambda z: -(z**2).sum(axis=(1, 2))
    )
    solver.rebase(archive)
    assert solver.ask(3).z.shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("TwoPointDE", "TwoPointsDE"), ("DOP", "DOPO"), ("Discrete1+1", "Discrete")],
)
def test_an_unknown_name_suggests_the_nearest(name, nearest):
    with pytest.raises(SolverError, match=f"no optimiser '.*nearest names are .*{nearest}"):
        NevergradSearch(SPACE, name)
