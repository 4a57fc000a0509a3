from functools import partial

import numpy as np
import pytest
import torch

from solvers.ascent import Point, adam, lbfgs, nesterov, on_spheres, with_decays
from vqlso.errors import SolverError

OPTIMUM = np.array([1.0, -2.0, 0.5, 3.0])
SCALES = np.array([1.0, 5.0, 0.3, 2.0])


def quadratic(z):
    return Point(z, float(-(SCALES * (z - OPTIMUM) ** 2).sum()), -2 * SCALES * (z - OPTIMUM))


def followed(ascent, points, function=quadratic):
    """The first points of an ascent that begins without knowing its start."""
    path = [next(ascent)]
    while len(path) < points:
        path.append(ascent.send(function(path[-1])))
    return path


def driven(rule, start, step, points, function=quadratic):
    """The first points of a rule behind its start."""
    return followed(rule(function(start), step), points, function)


def test_adam_takes_torchs_steps():
    parameter = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.Adam([parameter], lr=0.3, betas=(0.2, 0.9))
    expected = []
    for _ in range(12):
        reference.zero_grad()
        (torch.from_numpy(SCALES) * (parameter - torch.from_numpy(OPTIMUM)) ** 2).sum().backward()
        reference.step()
        expected.append(parameter.detach().numpy().copy())
    found = driven(partial(adam, betas=(0.2, 0.9)), np.zeros(4), 0.3, 12)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_nesterov_takes_torchs_steps():
    """torch's parameter is where gradients are taken, too."""
    parameter = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.SGD([parameter], lr=0.02, momentum=0.8, nesterov=True)
    expected = []
    for _ in range(12):
        reference.zero_grad()
        (torch.from_numpy(SCALES) * (parameter - torch.from_numpy(OPTIMUM)) ** 2).sum().backward()
        reference.step()
        expected.append(parameter.detach().numpy().copy())
    found = driven(partial(nesterov, momentum=0.8), np.zeros(4), 0.02, 12)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_lbfgs_reaches_the_optimum_of_a_quadratic():
    path = driven(lbfgs, np.zeros(4), 1.0, 40)
    np.testing.assert_allclose(path[-1], OPTIMUM, atol=1e-7)


def test_lbfgs_reaches_the_end_of_a_curved_valley():
    """Rosenbrock's function, minus."""

    def valley(z):
        x, y = z
        gradient = [2 * (1 - x) + 400 * x * (y - x**2), -200 * (y - x**2)]
        return Point(z, -((1 - x) ** 2 + 100 * (y - x**2) ** 2), np.array(gradient))

    path = driven(lbfgs, np.array([-1.2, 1.0]), 1.0, 100, valley)
    np.testing.assert_allclose(path[-1], [1, 1], atol=1e-6)


def test_lbfgs_never_moves_to_a_worse_point():
    """A trial that is worse is followed by a shorter one on the same line."""
    start = np.zeros(4)
    path = driven(lbfgs, start, 100.0, 8)
    best = quadratic(start).value
    for before, z in zip([None, *path], path, strict=False):
        if before is not None and quadratic(before).value <= best:
            assert np.linalg.norm(z) < np.linalg.norm(before)
            assert abs(np.vdot(z, before)) == pytest.approx(
                np.linalg.norm(z) * np.linalg.norm(before)
            )
        else:
            break


def test_lbfgs_rests_at_a_maximum():
    path = driven(lbfgs, OPTIMUM, 1.0, 3)
    np.testing.assert_array_equal(path, [OPTIMUM] * 3)


@pytest.mark.parametrize("rule", [adam, nesterov, lbfgs], ids=["adam", "nesterov", "lbfgs"])
def test_the_norm_of_every_row_stays_on_its_sphere(rule):
    start = np.random.default_rng(0).normal(size=(3, 5)) * np.array([[1.0], [10.0], [0.1]])
    wanted = np.random.default_rng(1).normal(size=(3, 5))

    def function(z):
        return Point(z, float(-((z - wanted) ** 2).sum()), -2 * (z - wanted))

    path = followed(with_decays(on_spheres(rule), start, 0.1, 60), 60, function)
    norms = np.linalg.norm(path, axis=-1)
    np.testing.assert_allclose(norms, np.tile(np.linalg.norm(start, axis=-1), (60, 1)), rtol=1e-12)
    assert function(path[-1]).value > function(start).value


def test_a_sphere_search_finds_the_nearest_point_of_the_sphere():
    wanted = np.array([3.0, 4.0])

    def function(z):
        return Point(z, float(-((z - wanted) ** 2).sum()), -2 * (z - wanted))

    path = followed(with_decays(on_spheres(adam), np.array([0.0, 2.0]), 0.1, 300), 300, function)
    np.testing.assert_allclose(path[-1], wanted * 2 / 5, atol=1e-3)


def straight(start, step):
    """A rule whose every point is one step further to the right."""
    here = start
    while True:
        here = yield here.z + step


def peaked(z):
    """Best at 2, so that a rule which walks on has to be brought back."""
    return Point(z, float(-abs(z[0] - 2)), np.ones(1))


def test_each_decay_goes_back_to_the_best_point_with_a_tenth_of_the_step():
    path = [float(z[0]) for z in followed(with_decays(straight, np.zeros(1), 1.0, 15), 15, peaked)]
    assert path[:5] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(path[5:10], [2.1, 2.2, 2.3, 2.4, 2.5])
    np.testing.assert_allclose(path[10:], [2.01, 2.02, 2.03, 2.04, 2.05])


def test_a_decay_forgets_the_momentum():
    """Behind it, the path is that of a fresh rule from the best point."""
    path = followed(with_decays(adam, np.zeros(4), 5.0, 30), 20)
    best = max(path[:10], key=lambda z: quadratic(z).value)
    np.testing.assert_array_equal(path[10:20], driven(adam, best, 0.5, 10))


def test_behind_the_budget_it_goes_on_with_the_last_step():
    path = followed(with_decays(straight, np.zeros(1), 1.0, 6), 12, peaked)
    np.testing.assert_allclose(np.diff(np.ravel(path[4:])), 0.01)


def test_where_nothing_is_finite_it_goes_back_with_a_smaller_step():
    def cliff(z):
        return peaked(z) if z[0] < 3.5 else Point(z, np.nan, np.full(1, np.nan))

    path = [float(z[0]) for z in followed(with_decays(straight, np.zeros(1), 1.0, 60), 8, cliff)]
    np.testing.assert_allclose(path, [0, 1, 2, 3, 4, 2.1, 2.2, 2.3])


def test_a_start_without_a_score_is_refused():
    ascent = with_decays(adam, np.zeros(1), 1.0, 10)
    z = next(ascent)
    with pytest.raises(SolverError, match="another seed or start"):
        ascent.send(Point(z, np.nan, np.zeros(1)))
