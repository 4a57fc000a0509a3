"""The degree of an attribute, estimated by a small classifier that the project trains itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError, DataError
from vqlso.hardware import autocast
from vqlso.objectives.degree import LEVELS, degree_from_logits
from vqlso.objectives.scorer_networks import ARCHITECTURES, PlainScorer, ResidualScorer

KIND = "degree classifier"


@dataclass(frozen=True)
class ScorerSettings:
    """What a scorer's file says about it.

    Attributes:
        architecture: "residual" or "plain".
        image_size: H = W of the images it was trained on.
        lowest: the score that class 0 stands for.
        highest: the score that class 5 stands for.
        temperature: divides the logits, fitted on held-out people.

    Raises:
        ConfigError: an unknown architecture.
    """

    architecture: str
    image_size: int
    lowest: float = 0.0
    highest: float = 5.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ConfigError(
                f"There is no scorer '{self.architecture}'; choose one of "
                f"{', '.join(ARCHITECTURES)}."
            )


class DegreeClassifier:
    """Probability-weighted mean over six levels (paper 003, section 3), as an objective.

    Args:
        network: a trained classifier; it is put into evaluation mode.
        settings: its scale and temperature.
        batch_size: images per forward pass.
    """

    def __init__(
        self,
        network: ResidualScorer | PlainScorer,
        settings: ScorerSettings,
        batch_size: int = 256,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.settings = settings
        self.batch_size = batch_size

    @property
    def name(self) -> str:
        """Such as "degree by a residual classifier"."""
        return f"degree by a {self.settings.architecture} classifier"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n,) float64 in [lowest, highest].

        Raises:
            DataError: images of another size than the scorer was trained on.
        """
        size = self.settings.image_size
        if tuple(images.shape[1:]) != (3, size, size):
            raise DataError(
                f"The scorer was trained on images of 3 x {size} x {size}, but is asked to score "
                f"{' x '.join(map(str, images.shape[1:]))}. Train a scorer on this data set, or "
                "give data and scorer the same size."
            )
        degrees = [self._degree(batch) for batch in torch.split(images, self.batch_size)]
        span = self.settings.highest - self.settings.lowest
        return self.settings.lowest + span * np.concatenate(degrees) / (LEVELS - 1)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, d) float32, the layer before the logits."""
        with autocast(self._device):
            features: Tensor = self.network.features(self._pixels(images))
        return features.float()

    def save(self, path: Path) -> None:
        """Write the scorer's weights and settings."""
        save_checkpoint(path, KIND, asdict(self.settings), self.network)

    @classmethod
    def load(cls, path: Path) -> DegreeClassifier:
        """A scorer from its file.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        settings, state = read_checkpoint(path, KIND, lambda values: ScorerSettings(**values))
        network = ARCHITECTURES[settings.architecture]()
        load_state(network, state, str(path), f"a {settings.architecture} scorer")
        return cls(network, settings)

    def _degree(self, images: Tensor) -> NDArray[np.float64]:
        logits = self.logits(images)
        degree = degree_from_logits(logits, temperature=self.settings.temperature)
        return np.asarray(degree.double().cpu().numpy())

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, 6) float32, before the temperature."""
        with autocast(self._device):
            logits: Tensor = self.network(self._pixels(images))
        return logits.float()

    @property
    def _device(self) -> torch.device:
        return self.network.head.weight.device

    def _pixels(self, images: Tensor) -> Tensor:
        pixels = images.to(self._device).mul(2).sub(1)
        return pixels.contiguous(memory_format=torch.channels_last)
