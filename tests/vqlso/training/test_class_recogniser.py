"""The recogniser: it learns classes that can be told apart, and is kept in a file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vqlso.errors import CheckpointError, DataError
from vqlso.metrics.class_accuracy import ClassRecogniser
from vqlso.objectives.factor_network import FactorNetwork
from vqlso.training.class_recogniser import RecogniserTraining, train_recogniser


def banded(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with bands across (class 0), down (1) or none (2)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(60, 120, (n, 3, 16, 16))
    images[labels == 0, :, ::4] += 120
    images[labels == 1, :, :, ::4] += 120
    return images.astype(np.uint8), labels


def test_it_learns_classes_and_is_repeatable() -> None:
    images, labels = banded(180, seed=0)
    training = RecogniserTraining(epochs=4, batch_size=20)
    first, again = (train_recogniser(images, labels, 3, training, seed=1) for _ in range(2))
    others, truth = banded(90, seed=1)
    assert first.accuracy(others, truth) > 0.9
    assert first.accuracy(others, (truth + 1) % 3) < 0.1
    for own, other in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(own, other)


def test_a_file_keeps_it(tmp_path: Path) -> None:
    recogniser = ClassRecogniser(FactorNetwork(4), 4, 16)
    recogniser.save(tmp_path / "classes.safetensors")
    loaded = ClassRecogniser.load(tmp_path / "classes.safetensors")
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(loaded(images), recogniser(images))
    assert set(loaded(images)) <= set(range(4))
    with pytest.raises(DataError, match="16 x 16"):
        loaded(images[:, :, :8, :8])
    with pytest.raises(CheckpointError, match="no checkpoint"):
        ClassRecogniser.load(tmp_path / "none.safetensors")
