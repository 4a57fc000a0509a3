from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_images import pixel_problem, targets

from solvers.gradient import LBFGS, value_and_gradient
from solvers.testing import SolverCase
from vqlso.archive import Archive
from vqlso.contracts import KeepsGradients
from vqlso.errors import ConfigError
from vqlso.objectives.criteria import Criterion, PixelDistance
from vqlso.problems.climbed_target import ClimbedTarget
from vqlso.records import Context, ScoreStatus

HERE = Context(seed=0, round=0)


class Counted:
    """A generator that counts how many batches gradients flow through."""

    def __init__(self, generator):
        self._generator = generator
        self.passes = 0

    def __getattr__(self, name):
        return getattr(self._generator, name)

    def decode_tensor(self, z, space):
        self.passes += 1
        return self._generator.decode_tensor(z, space)


def climbed(problem):
    return ClimbedTarget(Counted(problem.generator), problem.criterion, problem.wanted)


def proposed(problem, ids):
    return SolverCase(problem.space, lambda seed: None).foreign(ids, problem.version)


def test_it_scores_as_a_target_does():
    plain = pixel_problem(targets(3))
    proposal = proposed(plain, [7, 3, 2])
    proposal = replace(proposal, controls={"reference": proposal.z + 1})
    theirs, ours = (each.evaluate(proposal, HERE) for each in (plain, climbed(plain)))
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-6)
    np.testing.assert_array_equal(ours.images, theirs.images)
    np.testing.assert_allclose(
        ours.control_values["reference"], theirs.control_values["reference"], rtol=1e-6
    )


def test_what_was_scored_is_not_differentiated_again():
    plain = pixel_problem(targets(2))
    problem = climbed(plain)
    proposal = proposed(plain, [0, 1, 2, 3])
    scores = problem.evaluate(proposal, HERE)
    values, gradients = value_and_gradient(problem, proposal.z)
    assert problem.generator.passes == 1
    np.testing.assert_array_equal(values, scores.values)
    expected = value_and_gradient(plain, proposal.z)
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(gradients, expected[1])


def test_other_latents_and_other_targets_are():
    plain = pixel_problem(targets(2))
    problem = climbed(plain)
    proposal = proposed(plain, [1, 2])
    problem.evaluate(proposal, HERE)  # the first latent by the second target
    for z in (proposal.z, proposal.z + 1):
        _, gradients = value_and_gradient(problem, z)
        np.testing.assert_array_equal(gradients, value_and_gradient(plain, z)[1])
    assert problem.generator.passes == 3


@pytest.mark.parametrize("asked", [1, 2], ids=["a point at a time", "two at a time"])
def test_a_search_goes_as_without_at_a_pass_a_point(asked):
    plain = pixel_problem(targets(2))
    z = plain.space.sample(4, np.random.default_rng(0))
    values = plain.value(torch.from_numpy(z)).numpy()
    archive = Archive(np.zeros((4, 3, 4, 4), np.uint8), values, z, plain.version)
    paths, problem = [], climbed(plain)
    for each in (plain, problem):
        solver = LBFGS(each, evaluations=20)
        solver.rebase(archive)
        path = []
        for _ in range(10 // asked):
            proposal = solver.ask(2 * asked)
            solver.tell(proposal, each.evaluate(proposal, HERE))
            path.append(proposal.z)
        paths.append(np.concatenate(path))
    np.testing.assert_array_equal(*paths)
    if asked == 1:
        assert problem.generator.passes == 10


def test_a_failing_criterion_is_a_failure():
    class Failing(PixelDistance):
        def __call__(self, images, z, wanted):
            raise RuntimeError("no criterion today")

    plain = replace(pixel_problem(targets()), criterion=Criterion([Failing()]))
    scores = climbed(plain).evaluate(proposed(plain, [0]), HERE)
    assert scores.status == (ScoreStatus.FAIL,)
    assert "no criterion today" in scores.reason[0]


def test_without_gradients_it_is_no_use():
    plain = pixel_problem(targets())
    assert isinstance(climbed(plain), KeepsGradients)
    assert not isinstance(plain, KeepsGradients)

    class Undifferentiable:
        def __init__(self, generator):
            self.space, self.spaces = generator.space, generator.spaces
            self.image_shape, self.version = generator.image_shape, generator.version
            self.decode = generator.decode

    problem = ClimbedTarget(Undifferentiable(plain.generator), plain.criterion, plain.wanted)
    with pytest.raises(ConfigError, match="No gradients flow"):
        problem.value_and_gradient(np.zeros((1, *plain.space.shape)))
