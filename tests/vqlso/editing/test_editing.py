"""Edits and their evaluation on a linear generator, where all changes have a formula."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from linear_faces import AGE, SMILE, LinearFaces, age, cosine, smile
from torch import Tensor

from vqlso.editing import (
    EditEvaluation,
    LevelEdit,
    compared,
    conditional,
    edited_in_turn,
    edited_together,
    moved,
    scaled,
    sheet,
    strips,
    towards,
)
from vqlso.errors import ConfigError, LatentSpaceError

W = np.random.default_rng(0).standard_normal((6, 12))
OTHER = np.eye(12)[5]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def both(images: Tensor) -> np.ndarray:
    return np.stack([smile()(images), age()(images)], axis=1)


def latent_itself(images: Tensor) -> Tensor:
    w = (images.double().flatten(1) - 0.5) * 100
    return torch.nn.functional.normalize(w, dim=1)


def evaluation(**settings) -> EditEvaluation:
    settings = {"originals": 50, "strengths": 4, "batch_size": 16} | settings
    return EditEvaluation(LinearFaces(), "w", both, 0, latent_itself, **settings)


def test_moved_is_every_latent_by_every_strength() -> None:
    edited = moved(W, SMILE, (-2, 0, 1))
    assert edited.shape == (6, 3, 12)
    np.testing.assert_allclose(edited[4, 0], W[4] - 2 * SMILE)
    np.testing.assert_array_equal(edited[:, 1], W)


def test_towards_steps_by_what_is_missing() -> None:
    levels = np.linspace(0, 1, 6)
    edited = towards(W, SMILE, levels, 0.6)
    for row in range(6):
        np.testing.assert_allclose(edited[row], W[row] + (0.6 - levels[row]) * SMILE)


def test_several_directions_at_once_add_up() -> None:
    edited = edited_together(W, [SMILE, AGE], [2.0, -1.0])
    np.testing.assert_allclose(edited @ SMILE, W @ SMILE + 2)
    np.testing.assert_allclose(edited @ AGE, W @ AGE - 1)


def test_in_turn_each_starts_from_what_the_last_has_left() -> None:
    def levels(latents: np.ndarray) -> np.ndarray:
        return sigmoid(latents @ SMILE)

    edited = edited_in_turn(W, [LevelEdit(SMILE, 1.0, levels), LevelEdit(SMILE, 0.5, levels)])
    once = W + (1 - levels(W))[:, None] * SMILE
    np.testing.assert_allclose(edited, once + (0.5 - levels(once))[:, None] * SMILE)
    assert np.abs(levels(edited) - 0.5).max() < np.abs(levels(once) - 0.5).max()


@given(st.integers(1, 4), st.integers(0, 1000))
def test_conditional_edits_keep_what_they_are_to_keep(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d, keep = rng.standard_normal((3, 4)), list(rng.standard_normal((count, 3, 4)))
    rest = conditional(d, [*keep, keep[0] * 2])  # also if they depend on each other
    for each in keep:
        assert abs(cosine(rest, each)) < 1e-9
    removed = (d - rest).ravel()
    assert removed @ rest.ravel() == pytest.approx(0, abs=1e-9)  # no more than need be


def test_conditional_edits_need_something_left() -> None:
    np.testing.assert_array_equal(conditional(SMILE, []), SMILE)
    with pytest.raises(LatentSpaceError, match="nothing of it is left"):
        conditional(SMILE + AGE, [SMILE, AGE])


def test_strips_show_less_and_more_around_the_original() -> None:
    rows = strips(LinearFaces(), "w", W, 10 * SMILE)
    assert rows.shape == (6, 3, 3, 2, 2)
    levels = smile()(torch.from_numpy(rows.reshape(-1, 3, 2, 2)) / 255).reshape(6, 3)
    assert (np.diff(levels, axis=1) > 0).all()
    np.testing.assert_allclose(rows[:, 1] / 255, LinearFaces().decode(W), atol=0.002)
    page = sheet(rows)
    assert page.shape == (6 * 4 - 2, 3 * 4 - 2, 3)
    np.testing.assert_array_equal(page[4:6, 8:10], rows[1, 2].transpose(1, 2, 0))
    assert (page[2:4] == 255).all()


@pytest.mark.parametrize("length", [0.5, 3.0, 30.0])
def test_quality_by_hand(length: float) -> None:
    measured = evaluation()
    d = length * (SMILE + 0.5 * AGE)
    quality = measured.quality(d)
    w = measured.latents
    before = sigmoid(w @ np.stack([SMILE, AGE], axis=1))
    edits = np.concatenate([towards(w, d, before[:, 0], t) for t in np.linspace(0, 1, 4)])
    change = sigmoid(edits @ np.stack([SMILE, AGE], axis=1)) - np.tile(before, (4, 1))
    same = [cosine(a, b) for a, b in zip(edits, np.tile(w, (4, 1)), strict=True)]
    amount = np.abs(change[:, 0])
    for bucket, (low, high) in zip(
        quality.buckets, [(0, 0.3), (0.3, 0.6), (0.6, 0.9)], strict=True
    ):
        inside = (amount > low) & (amount <= high)
        assert bucket.count == inside.sum()
        if inside.any():
            others = np.abs(change[inside, 1])
            assert bucket.others.mean == pytest.approx(others.mean(), abs=1e-5)
            assert bucket.others.deviation == pytest.approx(others.std(), abs=1e-5)
            assert bucket.identity.mean == pytest.approx(np.array(same)[inside].mean(), abs=1e-5)
        else:
            assert np.isnan(bucket.others.mean)
            assert np.isnan(bucket.identity.mean)
    assert (quality.small, quality.edits) == ((amount <= 0.3).sum(), 200)
    assert quality.length == pytest.approx(np.linalg.norm(d))
    assert measured.small_changes(d) == quality.small


def test_the_null_vector_preserves_all_and_changes_nothing() -> None:
    quality = evaluation().quality(0 * SMILE)
    assert [bucket.count for bucket in quality.buckets] == [0, 0, 0]
    assert quality.small == quality.edits


def test_without_an_embedding_identity_is_unknown() -> None:
    quality = EditEvaluation(LinearFaces(), "w", both, 0, originals=20).quality(SMILE)
    assert np.isnan(quality.buckets[0].identity.mean)
    assert quality.buckets[0].others.mean == pytest.approx(0, abs=1e-6)


@given(st.floats(0.01, 60), st.floats(0.6, 4), st.integers(500, 9500))
def test_the_scaling_ends_within_one_per_cent(middle: float, steepness: float, wanted: int) -> None:
    def count(factor: float) -> int:
        return int(10_000 / (1 + (factor / middle) ** steepness))

    scaling = scaled(count, wanted)
    assert scaling.reached
    assert count(scaling.factor) == scaling.count
    assert abs(scaling.count - wanted) <= 0.01 * wanted
    assert scaling.evaluations <= 30


def test_a_smooth_count_needs_few_evaluations() -> None:
    for steepness in (0.3, 1.0, 4.0):
        found = scaled(lambda f, s=steepness: int(10_000 / (1 + (f / 3.7) ** s)), 5416)
        assert found.reached
        assert found.evaluations <= 7


@pytest.mark.parametrize("count", [lambda _: 10_000, lambda _: 3, lambda f: 9000 if f < 2 else 10])
def test_a_scaling_that_cannot_succeed_says_so(count: Callable[[float], int]) -> None:
    scaling = scaled(count, 5000)
    assert not scaling.reached
    assert scaling.evaluations <= 30
    with pytest.raises(ConfigError, match="at least one"):
        scaled(count, 0)


def test_methods_are_compared_at_equal_change() -> None:
    measured = evaluation(originals=200)
    directions = {
        "clean": 3 * SMILE,
        "long": 12 * SMILE,
        "entangled": 0.5 * (SMILE + AGE),
        "impure": SMILE + 2 * OTHER,
    }
    table = compared(measured, directions, "clean")
    wanted = table["clean"][1].small
    assert table["clean"][0].factor == 1
    for name, (scaling, quality) in table.items():
        assert scaling.reached
        assert abs(quality.small - wanted) <= 0.01 * wanted
        assert quality.length == pytest.approx(scaling.factor * np.linalg.norm(directions[name]))
    lengths = {name: quality.length for name, (_, quality) in table.items()}
    assert lengths["long"] == pytest.approx(lengths["clean"], rel=0.1)
    last = {name: quality.buckets[1] for name, (_, quality) in table.items()}
    assert last["entangled"].others.mean > 0.1 > last["clean"].others.mean
    assert last["impure"].identity.mean < last["clean"].identity.mean
