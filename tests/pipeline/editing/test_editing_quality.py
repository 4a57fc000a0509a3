"""What a direction changes besides, on a linear generator where it is known in closed form."""

from dataclasses import dataclass

import numpy as np
import pytest
from linear_faces import ENTRIES, LinearFaces
from numpy.typing import NDArray
from torch import Tensor

from pipeline.editing.problem import Edited
from pipeline.editing.quality import Changes, evaluation_of, quality
from vqlso.problems.direction import Direction


@dataclass(frozen=True)
class Entry:
    """One entry of w, which a pixel shows."""

    place: int
    name: str = "entry"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        return (100 * (images.double().flatten(1)[:, self.place] - 0.5)).numpy()


def edited(objective: Entry) -> Edited:
    problem = Direction(LinearFaces(), objective, longest=3.0)
    return Edited(problem, objective.name, None, None, "made here", None)


def test_changes_of_a_linear_level_are_those_of_the_vector() -> None:
    d = np.arange(ENTRIES) / 10 - 0.5
    latents = np.random.default_rng(0).standard_normal((7, ENTRIES))
    for place in (0, 11):
        changes = Changes.of(edited(Entry(place)), d, latents)
        assert changes.names == ("entry",)
        np.testing.assert_allclose(changes.directed, d[place], atol=1e-5)
        np.testing.assert_allclose(changes.absolute, abs(d[place]), atol=1e-5)
        assert changes.half_width[0] == pytest.approx(0, abs=1e-5)
        assert np.isnan(changes.identity)
        assert np.isnan(changes.others("entry"))
        assert len(changes.facts()) == 1


def test_buckets_need_levels_from_0_to_1() -> None:
    case = edited(Entry(3))
    found, why = quality(case, evaluation_of(case, 20, seed=0), np.ones(ENTRIES))
    assert found is None
    assert "'entry' has levels from -" in why
