"""Coordinates in which a mapping network's outputs are normal, and the sphere search in them."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from linear_images import LinearImages, pixel_problem, targets
from scipy.stats import kurtosis, skew
from torch.nn import functional as F

from solvers.ascent import Point, adam
from solvers.gaussian_coordinates import GaussianCoordinates, in_coordinates
from solvers.gradient import value_and_gradient
from solvers.sphere_search import SphereSearch
from vqlso.archive import Archive
from vqlso.records import Context
from vqlso.spaces import RealVectors

MEAN = np.linspace(-1, 2, 6)
DEVIATION = np.geomspace(0.3, 3, 6)


def mapped(n, rng):
    """What leaves a leaky ReLU of slope 0.2, as a StyleGAN2's w does."""
    x = torch.from_numpy(MEAN + DEVIATION * rng.standard_normal((n, 6)))
    return F.leaky_relu(x, 0.2).numpy()


W = RealVectors("w", (6,), mapped)


@dataclass(frozen=True)
class MappedImages(LinearImages):
    """Linear images of latents that are no normal ones."""

    @property
    def space(self):
        return W

    @property
    def spaces(self):
        return {"w": W}


def test_samples_become_normal():
    coordinates = GaussianCoordinates.of(W, seed=0)
    w = mapped(20_000, np.random.default_rng(1))
    x = coordinates.of_latent(w)
    assert np.abs(skew(w)).max() > 0.5
    for statistic in (x.mean(0), x.std(0) - 1, skew(x), kurtosis(x)):
        assert np.abs(statistic).max() < 0.15
    np.testing.assert_allclose(coordinates.latent(x), w, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["w", "s"])
def test_only_mapped_spaces_are_rid_of_the_activation(name):
    assert GaussianCoordinates.of(replace(W, name=name), seed=0).leak == (0.2 if name == "w" else 1)


def test_what_is_normal_by_definition_stays_as_it_is():
    coordinates = GaussianCoordinates.of(RealVectors("z", (4,)), seed=0)
    z = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_array_equal(coordinates.of_latent(z), z)


def test_a_coordinate_that_never_varies_stays_finite():
    flat = RealVectors("w", (2,), lambda n, rng: np.stack([rng.random(n), np.ones(n)], axis=1))
    coordinates = GaussianCoordinates.of(flat, seed=0)
    z = np.array([0.5, 1.0])
    np.testing.assert_allclose(coordinates.latent(coordinates.of_latent(z)), z)


def test_the_gradient_is_that_of_finite_differences():
    coordinates = GaussianCoordinates.of(W, seed=0)
    problem = pixel_problem(targets(), MappedImages())
    x = np.random.default_rng(2).standard_normal((1, 6))

    def value(x):
        return value_and_gradient(problem, coordinates.latent(x))

    values, gradients = value(x)
    point = Point(coordinates.latent(x)[0], float(values[0]), gradients[0])
    found, step = coordinates.gradient(point), 1e-6
    for axis in range(6):
        moved = x + step * np.eye(6)[axis]
        assert (value(moved)[0][0] - values[0]) / step == pytest.approx(found[axis], abs=1e-4)


def test_a_rule_goes_as_it_would_on_the_coordinates():
    """Where coordinates only shift and stretch, Adam's path is that of a stretched problem."""
    coordinates = GaussianCoordinates(MEAN, DEVIATION, 1.0)
    wanted = np.arange(6.0)

    def score(z):
        return Point(z, -float(((z - wanted) ** 2).sum()), 2 * (wanted - z))

    def stretched(x):
        point = score(coordinates.latent(x))
        return replace(point, z=x, gradient=point.gradient * DEVIATION)

    rule = partial(adam, betas=(0.9, 0.999))
    direct = rule(stretched(np.zeros(6)), 0.1)
    through = in_coordinates(rule, coordinates)(score(coordinates.latent(np.zeros(6))), 0.1)
    x, z = next(direct), next(through)
    for _ in range(5):
        np.testing.assert_allclose(z, coordinates.latent(x), rtol=1e-10)
        x, z = direct.send(stretched(x)), through.send(score(z))


def test_the_sphere_is_one_of_these_coordinates():
    problem = pixel_problem(targets(), MappedImages())
    solver = SphereSearch(problem, evaluations=60, seed=3)
    z = W.sample(4, np.random.default_rng(0))
    values = problem.value(torch.from_numpy(z)).numpy()
    solver.rebase(Archive(np.zeros((4, 3, 4, 4), np.uint8), values, z, problem.version))
    coordinates = GaussianCoordinates.of(W, seed=3)
    lengths, lengths_of_w, scores = [], [], []
    for _ in range(60):
        proposal = solver.ask(1)
        answer = problem.evaluate(proposal, Context(seed=0, round=0))
        solver.tell(proposal, answer)
        lengths.append(np.linalg.norm(coordinates.of_latent(proposal.z[0])))
        lengths_of_w.append(np.linalg.norm(proposal.z[0]))
        scores.append(answer.values[0])
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-9)
    assert np.ptp(lengths_of_w) > 0.01
    assert max(scores) > scores[0]
