"""What every problem promises: one answer per id, failures as data, versions kept apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import SPACE, Mosaic, WeightedGrey, search

from solvers.testing import SolverCase
from vqlso.contracts import Problem
from vqlso.errors import LatentSpaceError
from vqlso.images import to_unit
from vqlso.objectives.criteria import Criterion, PixelDistance
from vqlso.problems import ImageScore
from vqlso.records import Context, Proposal, ScoreStatus
from vqlso.target_problem import TargetImage

HERE = Context(seed=0, round=0)


TARGET = torch.linspace(0, 1, 48).view(1, 3, 4, 4)
PROBLEMS = {
    "images": ImageScore(Mosaic(), WeightedGrey()),
    "target": TargetImage(Mosaic(), Criterion([PixelDistance(1.0)]), TARGET),
}


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest) -> Problem:
    return PROBLEMS[request.param]


def judged(problem: Problem, images: Tensor) -> np.ndarray:
    """(n,) what the scores of these images must be."""
    if isinstance(problem, ImageScore):
        return WeightedGrey()(images)
    return -(2 * (images - TARGET)).square().mean(dim=(1, 2, 3)).numpy()


def proposed(ids: list[int], version: str = Mosaic().version) -> Proposal:
    return SolverCase(SPACE, search).foreign(ids, version)


def test_it_is_a_problem(problem: Problem) -> None:
    assert isinstance(problem, Problem)
    assert problem.space == SPACE


def test_every_id_is_answered_once(problem: Problem) -> None:
    scores = problem.evaluate(proposed([4, 2, 9]), HERE)
    assert sorted(scores.ids.tolist()) == [2, 4, 9]
    assert scores.values.dtype == np.float64
    assert scores.ok.all()


def test_the_same_latents_score_the_same(problem: Problem) -> None:
    first, second = (problem.evaluate(proposed([0, 1, 2]), HERE) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.images, second.images)


def test_images_are_what_was_scored(problem: Problem) -> None:
    """The truth that the archive keeps: 8 bits, from which every score can be computed again."""
    proposal = proposed([0, 1, 2])
    scores = problem.evaluate(proposal, HERE)
    assert scores.images.dtype == np.uint8
    np.testing.assert_array_equal(Mosaic().encode(to_unit(scores.images)), proposal.z)
    expected = judged(problem, to_unit(scores.images))
    np.testing.assert_allclose(scores.values, expected, rtol=1e-5)


def test_controls_are_scored_beside_and_apart(problem: Problem) -> None:
    plain = proposed([0, 1])
    scores = problem.evaluate(replace(plain, controls={"reference": plain.z[::-1]}), HERE)
    alone = problem.evaluate(plain, HERE)
    np.testing.assert_array_equal(scores.values, alone.values)
    np.testing.assert_array_equal(scores.control_values["reference"], alone.values[::-1])


def test_latents_of_another_generator_are_refused(problem: Problem) -> None:
    with pytest.raises(LatentSpaceError, match="turned 1"):
        problem.evaluate(proposed([0], version="turned 1"), HERE)


def test_it_moves_to_a_retrained_generator(problem: Problem) -> None:
    before = problem.evaluate(proposed([0, 1]), HERE)
    moved = problem.moved_to(Mosaic(1))
    after = moved.evaluate(proposed([0, 1], Mosaic(1).version), HERE)
    assert not np.array_equal(before.values, after.values)
    np.testing.assert_array_equal(problem.evaluate(proposed([0, 1]), HERE).values, before.values)


def test_a_failure_is_an_answer() -> None:
    class Moody(WeightedGrey):
        def __call__(self, images: Tensor) -> np.ndarray:
            if images.mean() > 0.4:
                raise RuntimeError("too bright")
            return super().__call__(images)

    proposal = proposed(list(range(12)))
    scores = ImageScore(Mosaic(), Moody()).evaluate(proposal, HERE)
    bright = to_unit(scores.images).mean(dim=(1, 2, 3)).numpy() > 0.4
    assert 0 < bright.sum() < len(bright)
    assert [status is ScoreStatus.FAIL for status in scores.status] == bright.tolist()
    assert set(scores.reason) == {"", "RuntimeError: too bright"}
