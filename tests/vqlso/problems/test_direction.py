"""The direction problem on a linear generator: signs, common random numbers, lengths, failures."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear_faces import AGE, SMILE, SPACE, LinearFaces, age, smile
from torch import Tensor

from vqlso.contracts import Problem
from vqlso.errors import ConfigError, DataError, LatentSpaceError
from vqlso.problems.direction import Conditions, Direction, EditVectors
from vqlso.records import Context, Proposal, ScoreStatus, SolveStatus

HERE = Context(seed=3, round=0)


def problem(**settings) -> Direction:
    return Direction(LinearFaces(), smile(), **{"longest": 2.0} | settings)


def proposed(d: np.ndarray, first: int = 0, space: str = "edits of w") -> Proposal:
    n = len(d)
    unknown = np.full(n, np.nan)
    return Proposal(
        ids=np.arange(first, first + n),
        z=d,
        space=space,
        version="first",
        parents=np.full(n, -1),
        predicted=unknown,
        acquisition=unknown,
        bound=unknown,
        status=(SolveStatus.UNPROVEN,) * n,
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def by_hand(shared: Conditions, d: np.ndarray) -> float:
    before = sigmoid(shared.anchors @ SMILE)
    after = sigmoid((shared.anchors + shared.sign * d) @ SMILE)
    return shared.sign * (after - before).mean()


def test_it_is_a_problem() -> None:
    assert isinstance(problem(), Problem)
    assert problem().space == EditVectors("edits of w", (12,), longest=2.0)


@pytest.mark.parametrize("anchors", [1, 5])
def test_the_value_is_the_change_in_the_wanted_direction(anchors: int) -> None:
    direction = problem(anchors=anchors, batch_size=3)
    d = np.stack([SMILE, -SMILE, AGE, 0 * AGE])
    signs = set()
    for first in (0, 10, 20, 30, 40):
        scores = direction.evaluate(proposed(d, first), HERE)
        shared = direction.conditions(3, first)
        signs.add(shared.sign)
        np.testing.assert_allclose(scores.values, [by_hand(shared, each) for each in d], atol=1e-6)
        assert scores.values[0] > 0 > scores.values[1]  # whatever the sign
        assert scores.values[3] == 0
    assert signs == {1, -1}


def test_without_the_baseline_differences_are_the_same() -> None:
    d = np.stack([SMILE, AGE, -SMILE])
    full = problem(anchors=4).evaluate(proposed(d), HERE).values
    plain = problem(anchors=4, baseline=False).evaluate(proposed(d), HERE).values
    np.testing.assert_allclose(np.diff(plain), np.diff(full), atol=1e-6)
    assert abs(plain[0]) > 0.2


def test_conditions_are_shared_within_a_proposal_and_fresh_in_the_next() -> None:
    direction = problem(anchors=2)
    twice = np.repeat(SMILE[None], 3, axis=0)
    first = direction.evaluate(proposed(twice), HERE).values
    assert np.ptp(first) == 0
    assert direction.evaluate(proposed(twice, 3), HERE).values[0] != first[0]
    assert direction.evaluate(proposed(twice), Context(4, 0)).values[0] != first[0]
    np.testing.assert_array_equal(direction.evaluate(proposed(twice), HERE).values, first)


def test_signs_are_even() -> None:
    signs = [problem().conditions(0, id_).sign for id_ in range(400)]
    assert abs(np.mean(signs)) < 0.15


def test_images_are_those_of_the_first_anchor() -> None:
    direction = problem(anchors=3, batch_size=2)
    scores = direction.evaluate(proposed(np.stack([SMILE, AGE])), HERE)
    shared = direction.conditions(3, 0)
    wanted = LinearFaces().decode(shared.anchors[:1] + shared.sign * np.stack([SMILE, AGE]))
    np.testing.assert_allclose(scores.images / 255, wanted.numpy(), atol=0.002)


def test_controls_are_scored_under_the_same_conditions() -> None:
    direction = problem(anchors=3)
    d = np.stack([SMILE, AGE])
    scores = direction.evaluate(replace(proposed(d), controls={"reference": d[::-1]}), HERE)
    np.testing.assert_array_equal(scores.control_values["reference"], scores.values[::-1])


def test_images_are_counted() -> None:
    counted: list[int] = []

    def counting(images: Tensor) -> np.ndarray:
        counted.append(len(images))
        return smile()(images)

    for settings in ({}, {"baseline": False}, {"anchors": 8, "batch_size": 5}):
        counted.clear()
        direction = replace(problem(**settings), objective=counting)
        direction.evaluate(proposed(np.stack([SMILE, AGE])), HERE)
        assert sum(counted) == direction.images_of(2)


def test_a_failure_is_an_answer_and_takes_no_other_with_it() -> None:
    direction = problem(anchors=2)
    d = np.stack([SMILE, AGE])
    edited = direction.conditions(3, 0).anchors[0] + direction.conditions(3, 0).sign * d[1]

    def moody(images: Tensor) -> np.ndarray:
        near = np.abs((images.double().flatten(1).numpy() - 0.5) * 100 - edited).max(1) < 1e-3
        if near.any():
            raise RuntimeError("not this one")
        return smile()(images)

    def not_a_number(images: Tensor) -> np.ndarray:
        near = np.abs((images.double().flatten(1).numpy() - 0.5) * 100 - edited).max(1) < 1e-3
        return np.where(near, np.nan, smile()(images))

    sound = direction.evaluate(proposed(d), HERE)
    reasons = ("RuntimeError: not this one", "the objective returned nan")
    for objective, reason in zip((moody, not_a_number), reasons, strict=True):
        scores = replace(direction, objective=objective).evaluate(proposed(d), HERE)
        assert scores.status == (ScoreStatus.OK, ScoreStatus.FAIL)
        assert scores.reason == ("", reason)
        assert scores.values[0] == pytest.approx(sound.values[0], abs=1e-9)
        assert np.isnan(scores.values[1])


def test_where_the_anchors_have_no_level_all_candidates_fail() -> None:
    nothing = replace(problem(), objective=lambda images: np.full(len(images), np.inf))
    scores = nothing.evaluate(proposed(np.stack([SMILE, AGE])), HERE)
    assert not scores.ok.any()
    assert np.isnan(scores.values).all()
    assert np.isnan(nothing.effect(SMILE, anchors=5).change)


def test_a_wrong_number_of_levels_is_a_mistake_of_the_set_up() -> None:
    wrong = replace(problem(), objective=lambda images: np.zeros(len(images) + 1))
    with pytest.raises(DataError, match="one number for each"):
        wrong.evaluate(proposed(SMILE[None]), HERE)


def test_other_generators_and_spaces_are_refused() -> None:
    with pytest.raises(LatentSpaceError, match=r"edits of w\+"):
        problem().evaluate(proposed(SMILE[None], space="edits of w+"), HERE)
    with pytest.raises(LatentSpaceError, match="second"):
        problem().moved_to(LinearFaces("second")).evaluate(proposed(SMILE[None]), HERE)
    with pytest.raises(ConfigError, match="at least one anchor"):
        problem(anchors=0)


def test_layers_are_edited_apart() -> None:
    """Of w+ an edit in one of the two layers moves their mean by a half."""
    direction = problem(space_name="w+", anchors=3)
    d = np.stack([SMILE, 0 * SMILE])[None]
    scores = direction.evaluate(proposed(d, space="edits of w+"), HERE)
    shared = direction.conditions(3, 0)
    mean = replace(shared, anchors=shared.anchors.mean(1))
    np.testing.assert_allclose(scores.values, [by_hand(mean, SMILE / 2)], atol=1e-6)


def test_the_effect_is_measured_on_fixed_anchors() -> None:
    direction = problem()
    effect = direction.effect(SMILE, anchors=4000)
    # E[sigmoid(x + 1) - sigmoid(x - 1)] / 2 for a standard normal x, by quadrature.
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    exact = (weights * (sigmoid(nodes + 1) - sigmoid(nodes - 1))).sum() / weights.sum() / 2
    assert effect.change == pytest.approx(exact, abs=effect.half_width)
    assert effect.raised > 0 > effect.lowered
    assert 0 < effect.half_width < 0.01
    assert direction.effect(SMILE, anchors=4000) == effect
    assert direction.effect(-SMILE, anchors=4000).change == pytest.approx(-effect.change)
    assert abs(replace(direction, objective=age()).effect(SMILE).change) < 1e-6


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=12, max_size=12), st.floats(1e-3, 1e3, exclude_min=True)
)
def test_vectors_are_shortened_but_not_turned(entries: list[float], longest: float) -> None:
    space = EditVectors("edits of w", (12,), longest=longest)
    d = np.array([entries])
    short = space.validate(space.within(d))
    length = np.linalg.norm(d)
    assert np.linalg.norm(short) == pytest.approx(min(length, longest))
    np.testing.assert_allclose(short * max(length, 1e-300), d * np.linalg.norm(short), atol=1e-6)
    if length <= longest:
        np.testing.assert_array_equal(short, d)


def test_longer_vectors_are_refused() -> None:
    space = EditVectors("edits of w+", (2, 12), longest=0.5)
    samples = space.validate(space.sample(200, np.random.default_rng(0)))
    assert 0.45 < np.linalg.norm(samples, axis=(1, 2)).max() <= 0.5 * (1 + 1e-9)
    with pytest.raises(LatentSpaceError, match=r"at most 0\.5 long; got one of 1"):
        space.validate(np.eye(12)[:1, None].repeat(2, 1) / np.sqrt(2))
    with pytest.raises(LatentSpaceError, match="positive"):
        EditVectors("edits of w", SPACE.shape, longest=0.0)
