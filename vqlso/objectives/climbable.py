"""Scores of images that gradients flow through: a degree classifier's and a discriminator's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.hardware import autocast
from vqlso.objectives.degree import LEVELS, degree_from_logits
from vqlso.objectives.degree_classifier import DegreeClassifier


@dataclass(frozen=True)
class ClimbableDegree:
    """A degree classifier as it scores, and what its score's gradient is.

    Attributes:
        classifier: is asked.
    """

    classifier: DegreeClassifier

    @property
    def name(self) -> str:
        """The classifier's."""
        return self.classifier.name

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n,) float64, as the classifier."""
        return self.classifier(images)

    def value(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n,), differentiable."""
        settings = self.classifier.settings
        pixels = images.mul(2).sub(1).contiguous(memory_format=torch.channels_last)
        with autocast(images.device):
            logits = self.classifier.network(pixels)
        degree = degree_from_logits(logits.float(), temperature=settings.temperature)
        return settings.lowest + (settings.highest - settings.lowest) * degree / (LEVELS - 1)


@dataclass(frozen=True)
class Realness:
    """How real a discriminator takes an image for (the discussion's second answer).

    A high value is no proof of quality: "very likely to lead to some samples that will indeed fool
    the discriminator, but are visually worse for humans".

    Attributes:
        discriminator: (n, 3, H, W) in [-1, 1] -> (n,), the higher, the more real.
    """

    discriminator: Callable[[Tensor], Tensor]
    name: str = "realness by the discriminator"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n,) float64."""
        with torch.no_grad():
            return np.asarray(self.value(images).double().cpu().numpy())

    def value(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n,), differentiable."""
        return self.discriminator(images.mul(2).sub(1))
