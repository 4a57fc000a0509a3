from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_images import LinearImages, nearest, pixel_problem, targets
from toys import SPACE, Mosaic

from solvers.testing import SolverCase
from vqlso.contracts import DifferentiableProblem, Problem
from vqlso.errors import ConfigError, DataError, LatentSpaceError
from vqlso.generators.vae import VAE, VAENetwork, VAESettings
from vqlso.images import to_bytes
from vqlso.objectives.criteria import Criterion, LatentNorm, PixelDistance, Realism
from vqlso.problems.target_image import TargetImage
from vqlso.records import Context, ScoreStatus

HERE = Context(seed=0, round=0)


def proposed(problem, ids):
    return SolverCase(problem.space, lambda seed: None).foreign(ids, problem.version)


def test_it_is_a_differentiable_problem():
    problem = pixel_problem(targets())
    assert isinstance(problem, Problem)
    assert isinstance(problem, DifferentiableProblem)


def test_the_score_is_minus_the_criterion():
    problem = pixel_problem(targets())
    proposal = proposed(problem, [0, 1])
    scores = problem.evaluate(proposal, HERE)
    difference = 2 * (problem.generator.decode(proposal.z) - targets().float())
    expected = -difference.square().mean(dim=(1, 2, 3)).numpy()
    np.testing.assert_allclose(scores.values, expected, rtol=1e-6)
    np.testing.assert_array_equal(scores.images, to_bytes(problem.generator.decode(proposal.z)))


def test_it_is_highest_at_the_closed_form():
    problem = pixel_problem(targets())
    z, value = nearest(problem.generator, targets())
    assert problem.value(torch.from_numpy(z)).item() == pytest.approx(value[0], rel=1e-12)
    nearby = torch.from_numpy(z + 0.1 * np.random.default_rng(0).normal(size=(50, z.shape[1])))
    assert (problem.value(nearby) < value[0]).all()


def test_value_and_evaluate_tell_the_same():
    problem = replace(pixel_problem(targets(2)), batch_size=2)
    proposal = proposed(problem, [0, 1, 2, 3, 4])
    scores = problem.evaluate(proposal, HERE)
    values = problem.value(torch.from_numpy(proposal.z))
    np.testing.assert_allclose(scores.values, values.numpy(), rtol=1e-6)


def test_the_id_decides_which_target_is_meant():
    problem, wanted = pixel_problem(targets(3)), targets(3)
    proposal = proposed(problem, [7, 3, 2])
    scores = problem.evaluate(replace(proposal, controls={"reference": proposal.z}), HERE)
    for row, target in enumerate((1, 0, 2)):
        alone = pixel_problem(wanted[target : target + 1]).evaluate(proposal, HERE)
        assert scores.values[row] == pytest.approx(alone.values[row], rel=1e-6)
    np.testing.assert_array_equal(scores.control_values["reference"], scores.values)


def test_gradients_are_those_of_the_closed_form():
    problem = pixel_problem(targets())
    z = torch.randn(1, 6, dtype=torch.float64, requires_grad=True)
    problem.value(z).sum().backward()
    matrix = problem.generator.matrix
    residual = 0.5 + matrix @ z.detach().numpy()[0] - targets().flatten().numpy()
    np.testing.assert_allclose(z.grad[0], -8 * matrix.T @ residual / len(residual), rtol=1e-9)


def test_targets_of_another_size_and_precision():
    problem = pixel_problem(torch.full((1, 3, 33, 70), 0.5, dtype=torch.float16))
    scores = problem.evaluate(replace(proposed(problem, [0]), z=np.zeros((1, 6))), HERE)
    assert scores.values[0] == pytest.approx(0, abs=1e-6)


def test_codes_have_no_gradients_but_scores():
    problem = TargetImage(Mosaic(), Criterion([PixelDistance(1.0)]), targets())
    assert problem.evaluate(proposed(problem, [0, 1]), HERE).ok.all()
    with pytest.raises(ConfigError, match="No gradients flow through a Mosaic"):
        problem.value(torch.zeros(1, 2, 2))


def test_targets_are_encoded_where_there_is_an_encoder():
    z = SPACE.sample(2, np.random.default_rng(0))
    problem = TargetImage(Mosaic(), Criterion([PixelDistance(1.0)]), Mosaic().decode(z))
    np.testing.assert_array_equal(problem.encoded(), z)
    with pytest.raises(ConfigError, match="does not encode"):
        pixel_problem(targets()).encoded()


def test_a_vae_is_inverted_through_the_same_contract():
    generator = VAE(VAENetwork(VAESettings(image_size=32, width=2, dimension=4)))
    criterion = Criterion([PixelDistance(1.0), LatentNorm()])
    problem = TargetImage(generator, criterion, torch.rand(1, 3, 20, 20))
    proposal = proposed(problem, [0, 1])
    z = torch.from_numpy(proposal.z).requires_grad_()
    values = problem.value(z)
    values.sum().backward()
    assert z.grad.abs().min() > 0
    scores = problem.evaluate(proposal, HERE)
    np.testing.assert_allclose(scores.values, values.detach().numpy(), rtol=1e-5)
    assert problem.encoded().shape == (1, 4)


def test_latents_of_another_generator_are_refused():
    problem = pixel_problem(targets())
    moved = problem.moved_to(LinearImages(turn=1))
    assert moved.version == "turned 1"
    with pytest.raises(LatentSpaceError, match="turned 0"):
        moved.evaluate(proposed(problem, [0]), HERE)


def test_a_failure_is_an_answer():
    def moody(pixels):
        if pixels.mean() > 0:
            raise RuntimeError("too bright")
        return pixels.mean()

    def undefined(pixels):
        return pixels.mean() * torch.nan

    plain = pixel_problem(targets())
    proposal = proposed(plain, list(range(8)))
    problem = replace(plain, criterion=Criterion([Realism(moody)]), batch_size=1)
    scores = problem.evaluate(proposal, HERE)
    bright = problem.generator.decode(proposal.z).mean(dim=(1, 2, 3)) > 0.5
    assert [status is ScoreStatus.FAIL for status in scores.status] == bright.tolist()
    assert set(scores.reason) == {"", "RuntimeError: too bright"}
    problem = replace(plain, criterion=Criterion([Realism(undefined)]))
    assert set(problem.evaluate(proposal, HERE).reason) == {"the criterion is nan"}


@pytest.mark.parametrize(
    "wanted",
    [
        torch.zeros(3, 4, 4),
        torch.zeros(1, 1, 4, 4),
        torch.zeros(1, 4, 4, 4),
        torch.zeros(0, 3, 4, 4),
        torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
    ],
    ids=["one image", "grey", "alpha", "none", "bytes"],
)
def test_targets_that_are_no_images_are_refused(wanted):
    with pytest.raises(DataError, match="read_target"):
        pixel_problem(wanted)


@pytest.mark.parametrize("pixel", [255.0, -0.1, float("nan")])
def test_targets_out_of_range_are_refused(pixel):
    with pytest.raises(DataError, match="lie outside"):
        pixel_problem(torch.full((1, 3, 4, 4), pixel))
