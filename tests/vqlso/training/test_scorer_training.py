"""Training the scorers, judged by faces whose degree is known because it was drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from vqlso.data.faces import procedural_faces, render, sample_parameters
from vqlso.data.image_set import ImageSet
from vqlso.errors import ConfigError, DataError
from vqlso.images import to_unit
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.objectives.scorer_networks import ARCHITECTURES, PlainScorer
from vqlso.randomness import stream
from vqlso.training.fitting import Optimisation
from vqlso.training.scorer import (
    ScorerTraining,
    level_targets,
    recall_by_level,
    scorer_quality,
    train_scorer,
)
from vqlso.training.weighting import epochs

FACES = procedural_faces(900, seed=0, size=32)
TRAINING, CALIBRATION, HELD_OUT = np.split(np.arange(900), [600, 700])
PASSES = {"residual": 5, "plain": 12}
NONE = ScorerTraining(epochs=0)


@pytest.fixture(scope="module", params=["residual", "plain"])
def scorer(request: pytest.FixtureRequest) -> DegreeClassifier:
    how = ScorerTraining(PASSES[request.param], 32, Optimisation(2e-3, "cosine", 0.02))
    return train_scorer(FACES, TRAINING, CALIBRATION, request.param, how, seed=0)


def test_held_out_people_are_scored_better_than_by_a_constant(scorer: DegreeClassifier) -> None:
    labels = FACES.labels[HELD_OUT]
    quality = scorer_quality(scorer, FACES.images[HELD_OUT], labels)
    # Measured: 0.88 (residual) and 0.82 (plain) after these few passes.
    assert quality["correlation"] > 0.7
    best_constant = np.abs(labels - np.median(labels)).mean()
    assert quality["mean_absolute_error"] < 0.8 * best_constant


def test_the_same_people_score_higher_the_more_they_smile(scorer: DegreeClassifier) -> None:
    people = sample_parameters(80, np.random.default_rng(5))
    means = [
        scorer(to_unit(render(replace(people, degree=np.full(80, float(degree))), 32))).mean()
        for degree in range(6)
    ]
    assert (np.diff(means) > 0).all()
    assert means[5] - means[0] > 1.5


def test_the_temperature_minimises_the_surprise_on_the_calibration_people(
    scorer: DegreeClassifier,
) -> None:
    logits = scorer.logits(to_unit(FACES.images[CALIBRATION]))
    wanted = torch.from_numpy(level_targets(FACES.labels[CALIBRATION], 0.0, 5.0))

    def surprise(temperature: float) -> float:
        return float(F.cross_entropy(logits / temperature, wanted))

    chosen = surprise(scorer.settings.temperature)
    assert scorer.settings.temperature != 1
    assert chosen < surprise(1.0)
    assert chosen <= min(surprise(float(t)) for t in np.linspace(0.25, 4, 200)) + 1e-4


def test_scale_and_size_are_the_datas(scorer: DegreeClassifier) -> None:
    settings = scorer.settings
    assert (settings.lowest, settings.highest, settings.image_size) == (0, 5, 32)


def untrained(data: ImageSet, architecture: str = "plain", seed: int = 0) -> DegreeClassifier:
    return train_scorer(data, np.arange(20), np.arange(20, 40), architecture, NONE, seed=seed)


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0.0, 5.0, (0, 5)),
        (0.0, 2.0, (0, 5)),  # degrees of a restricted set are still degrees
        (0.0, 1.0, (0, 1)),
        (-3.0, 4.0, (-3, 4)),
        (0.0, 100.0, (0, 100)),
    ],
)
def test_labels_give_the_scale(
    lowest: float, highest: float, expected: tuple[float, float]
) -> None:
    labels = np.linspace(lowest, highest, len(FACES))
    settings = untrained(replace(FACES, labels=labels)).settings
    assert (settings.lowest, settings.highest) == expected


def test_labels_that_never_differ_are_refused() -> None:
    with pytest.raises(DataError, match=r"All labels of the data set 'faces' are 7\.0"):
        untrained(replace(FACES, labels=np.full(len(FACES), 7.0)))


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ConfigError, match="no scorer 'vision'"):
        untrained(FACES, "vision")


def test_seeds_and_architectures_have_their_own_weights_and_leave_the_stream_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = untrained(FACES), untrained(FACES), untrained(FACES, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    images = to_unit(FACES.images[:5])
    np.testing.assert_array_equal(first(images), again(images))
    assert not np.array_equal(first(images), other(images))


def test_only_the_training_rows_are_trained_on() -> None:
    training, calibration = np.arange(20, 40), np.arange(5)
    others = np.setdiff1d(np.arange(len(FACES)), np.concatenate([training, calibration]))
    images, labels = FACES.images.copy(), FACES.labels.copy()
    images[others], labels[others] = 0, 2.0
    scores = [
        train_scorer(data, training, calibration, "plain", ScorerTraining(1, 20), seed=0)
        for data in (FACES, replace(FACES, images=images, labels=labels))
    ]
    probe = to_unit(FACES.images[:8])
    np.testing.assert_array_equal(scores[0](probe), scores[1](probe))


def seen_in_training(
    images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, **degradation: float
) -> NDArray[np.float64]:
    """What the network is shown of these images in one epoch of one batch, in order of rows."""
    seen: list[torch.Tensor] = []

    class Witness(PlainScorer):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(pixels.detach().clone())
            return super().forward(pixels)

    monkeypatch.setitem(ARCHITECTURES, "plain", Witness)
    monkeypatch.setattr("vqlso.training.fitting.fabric_precision", lambda: "32-true")
    n = len(images)
    data = replace(FACES, images=images, labels=np.linspace(0, 5, n), people=np.arange(n))
    how = ScorerTraining(1, n, **degradation)
    train_scorer(data, np.arange(n), np.arange(2), "plain", how, seed=0)
    shown = np.empty(images.shape)
    shown[epochs(n, 1, n, stream(0, "plain"))[0]] = seen[0].numpy()
    return shown


def test_augmentation_mirrors_moves_and_relights(monkeypatch: pytest.MonkeyPatch) -> None:
    originals = FACES.images[:40] / 127.5 - 1
    shown = seen_in_training(FACES.images[:40], monkeypatch, blur=0.0, noise=0.0)
    found = [
        [
            relighting(image[:, 3:-3, 3:-3], original[:, 3 + dy : 29 + dy, 3 + dx : 29 + dx])
            for mirrored in (False, True)
            for original in [whole[:, :, ::-1] if mirrored else whole]
            for dy in range(-3, 4)
            for dx in range(-3, 4)
        ]
        for image, whole in zip(shown, originals, strict=True)
    ]
    errors, gains, offsets = np.moveaxis(np.array(found), 2, 0)
    best = errors.argmin(axis=1)
    rows = np.arange(40)
    assert errors[rows, best].max() < 1e-4
    assert 5 < (best >= 49).sum() < 35  # some are mirrored, some are not
    assert ((gains[rows, best] > 0.899) & (gains[rows, best] < 1.101)).all()
    assert np.ptp(gains[rows, best]) > 0.1
    assert np.abs(offsets[rows, best]).max() < 0.101


def relighting(
    shown: NDArray[np.float64], original: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Root mean squared error, gain and offset of the best affine fit."""
    gain, offset = np.polyfit(original.ravel(), shown.ravel(), 1)
    return float(np.sqrt(np.square(gain * original + offset - shown).mean())), gain, offset


