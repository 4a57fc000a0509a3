"""A person as a problem: images of proposals, counts as scores, and a person made of a network."""

import numpy as np
import pytest
from linear_images import LinearImages
from torch import Tensor
from toys import SPACE, Mosaic, search

from solvers.testing import SolverCase
from vqlso.contracts import Problem
from vqlso.errors import ConfigError, DataError, LatentSpaceError
from vqlso.images import to_bytes
from vqlso.problems.preference import Preference, answered
from vqlso.problems.simulated_person import SimulatedPerson
from vqlso.records import Context, Proposal

HERE = Context(seed=0, round=0)


def proposed(ids: list[int], version: str = Mosaic().version) -> Proposal:
    return SolverCase(SPACE, search).foreign(ids, version)


def brightness(images: Tensor) -> Tensor:
    return images.mean(dim=(2, 3))


def grey(*levels: int) -> np.ndarray:
    """(n, 3, 4, 4) uint8, one grey image a level."""
    return np.repeat(np.array(levels, np.uint8), 48).reshape(-1, 3, 4, 4)


def test_it_is_a_problem_whose_scores_are_counts() -> None:
    person = SimulatedPerson(brightness, grey(255)[0], picks=3, noise=0)
    problem = Preference(Mosaic(), person)
    assert isinstance(problem, Problem)
    assert problem.space == SPACE
    proposal = proposed([4, 2, 9, 7])
    scores = problem.evaluate(proposal, HERE)
    assert scores.ids.tolist() == [4, 2, 9, 7]
    assert scores.ok.all()
    assert sorted(scores.values.tolist()) == [0, 0, 1, 2]
    light = scores.images.mean(axis=(1, 2, 3))
    assert scores.values.argmax() == light.argmax()
    np.testing.assert_array_equal(scores.images, problem.shown(proposal))


def test_it_shows_the_space_that_was_chosen_and_follows_the_generator() -> None:
    generator = LinearImages()
    problem = Preference(generator, space_name="z")
    assert problem.space is not None
    assert problem.space.name == "z"
    moved = problem.moved_to(LinearImages(turn=1))
    assert moved.generator.version == "turned 1"
    with pytest.raises(LatentSpaceError, match="turned 1"):
        Preference(Mosaic(1)).shown(proposed([0]))


def test_nobody_to_ask_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="Nobody is there"):
        Preference(Mosaic()).evaluate(proposed([0, 1]), HERE)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([0, 0], "at least one"),
        ([1], "2 images are shown"),
        ([1, -1], "whole numbers from 0"),
        ([0.5, 1.0], "whole numbers from 0"),
    ],
)
def test_picks_that_are_none_are_refused(counts: list[int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        answered(proposed([0, 1]), grey(1, 2), counts)


def test_a_person_picks_the_nearest_the_best_of_them_twice() -> None:
    person = SimulatedPerson(brightness, grey(100)[0], picks=4, noise=0)
    shown = grey(0, 90, 250, 105, 130, 99)
    assert person(shown, 0).tolist() == [0, 1, 0, 1, 0, 2]
    np.testing.assert_allclose(
        person.distances(shown), 3**0.5 * np.array([100, 10, 150, 5, 30, 1]) / 255, rtol=1e-5
    )


def test_one_pick_is_one_click() -> None:
    person = SimulatedPerson(brightness, grey(100)[0], picks=1, noise=0)
    assert person(grey(0, 90, 250), 0).tolist() == [0, 1, 0]


def test_slips_follow_seed_and_moment() -> None:
    """With much noise the choice is nearly chance, but it is the same chance again."""
    shown = to_bytes(LinearImages().decode(np.random.default_rng(0).normal(size=(28, 6))))
    target = shown[0]

    def choices(seed: int, noise: float) -> list[tuple[int, ...]]:
        person = SimulatedPerson(brightness, target, noise=noise, seed=seed)
        return [tuple(person(shown, moment).tolist()) for moment in range(4)]

    assert choices(0, 5) == choices(0, 5)
    assert len(set(choices(0, 5))) > 1
    assert choices(0, 5) != choices(1, 5)
    assert len(set(choices(0, 0))) == 1
    assert all(sum(counts) == 5 for counts in choices(3, 1))


def test_a_person_that_cannot_be_is_refused() -> None:
    for settings in ({"picks": 0}, {"noise": -0.1}, {"noise": float("inf")}):
        with pytest.raises(ConfigError, match="picks >= 1"):
            SimulatedPerson(brightness, grey(0)[0], **settings)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="uint8"):
        SimulatedPerson(brightness, grey(0)[0].astype(np.float32))  # type: ignore[arg-type]
