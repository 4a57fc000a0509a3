"""Procedural textures: repeatable, of classes that can be told apart, spread in what varies."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from vqlso.data.texture_patterns import BENDS, KINDS, Frame
from vqlso.data.textures import (
    CLASSES,
    TextureParameters,
    procedural_textures,
    render,
    sample_parameters,
)
from vqlso.errors import DataError

COUNT = len(CLASSES)


def statistics(images: np.ndarray) -> np.ndarray:
    """(n, features): the spectrum of the lightness by frequency and by direction, and its tails."""
    light = images.mean(axis=1)
    light = (light - light.mean((1, 2), keepdims=True)) / light.std((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(light)) ** 2
    frequency = np.fft.fftfreq(images.shape[-1]) * images.shape[-1]
    radius = np.hypot(frequency[:, None], frequency[None])
    rings = np.stack([power[:, (radius >= r) & (radius < r + 2)].mean(1) for r in range(0, 32, 2)])
    peaks = -np.sort(-power.reshape(len(images), -1), axis=1)[:, :24:2]
    rows = np.abs(np.diff(light, axis=1)).mean((1, 2)) / np.abs(np.diff(light, axis=2)).mean((1, 2))
    levels = np.quantile(light.reshape(len(light), -1), np.linspace(0.02, 0.98, 13), axis=1)
    return np.concatenate([np.log(rings + 1e-3), np.log(peaks.T), levels, np.log(rows)[None]]).T


def test_same_seed_same_textures_whatever_their_number() -> None:
    some, more = procedural_textures(20, seed=3), procedural_textures(50, seed=3)
    np.testing.assert_array_equal(some.images, more.images[:20])
    assert not np.array_equal(some.images, procedural_textures(20, seed=4).images)


def test_fingerprints_tell_settings_apart() -> None:
    fingerprints = {
        procedural_textures(n, seed, size).fingerprint
        for n, seed, size in [(8, 0, 32), (9, 0, 32), (8, 1, 32), (8, 0, 16)]
    }
    assert len(fingerprints) == 4


def test_labels_are_classes_in_equal_numbers() -> None:
    data = procedural_textures(5 * COUNT, seed=0, size=16)
    assert data.images.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(data.labels.astype(int)), [5] * COUNT)


def test_simple_statistics_tell_the_classes_apart_linearly() -> None:
    train, test = procedural_textures(1200, seed=0), procedural_textures(600, seed=1)
    probe = LinearDiscriminantAnalysis().fit(statistics(train.images), train.labels)
    right = probe.predict(statistics(test.images)) == test.labels
    each = [right[test.labels == kind].mean() for kind in range(COUNT)]
    assert min(each) > 0.85, dict(zip(CLASSES, each, strict=True))


def test_everything_but_the_class_varies_and_independently_of_it() -> None:
    parameters = sample_parameters(4000, np.random.default_rng(0))
    for name in ("form", "contrast", "phase", "noise"):
        values = getattr(parameters, name)
        assert np.ptp(values) > 0.45
        means = [values[parameters.kind == kind].mean() for kind in range(COUNT)]
        assert np.ptp(means) < 0.15 * np.ptp(values), name
    for kind in range(COUNT):
        rows = parameters.kind == kind
        assert np.ptp(parameters.period[rows]) > 0.35 * parameters.period[rows].mean()
        assert np.ptp(parameters.angle[rows]) > 0.055
    assert np.linalg.norm(parameters.colour - parameters.other, axis=1).min() > 0.25


def test_a_stripe_repeats_after_its_period_and_turns_with_its_angle() -> None:
    one = np.ones(1)
    upright = TextureParameters(
        kind=np.zeros(1, np.int64),
        period=16 * one,
        angle=0 * one,
        phase=np.zeros((1, 2)),
        form=0.5 * one,
        colour=np.zeros((1, 3)),
        other=np.ones((1, 3)),
        contrast=one,
        noise=np.zeros((1, 2 * BENDS)),
    )
    image = render(upright)[0, 0]
    np.testing.assert_array_equal(image[:, :48], image[:, 16:])
    assert (image == image[0]).all()
    assert image.min() == 0
    assert image.max() == 255
    # The band is half a period wide: 2 * (0.15 + 0.2 / 2) of it.
    assert image.mean() / 255 == pytest.approx(0.5, abs=0.01)
    turned = TextureParameters(**{**vars(upright), "angle": 0.25 * one})
    np.testing.assert_array_equal(render(turned)[0, 0], image.T)


@pytest.mark.parametrize("kind", CLASSES)
def test_patterns_are_shares(kind: str) -> None:
    rng = np.random.default_rng(0)
    frame = Frame(
        u=rng.uniform(-4, 4, (3, 500)).astype(np.float32),
        v=rng.uniform(-4, 4, (3, 500)).astype(np.float32),
        pixel=np.full((3, 1), 0.07, np.float32),
        form=np.array([[0.0], [0.5], [1.0]], np.float32),
        noise=rng.random((3, 2 * BENDS)).astype(np.float32),
    )
    share = KINDS[kind](frame)
    assert share.shape == (3, 500)
    assert share.dtype == np.float32
    assert share.min() >= -1e-6
    assert share.max() <= 1 + 1e-6
    assert np.ptp(share) > 0.5


def test_too_few_and_too_small_are_refused() -> None:
    with pytest.raises(DataError, match="at least one"):
        procedural_textures(0, seed=0)
    with pytest.raises(DataError, match="at least 16"):
        procedural_textures(1, seed=0, size=8)