def test_augmentation_blurs_and_adds_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.full((60, 3, 32, 32), 200, dtype=np.uint8)
    spread = seen_in_training(grey, monkeypatch, blur=2.0, noise=0.0).std((1, 2, 3))
    assert spread.max() < 1e-5  # blur of a flat image is flat
    noise = seen_in_training(grey, monkeypatch, blur=2.0, noise=0.1).std((1, 2, 3))
    assert 0.08 < noise.max() <= 0.105
    assert noise.min() < 0.02
    checks = np.where(np.indices((32, 32)).sum(0) % 2, 255, 0).astype(np.uint8)
    pattern = np.broadcast_to(checks, (60, 3, 32, 32)).copy()
    sharp = seen_in_training(pattern, monkeypatch, blur=0.0, noise=0.0).std((1, 2, 3))
    blurred = seen_in_training(pattern, monkeypatch, blur=2.0, noise=0.0).std((1, 2, 3))
    assert sharp.min() > 0.89
    assert blurred.min() < 0.3 < 0.7 < blurred.max()


scales = st.tuples(st.floats(-100, 100), st.floats(0.1, 100)).map(lambda x: (x[0], x[0] + x[1]))


@given(scales, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_targets_are_probabilities_with_the_label_as_their_mean(
    scale: tuple[float, float], shares: list[float]
) -> None:
    lowest, highest = scale
    labels = lowest + np.array(shares) * (highest - lowest)
    targets = level_targets(labels, lowest, highest).astype(np.float64)
    assert targets.shape == (len(shares), 6)
    assert targets.min() >= 0
    assert ((targets > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    means = lowest + targets @ np.arange(6) / 5 * (highest - lowest)
    np.testing.assert_allclose(means, labels, atol=1e-5 * (highest - lowest))


def test_whole_degrees_have_one_certain_level_and_halves_two() -> None:
    np.testing.assert_array_equal(level_targets(np.arange(6.0), 0, 5), np.eye(6))
    np.testing.assert_allclose(level_targets(np.array([2.25]), 0, 5), [[0, 0, 0.75, 0.25, 0, 0]])


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=40),
)
def test_recall_by_counting(pairs: list[tuple[float, float]]) -> None:
    found: dict[int, list[bool]] = {}
    for degree, label in pairs:
        found.setdefault(round(label), []).append(round(degree) == round(label))
    expected = {level: sum(hits) / len(hits) for level, hits in found.items()}
    degrees, labels = np.array(pairs).T
    assert recall_by_level(degrees, labels) == pytest.approx(expected)


def test_quality_of_a_scale_other_than_degrees_is_counted_in_levels(
    scorer: DegreeClassifier,
) -> None:
    images, labels = FACES.images[HELD_OUT], FACES.labels[HELD_OUT]
    percent = DegreeClassifier(scorer.network, replace(scorer.settings, lowest=0.0, highest=100.0))
    plain = scorer_quality(scorer, images, labels)
    scaled = scorer_quality(percent, images, 20 * labels)
    assert scaled.pop("mean_absolute_error") == pytest.approx(20 * plain.pop("mean_absolute_error"))
    assert (scaled.pop("highest"), plain.pop("highest")) == (100.0, 5.0)
    assert scaled == pytest.approx(plain)
