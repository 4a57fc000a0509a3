import numpy as np
import pytest
from searching import answers, archive_of, as_one, best, search, start

from solvers.local_search import LocalSearch
from solvers.testing import assert_same
from vqlso.errors import SolverError
from vqlso.spaces import RealVectors

SPACE = RealVectors("z", (10,))


def sphere(z):
    return -((z - 0.5) ** 2).sum(axis=1)


def test_it_climbs_and_an_adapted_step_climbs_further():
    found = []
    for adapts in (False, True):
        solver = LocalSearch(SPACE, step=0.3, adapts=adapts)
        archive = start(solver, SPACE, sphere, 20)
        found.append(best(search(solver, sphere, 600), sphere))
    assert archive.scores.max() + 1 < found[0] < found[1]
    assert found[1] > -1e-6


def test_steps_are_standard_normal_times_r():
    """r is a deviation, not a variance: the two differ by a factor of 100 here."""
    solver = LocalSearch(SPACE, step=1e-4)
    start(solver, SPACE, sphere, 20)
    proposal = solver.ask(2000)
    steps = proposal.z - proposal.controls["reference"]
    assert steps.std() == pytest.approx(1e-4, rel=0.05)
    assert steps.mean() == pytest.approx(0, abs=4e-6)


def test_it_departs_from_the_best_so_far():
    solver = LocalSearch(SPACE, step=0.2)
    archive = start(solver, SPACE, sphere, 20)
    scores = list(archive.scores)
    latents = list(archive.latents("first"))
    for proposal in search(solver, sphere, 60, batch=2):
        assert (proposal.parents == int(np.argmax(scores))).all()
        np.testing.assert_array_equal(proposal.controls["reference"][1], latents[np.argmax(scores)])
        scores += list(sphere(proposal.z))
        latents += list(proposal.z)


def test_ties_are_not_accepted():
    solver = LocalSearch(SPACE)
    start(solver, SPACE, lambda z: np.zeros(len(z)), 5)
    proposals = search(solver, lambda z: np.zeros(len(z)), 10)
    assert all(proposal.parents[0] == 0 for proposal in proposals)


def test_the_step_follows_the_one_fifth_rule():
    """One success and four failures leave it where it was."""
    solver = LocalSearch(SPACE, step=0.1, adapts=True)
    start(solver, SPACE, sphere, 5)
    steps = []
    for value in (10.0, 0.0, 0.0, 10.0, 0.0, 20.0):
        proposal = solver.ask(1)
        steps.append(proposal.details["step"])
        solver.tell(proposal, answers(proposal, lambda z, value=value: np.array([value])))
    steps.append(solver.ask(1).details["step"])
    expected = 0.1 * 1.5 ** np.array([0, 1, 0.75, 0.5, 0.25, 0, 1])
    np.testing.assert_allclose(steps, expected)


def test_a_retraining_restores_the_first_step_and_keeps_the_best():
    solver = LocalSearch(SPACE, step=0.1, adapts=True)
    archive = start(solver, SPACE, sphere, 20)
    search(solver, sphere, 30)
    z = archive.latents("first") + 0.01
    solver.rebase(archive_of(z, sphere, "second"))
    proposal = solver.ask(1)
    assert proposal.details["step"] == 0.1
    np.testing.assert_array_equal(proposal.controls["reference"][0], z[sphere(z).argmax()])


def test_a_resumed_run_goes_on_alike_though_it_tells_all_in_one():
    original, resumed = (LocalSearch(SPACE, adapts=True) for _ in range(2))
    start(original, SPACE, sphere, 20)
    start(resumed, SPACE, sphere, 20)
    told = as_one(search(original, sphere, 30, batch=3))
    resumed.tell(told, answers(told, sphere))
    assert_same(original.ask(2), resumed.ask(2))


@pytest.mark.parametrize("step", [0.0, -1.0, np.inf, np.nan])
def test_a_step_is_a_positive_number(step):
    with pytest.raises(SolverError, match="positive"):
        LocalSearch(SPACE, step=step)
