"""Scoring decoded images: 8-bit truth, failures as data, versions and spaces kept apart."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import Generator, Objective, Problem
from vqlso.errors import DataError, LatentSpaceError
from vqlso.problems.image_score import ImageScore
from vqlso.records import Context, Proposal, SolveStatus
from vqlso.spaces import CodeGrid

HERE = Context(seed=0, round=0)


@dataclass(frozen=True)
class Grey:
    """Decodes a 1 x 1 grid into a uniform 4 x 4 image a little off code / 10."""

    version: str = "one"
    offset: float = 0.001

    @property
    def space(self) -> CodeGrid:
        return CodeGrid(10, 1, 1)

    @property
    def spaces(self) -> dict[str, CodeGrid]:
        return {"codes": self.space}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (3, 4, 4)

    def decode(self, z: NDArray[Any], space: str) -> Tensor:
        codes = torch.from_numpy(self.spaces[space].validate(z))
        return (codes / 10 + self.offset).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


@dataclass(frozen=True)
class Objected:
    """An objective made of a function."""

    function: Callable[[Tensor], Any]
    name: str = "function"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        return self.function(images)  # type: ignore[no-any-return]


def brightness(images: Tensor) -> NDArray[np.float64]:
    return images.double().mean((1, 2, 3)).numpy()


def proposal(codes: list[int], **controls: list[int]) -> Proposal:
    n = len(codes)
    return Proposal(
        ids=np.arange(n) + 40,
        z=np.array(codes, dtype=np.int64).reshape(n, 1, 1),
        space="codes",
        version="one",
        parents=np.full(n, -1),
        predicted=np.full(n, np.nan),
        acquisition=np.full(n, np.nan),
        bound=np.full(n, np.nan),
        status=(SolveStatus.UNPROVEN,) * n,
        controls={name: np.array(z).reshape(n, 1, 1) for name, z in controls.items()},
    )


def test_the_fakes_and_the_problem_keep_the_contracts() -> None:
    problem = ImageScore(Grey(), Objected(brightness))
    assert isinstance(problem, Problem)
    assert isinstance(problem.generator, Generator)
    assert isinstance(problem.objective, Objective)
    assert problem.space == CodeGrid(10, 1, 1)


def test_what_is_scored_is_the_8_bit_image_that_is_returned() -> None:
    scores = ImageScore(Grey(), Objected(brightness)).evaluate(proposal([0, 3, 9]), HERE)
    levels = np.rint((np.array([0, 3, 9]) / 10 + 0.001) * 255)
    assert scores.images.dtype == np.uint8
    assert scores.images.shape == (3, 3, 4, 4)
    np.testing.assert_array_equal(scores.images[:, 0, 0, 0], levels)
    np.testing.assert_allclose(scores.values, levels / 255, atol=1e-7)
    assert np.abs(scores.values - (np.array([0, 3, 9]) / 10 + 0.001)).max() > 1e-4
    assert scores.ids.tolist() == [40, 41, 42]
    assert scores.ok.all()
    assert scores.reason == ("", "", "")


def test_an_objective_that_changes_its_input_changes_no_stored_image() -> None:
    def vandal(images: Tensor) -> NDArray[np.float64]:
        return images.zero_().sum((1, 2, 3)).double().numpy()

    scores = ImageScore(Grey(), Objected(vandal)).evaluate(proposal([5]), HERE)
    assert (scores.images == 128).all()


def explode(images: Tensor) -> None:
    raise RuntimeError("no power")


def leave(images: Tensor) -> None:
    raise SystemExit(0)


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def fall_silent(images: Tensor) -> None:
    raise MuteError


def mumble(images: Tensor) -> None:
    raise OSError("cannot open \udcff.png")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (explode, "RuntimeError: no power"),
        (leave, "SystemExit: 0"),
        (fall_silent, "MuteError: (its message cannot be read)"),
        (mumble, "OSError: cannot open ?.png"),
        (lambda _: np.array([np.nan]), "returned nan"),
        (lambda _: np.array([-np.inf]), "returned -inf"),
        (lambda _: np.zeros((1, 1)), r"shape (1, 1)"),
        (lambda _: np.zeros(2), r"shape (2,)"),
        (lambda _: 3.0, r"shape ()"),
        (lambda _: None, "returned"),
        (lambda _: ["high"], "ValueError"),
    ],
)
def test_a_failure_is_data_and_takes_no_other_image_with_it(
    fault: Callable[[Tensor], Any], reason: str
) -> None:
    def fails_on_the_bright(images: Tensor) -> Any:
        return fault(images) if images.mean() > 0.65 else brightness(images)

    problem = ImageScore(Grey(), Objected(fails_on_the_bright))
    scores = problem.evaluate(proposal([2, 7, 4], reference=[8, 1, 9]), HERE)
    assert scores.ok.tolist() == [True, False, True]
    assert np.isnan(scores.values).tolist() == [False, True, False]
    assert reason in scores.reason[1]
    assert scores.reason[0] == scores.reason[2] == ""
    assert np.isnan(scores.control_values["reference"]).tolist() == [True, False, True]


def test_controls_are_scored_like_the_proposal_and_returned_by_name() -> None:
    problem = ImageScore(Grey(), Objected(brightness))
    scores = problem.evaluate(proposal([1, 2], reference=[3, 4], random_codes=[1, 9]), HERE)
    alone = problem.evaluate(proposal([3, 4]), HERE)
    assert set(scores.control_values) == set(scores.control_images) == {"reference", "random_codes"}
    np.testing.assert_array_equal(scores.control_values["reference"], alone.values)
    np.testing.assert_array_equal(scores.control_images["reference"], alone.images)
    assert scores.control_values["random_codes"][0] == scores.values[0]


def test_latents_of_another_generator_or_space_are_refused() -> None:
    problem = ImageScore(Grey(), Objected(brightness))
    with pytest.raises(LatentSpaceError, match="belong to generator one, but two"):
        problem.moved_to(Grey("two")).evaluate(proposal([1]), HERE)
    with pytest.raises(LatentSpaceError, match="of space 'w', but 'codes'"):
        problem.evaluate(replace(proposal([1]), space="w"), HERE)
    with pytest.raises(LatentSpaceError, match=r"0\.\.9"):
        problem.evaluate(proposal([10]), HERE)


def test_moving_keeps_the_objective_and_the_old_problem() -> None:
    problem = ImageScore(Grey(), Objected(brightness))
    moved = problem.moved_to(Grey("two", offset=0.1))
    assert moved.objective is problem.objective
    assert problem.generator.version == "one"
    score = moved.evaluate(replace(proposal([1]), version="two"), HERE).values[0]
    assert score == pytest.approx(0.2, abs=1 / 255)


def test_images_of_a_size_that_always_fails_are_a_mistake_not_data() -> None:
    def picky(images: Tensor) -> None:
        raise DataError("wrong size")

    with pytest.raises(DataError, match="wrong size"):
        ImageScore(Grey(), Objected(picky)).evaluate(proposal([1]), HERE)


def test_an_interruption_is_not_swallowed() -> None:
    def stop(images: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ImageScore(Grey(), Objected(stop)).evaluate(proposal([1]), HERE)


def test_nothing_proposed_is_nothing_scored() -> None:
    scores = ImageScore(Grey(), Objected(brightness)).evaluate(proposal([]), HERE)
    assert scores.images.shape == (0, 3, 4, 4)
    assert scores.values.shape == (0,)
