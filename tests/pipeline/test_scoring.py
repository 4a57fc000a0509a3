"""Scoring many images at once: a failure is a NaN and takes no other image with it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.scoring import scores_of
from vqlso.errors import DataError


class Function:
    """An objective made of a function of the mean brightness."""

    name = "function"

    def __init__(self, function) -> None:
        self.function = function

    def __call__(self, images: Tensor) -> np.ndarray:
        return self.function(images.mean(dim=(1, 2, 3)).double().numpy())


def greys(*levels: float) -> Tensor:
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def refusing(bad: set[float]):
    def function(levels: np.ndarray) -> np.ndarray:
        if bad & {round(level, 3) for level in levels.tolist()}:
            raise ValueError("bad level")
        return 10 * levels

    return function


def test_scores_of_a_batch_are_the_objectives() -> None:
    scores, reason = scores_of(Function(lambda levels: 2 * levels), greys(0.25, 0.5))
    np.testing.assert_allclose(scores, [0.5, 1.0])
    assert reason == ""


@given(st.lists(st.integers(0, 8), min_size=1, max_size=8), st.sets(st.integers(0, 8)))
def test_exactly_the_bad_images_are_nan(levels: list[int], bad: set[int]) -> None:
    scores, reason = scores_of(
        Function(refusing({level / 8 for level in bad})), greys(*(level / 8 for level in levels))
    )
    expected = [np.nan if level in bad else 10 * level / 8 for level in levels]
    np.testing.assert_allclose(scores, expected)
    assert reason == ("ValueError: bad level" if bad & set(levels) else "")


def test_infinite_scores_are_failures() -> None:
    infinite = Function(lambda levels: np.where(levels > 0.5, levels, np.inf))
    scores, reason = scores_of(infinite, greys(0.5, 1.0))
    np.testing.assert_array_equal(scores, [np.nan, 1.0])
    assert reason == "the objective returned inf"


def test_a_wrong_number_of_scores_is_a_failure() -> None:
    scores, reason = scores_of(Function(lambda levels: levels[:1]), greys(0.25, 0.5))
    np.testing.assert_allclose(scores, [0.25, 0.5])  # one by one it is right
    assert reason == ""
    scores, reason = scores_of(Function(lambda levels: 3.0), greys(0.25, 0.5))
    assert np.isnan(scores).all()
    assert "shape () for 1 images" in reason


def test_images_of_a_wrong_size_are_a_mistake_not_a_failure() -> None:
    def function(levels: np.ndarray) -> np.ndarray:
        raise DataError("64 pixels, please")

    with pytest.raises(DataError, match="64 pixels"):
        scores_of(Function(function), greys(0.5))
