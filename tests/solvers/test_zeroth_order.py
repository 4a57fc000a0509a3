import numpy as np
import pytest
from searching import answers, archive_of, as_one, best, search, start

from solvers.ascent import Point
from solvers.testing import assert_same
from solvers.zeroth_order import ZerothOrder
from vqlso.errors import SolverError
from vqlso.spaces import RealVectors

SPACE = RealVectors("z", (5,))
OPTIMUM = np.array([1.5, -0.5, 0.0, 2.0, -1.0])
SLOPE = np.array([1.0, -2.0, 0.5, 3.0, 0.0])


def quadratic(z):
    return -((z - OPTIMUM) ** 2).sum(axis=1)


def recording(points):
    """A rule that stays where it is and keeps what it is sent."""

    def rule(start, step):
        points.append(start)
        while True:
            points.append((yield start.z))

    return rule


def estimates(score, seed=0, pairs=200, **settings):
    points: list[Point] = []
    solver = ZerothOrder(
        SPACE, pairs=pairs, spread=0.01, rule=recording(points), seed=seed, **settings
    )
    start(solver, SPACE, score, 10)
    search(solver, score, 4 * pairs, batch=2 * pairs)
    return points


def test_a_linear_score_has_the_gradient_of_its_directions():
    """The estimate is the mean of u u^T times the slope, whatever is added to the score."""
    points = estimates(lambda z: 1e3 + z @ SLOPE, pairs=2000)
    np.testing.assert_allclose(points[0].gradient, SLOPE, atol=0.3)
    plain = estimates(lambda z: z @ SLOPE, pairs=2000)
    np.testing.assert_allclose(points[0].gradient, plain[0].gradient, atol=1e-6)


def test_pairs_cancel_what_is_even():
    points = estimates(lambda z: -(z**2).sum(axis=1), pairs=1)
    centre = points[0].z
    directions = ZerothOrder(SPACE)._offset(0)
    expected = -2 * (centre @ directions) * directions
    np.testing.assert_allclose(points[0].gradient, expected, rtol=1e-6)


def test_the_proposals_are_antithetic_about_the_centre():
    solver = ZerothOrder(SPACE, spread=0.1, start="best")
    archive = start(solver, SPACE, quadratic, 10)
    centre = archive.latents("first")[archive.scores.argmax()]
    z = solver.ask(6).z
    np.testing.assert_allclose(z[::2] + z[1::2], np.tile(2 * centre, (3, 1)), atol=1e-12)


def test_it_climbs_without_gradients():
    solver = ZerothOrder(SPACE, pairs=4, step=0.2, evaluations=1600)
    start(solver, SPACE, quadratic, 10)
    proposals = search(solver, quadratic, 1600, batch=8)
    assert best(proposals, quadratic) > -0.01
    assert {each.details["gradients"] for each in proposals} == {0}


@pytest.mark.parametrize("batch", [1, 4, 7, 20])
def test_a_resumed_run_goes_on_alike_though_it_tells_all_in_one(batch):
    original, resumed = ZerothOrder(SPACE, pairs=3), ZerothOrder(SPACE, pairs=3)
    start(original, SPACE, quadratic, 10)
    start(resumed, SPACE, quadratic, 10)
    told = as_one(search(original, quadratic, 60, batch))
    resumed.tell(told, answers(told, quadratic))
    assert_same(original.ask(4), resumed.ask(4))


def test_it_starts_afresh_when_the_generator_changed():
    solver, fresh = ZerothOrder(SPACE, pairs=1), ZerothOrder(SPACE, pairs=1)
    archive = start(solver, SPACE, quadratic, 10)
    search(solver, quadratic, 21)
    again = archive_of(archive.latents("first"), quadratic, "second")
    solver.rebase(again)
    fresh.rebase(again)
    np.testing.assert_array_equal(solver._centre, fresh._centre)
    assert len(solver._answers) == 0


@pytest.mark.parametrize("settings", [{"pairs": 0}, {"spread": 0.0}, {"step": float("nan")}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SolverError, match="at least one pair and positive"):
        ZerothOrder(SPACE, **settings)
