"""What every problem promises: one answer per id, failures as data, versions kept apart."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from linear_faces import LinearFaces
from numpy.typing import NDArray
from torch import Tensor
from toys import Mosaic, WeightedGrey, search

from solvers.testing import SolverCase
from vqlso.contracts import Generator, Problem
from vqlso.errors import LatentSpaceError
from vqlso.images import to_unit
from vqlso.objectives.criteria import Criterion, PixelDistance
from vqlso.problems.direction import Direction
from vqlso.problems.image_score import ImageScore
from vqlso.problems.target_image import TargetImage
from vqlso.records import Context, Proposal, ScoreStatus

HERE = Context(seed=0, round=0)


TARGET = torch.linspace(0, 1, 48).view(1, 3, 4, 4)


def brightness(images: Tensor) -> NDArray[np.float64]:
    return images.double().mean((1, 2, 3)).numpy()


class DarkFaces(LinearFaces):
    """Another generator: what was bright is dark."""

    def decode_tensor(self, z: Tensor, space: str = "w") -> Tensor:
        return 1 - super().decode_tensor(z, space)


@dataclass(frozen=True)
class Case:
    """A problem, and what the tests know about it.

    Attributes:
        problem: to be tested.
        other: another version of its generator.
        judged: (proposal, its images) -> what the scores must be.
        rounded: how far 8 bits of an image may move a score.
    """

    problem: Problem
    other: Generator
    judged: Callable[[Proposal, Tensor], NDArray[np.float64]]
    rounded: float = 1e-6

    def proposed(self, ids: list[int], version: str | None = None) -> Proposal:
        known = self.problem.generator.version  # type: ignore[attr-defined]
        return SolverCase(self.problem.space, search).foreign(ids, version or known)


EDITED = Direction(LinearFaces(), brightness, longest=20.0, baseline=False)


def edited(proposal: Proposal, images: Tensor) -> NDArray[np.float64]:
    """Of a single anchor, up or down."""
    sign = EDITED.conditions(HERE.seed, int(proposal.ids.min())).sign
    return sign * brightness(images)


CASES = {
    "images": Case(
        ImageScore(Mosaic(), WeightedGrey()), Mosaic(1), lambda _, images: WeightedGrey()(images)
    ),
    "target": Case(
        TargetImage(Mosaic(), Criterion([PixelDistance(1.0)]), TARGET),
        Mosaic(1),
        lambda _, images: -(2 * (images - TARGET)).square().mean(dim=(1, 2, 3)).numpy(),
    ),
    "direction": Case(EDITED, DarkFaces("dark"), edited, rounded=0.002),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_it_is_a_problem(case: Case) -> None:
    assert isinstance(case.problem, Problem)
    space = case.problem.space
    np.testing.assert_array_equal(space.validate(case.proposed([0, 1]).z).shape, (2, *space.shape))


def test_every_id_is_answered_once(case: Case) -> None:
    scores = case.problem.evaluate(case.proposed([4, 2, 9]), HERE)
    assert sorted(scores.ids.tolist()) == [2, 4, 9]
    assert scores.values.dtype == np.float64
    assert scores.ok.all()


def test_the_same_latents_score_the_same(case: Case) -> None:
    first, second = (case.problem.evaluate(case.proposed([0, 1, 2]), HERE) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.images, second.images)


def test_images_are_what_was_scored(case: Case) -> None:
    """In 8 bits, from which every score can be computed again, up to their rounding."""
    proposal = case.proposed([0, 1, 2])
    scores = case.problem.evaluate(proposal, HERE)
    assert scores.images.dtype == np.uint8
    assert np.ptp(scores.values) > 4 * case.rounded
    expected = case.judged(proposal, to_unit(scores.images))
    np.testing.assert_allclose(scores.values, expected, rtol=1e-5, atol=case.rounded)


def test_the_archive_can_be_encoded_again() -> None:
    proposal = CASES["images"].proposed([0, 1, 2])
    scores = CASES["images"].problem.evaluate(proposal, HERE)
    np.testing.assert_array_equal(Mosaic().encode(to_unit(scores.images)), proposal.z)


def test_controls_are_scored_beside_and_apart(case: Case) -> None:
    plain = case.proposed([0, 1])
    scores = case.problem.evaluate(replace(plain, controls={"reference": plain.z[::-1]}), HERE)
    alone = case.problem.evaluate(plain, HERE)
    np.testing.assert_array_equal(scores.values, alone.values)
    np.testing.assert_array_equal(scores.control_values["reference"], alone.values[::-1])


def test_latents_of_another_generator_are_refused(case: Case) -> None:
    with pytest.raises(LatentSpaceError, match="another one"):
        case.problem.evaluate(case.proposed([0], version="another one"), HERE)


def test_it_moves_to_a_retrained_generator(case: Case) -> None:
    before = case.problem.evaluate(case.proposed([0, 1]), HERE)
    moved = case.problem.moved_to(case.other)
    after = moved.evaluate(case.proposed([0, 1], case.other.version), HERE)
    assert not np.array_equal(before.values, after.values)
    again = case.problem.evaluate(case.proposed([0, 1]), HERE)
    np.testing.assert_array_equal(again.values, before.values)


def test_a_failure_is_an_answer() -> None:
    class Moody(WeightedGrey):
        def __call__(self, images: Tensor) -> np.ndarray:
            if images.mean() > 0.4:
                raise RuntimeError("too bright")
            return super().__call__(images)

    proposal = CASES["images"].proposed(list(range(12)))
    scores = ImageScore(Mosaic(), Moody()).evaluate(proposal, HERE)
    bright = to_unit(scores.images).mean(dim=(1, 2, 3)).numpy() > 0.4
    assert 0 < bright.sum() < len(bright)
    assert [status is ScoreStatus.FAIL for status in scores.status] == bright.tolist()
    assert set(scores.reason) == {"", "RuntimeError: too bright"}
