import numpy as np
import pytest
from searching import answers, archive_of, as_one, best, search, start

from solvers.random_search import RandomLatents
from solvers.testing import assert_same
from solvers.turbo import FIRST_LENGTH, LONGEST, TrustRegion, TuRBO
from vqlso.errors import SolverError
from vqlso.spaces import RealVectors

pytest.importorskip("botorch")

SPACE = RealVectors("z", (6,))
SMALL = RealVectors("z", (2,))


def ackley(z):
    """Many local maxima around the one at 0.7, whose value is 0."""
    x = z - 0.7
    distance = np.sqrt((x**2).mean(axis=1))
    ripples = np.cos(2 * np.pi * x).mean(axis=1)
    return 20 * np.exp(-0.2 * distance) + np.exp(ripples) - 20 - np.e


def sphere(z):
    return -((z - 0.5) ** 2).sum(axis=1)


def hopeless(z):
    return np.full(len(z), -100.0)


def small(**settings):
    return TuRBO(SMALL, **{"most_points": 15, "candidates": 64} | settings)


def test_it_beats_random_search_on_ackley():
    found = []
    for solver in (TuRBO(SPACE, batch=10, candidates=512), RandomLatents(SPACE)):
        start(solver, SPACE, ackley, 20)
        found.append(best(search(solver, ackley, 100, batch=10), ackley))
    assert found[0] > -1.5
    assert found[1] < -2


def test_proposals_lie_in_the_region_around_the_best():
    """Of unit volume times the length: no coordinate leaves the unit cube."""
    solver = small()
    archive = start(solver, SMALL, sphere, 40)
    proposal = solver.ask(20)
    centre = int(archive.scores.argmax())
    assert (proposal.parents == centre).all()
    np.testing.assert_array_equal(
        proposal.controls["reference"][3], archive.latents("first")[centre]
    )
    low, high = solver._box(solver._region(), centre)
    points = (proposal.z - solver._low) / solver._width
    assert ((points >= low - 1e-12) & (points <= high + 1e-12)).all()
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (proposal.z != proposal.controls["reference"]).any(axis=1).all()


def test_predictions_follow_the_scores_and_samples_scatter_around_them():
    solver = small(most_points=40)
    start(solver, SMALL, sphere, 40)
    proposal = solver.ask(10)
    np.testing.assert_allclose(proposal.predicted, sphere(proposal.z), atol=0.1)
    np.testing.assert_allclose(proposal.acquisition, proposal.predicted, atol=0.1)
    assert (proposal.acquisition != proposal.predicted).any()


def test_the_process_sees_the_points_nearest_the_centre():
    solver = small(most_points=5)
    archive = start(solver, SMALL, sphere, 40)
    solver.ask(1)
    z = (archive.latents("first") - solver._low) / solver._width
    centre = z[archive.scores.argmax()]
    nearest = np.sort(np.argsort(np.linalg.norm(z - centre, axis=1))[:5])
    np.testing.assert_allclose(solver._model.train_inputs[0].numpy(), z[nearest])


def test_lengths_double_after_three_successes_and_halve_after_failures():
    region = TrustRegion(first_row=0, best=0.0, patience=2)
    for value in (1.0, 2.0, 3.0):
        region.count(np.array([value, -1.0]))
    assert (region.length, region.best) == (LONGEST, 3.0)
    for value in (4.0, 5.0, 6.0):
        region.count(np.array([value]))
    assert region.length == LONGEST, "no longer than that"
    for value in (0.0, 7.0, 0.0, 0.0):
        region.count(np.array([value]))
    assert region.length == FIRST_LENGTH, "a success forgives the failures before it"
    region.count(np.array([7.001]))
    region.count(np.array([7.001]))
    assert region.length == FIRST_LENGTH / 2, "less than a thousandth is no improvement"


def test_a_region_that_has_shrunk_is_given_up_for_fresh_samples():
    solver = small(initial=3)
    start(solver, SMALL, sphere, 20)
    # 4 failures halve the length; 7 halvings bring it from 0.8 below 2^-7.
    told = search(solver, hopeless, 28)
    lengths = [proposal.details["length"] for proposal in told]
    assert lengths == [FIRST_LENGTH / 2 ** (i // 4) for i in range(28)]
    fresh = search(solver, hopeless, 3)
    assert all(proposal.details == {} and proposal.controls == {} for proposal in fresh)
    proposal = solver.ask(1)
    assert proposal.details["length"] == FIRST_LENGTH
    assert proposal.parents[0] == 20 + 28, "earlier points, though better, are forgotten"
    assert len(solver._model.train_targets) == 3


def test_groups_are_counted_as_one():
    """Two failures in one batch are one; a batch of which one is better is a success."""
    single, paired = small(), small(batch=2)
    assert single.dimensions == 2
    for solver, groups in ((single, 4), (paired, 2)):
        start(solver, SMALL, sphere, 20)
        search(solver, hopeless, 4, batch=2)
        region = solver._region()
        assert (region.patience, region.length) == (groups, FIRST_LENGTH / 2)


def test_a_resumed_run_goes_on_alike_though_it_tells_all_in_one():
    original, resumed = small(batch=2), small(batch=2)
    start(original, SMALL, sphere, 20)
    start(resumed, SMALL, sphere, 20)
    told = as_one(search(original, sphere, 12, batch=3))
    resumed.tell(told, answers(told, sphere))
    assert_same(original.ask(2), resumed.ask(2))


def test_it_starts_afresh_when_the_generator_changed():
    solver = small()
    archive = start(solver, SMALL, sphere, 20)
    search(solver, hopeless, 4)
    solver.rebase(archive_of(10 * archive.latents("first"), sphere, "second"))
    proposal = solver.ask(1)
    assert proposal.details["length"] == FIRST_LENGTH
    assert proposal.parents[0] == sphere(10 * archive.latents("first")).argmax()


def test_latents_keep_their_shape_and_coordinates_that_never_vary_are_no_trouble():
    layered = RealVectors("w+", (2, 3))
    z = np.random.default_rng(0).normal(size=(20, 2, 3))
    z[:, 0, 0] = 1.0
    solver = TuRBO(layered, candidates=64)
    solver.rebase(archive_of(z, lambda z: -(z**2).sum(axis=(1, 2))))
    proposal = solver.ask(2)
    assert proposal.z.shape == (2, 2, 3)
    assert np.isfinite(proposal.z).all()


def test_torchs_own_stream_is_left_alone():
    import torch

    solver = small()
    start(solver, SMALL, sphere, 20)
    before = torch.random.get_rng_state()
    solver.ask(1)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "settings", [{"batch": 0}, {"candidates": 0}, {"initial": 0}, {"most_points": 1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SolverError, match="TuRBO needs"):
        small(**settings)
