"""Scores as problems: what is climbed is what is asked, penalties, and what has no gradient."""

import numpy as np
import pytest
import torch
from linear_images import LinearImages
from toys import Mosaic, WeightedGrey
from tuned_images import Brightness

from solvers.gradient import Adam
from solvers.inversion import scored_starts
from vqlso.archive import Archive
from vqlso.contracts import DifferentiableProblem
from vqlso.errors import ConfigError
from vqlso.images import to_bytes, to_unit
from vqlso.problems.score_ascent import NearPrior, ScoreAscent, as_stored

Z = np.random.default_rng(3).standard_normal((5, 6))


def test_its_value_is_the_score_of_the_stored_image() -> None:
    problem = ScoreAscent(LinearImages(), Brightness())
    assert isinstance(problem, DifferentiableProblem)
    _, scores = scored_starts(problem, Z)
    np.testing.assert_allclose(problem.value(torch.from_numpy(Z)).numpy(), scores.values, atol=1e-7)
    np.testing.assert_allclose(Brightness()(to_unit(scores.images)), scores.values, atol=1e-7)


def test_gradients_pass_the_rounding() -> None:
    generator = LinearImages()
    z = torch.from_numpy(Z).requires_grad_()
    ScoreAscent(generator, Brightness()).value(z).sum().backward()
    assert z.grad is not None
    np.testing.assert_allclose(z.grad, np.tile(generator.matrix.mean(axis=0), (5, 1)), rtol=1e-5)


def test_stored_images_are_those_of_eight_bits() -> None:
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(as_stored(images), to_unit(to_bytes(images)), atol=1e-7)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_the_penalty_is_that_of_the_length(scale: float) -> None:
    z = scale * Z
    free = ScoreAscent(LinearImages(), Brightness())
    held = NearPrior(LinearImages(), Brightness(), weight=2.0)
    penalty = 2 * ((z**2).mean(axis=1) - 1) ** 2
    for problem, less in ((free, 0), (held, penalty)):
        values = scored_starts(free, z)[1].values - less
        np.testing.assert_allclose(scored_starts(problem, z)[1].values, values, atol=1e-7)
        np.testing.assert_allclose(problem.value(torch.from_numpy(z)), values, atol=1e-5)


def test_an_ascent_with_the_penalty_stays_near_the_prior() -> None:
    ends = []
    for problem in (
        ScoreAscent(LinearImages(contrast=0.01), Brightness()),
        NearPrior(LinearImages(contrast=0.01), Brightness(), weight=1.0),
    ):
        solver = Adam(problem, evaluations=60, steps=(0.3,))
        first, scores = scored_starts(problem, Z[:1])
        solver.rebase(Archive(scores.images, scores.values, first.z, first.version))
        ends.append(float((solver.ask(60).z[-1] ** 2).mean()))
    assert ends[0] > 10
    assert abs(ends[1] - 1) < 0.2


def test_what_has_no_gradient_is_refused_with_a_way_out() -> None:
    with pytest.raises(ConfigError, match="Mosaic"):
        ScoreAscent(Mosaic(), Brightness()).value(torch.zeros(1, 2, 2))
    with pytest.raises(ConfigError, match=r"'weighted grey'.*method=reinforce"):
        ScoreAscent(LinearImages(), WeightedGrey()).value(torch.zeros(1, 6, dtype=torch.double))
