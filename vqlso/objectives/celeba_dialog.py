"""The paper's black box: the attribute predictor of CelebA-Dialog (Jiang et al. 2021).

A ResNet-50 (He et al. 2015; stride on the 3x3 convolution as in torchvision) with five heads of
six levels. Module names are those of the published checkpoint, so that it loads unchanged. Its
weights are for non-commercial research; they are given by path and never shipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vqlso.errors import ConfigError
from vqlso.objectives.degree import LEVELS, degree_from_logits
from vqlso.pretrained import imagenet_normalised, load_weights

ARCHITECTURE = "CelebA-Dialog's attribute predictor (ResNet-50, stem of 512, five heads of 6)"
INPUT_SIZE = 128
EXPANSION = 4
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first
HEADS = {
    "Bangs": "classifier06Bangs",
    "Eyeglasses": "classifier16Eyeglasses",
    "No_Beard": "classifier25No_Beard",
    "Smiling": "classifier32Smiling",
    "Young": "classifier40Young",
}
REVERSED = frozenset({"No_Beard", "Young"})


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.relu(self.bn3(self.conv3(x)) + shortcut)


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    outputs = width * EXPANSION
    following = [_Bottleneck(outputs, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(_Bottleneck(inputs, width, stride), *following)


class ResNet50Trunk(nn.Module):
    """ResNet-50 without its classifier: (n, 3, H, W) normalised images -> (n, 2048) features."""

    width = STAGES[-1][0] * EXPANSION

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (width, blocks, stride) in enumerate(STAGES, start=1):
            self.add_module(f"layer{number}", _stage(inputs, width, blocks, stride))
            inputs = width * EXPANSION

    def pooled(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) normalised images -> (n, 2048) spatial means of the last stage."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3))


class _FullyConnected(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.fc(x)))


class AttributePredictor(ResNet50Trunk):
    """The trunk, a stem of 512 and one head for each of the five attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _FullyConnected(self.width, 512)
        for head in HEADS.values():
            self.add_module(head, nn.Sequential(_FullyConnected(512, 256), nn.Linear(256, LEVELS)))

    def logits(self, images: Tensor, attribute: str) -> Tensor:
        """(n, 3, H, W) normalised images -> (n, 6) logits of the annotation's levels."""
        head = self.get_submodule(HEADS[attribute])
        return torch.as_tensor(head(self.stem(self.pooled(images))))


def predictor_input(images: Tensor) -> Tensor:
    """(n, 3, H, W) in [0, 1] -> (n, 3, 128, 128) as the predictor was trained on.

    Values are clamped and rounded to whole 8-bit levels, so that an image scores the same
    before and after it is stored; then area-resized and normalised.
    """
    levels = (images * 255).clamp(0, 255).round() / 255
    return imagenet_normalised(
        functional.interpolate(levels, size=(INPUT_SIZE, INPUT_SIZE), mode="area")
    )


class CelebADialogObjective:
    """Degree of one attribute in [0, 5] by CelebA-Dialog's predictor (paper 003, section 3).

    A higher score always means more of what the attribute's name says. The annotation counts
    beard and age for No_Beard and Young, so these two are reversed, 5 - degree; labels read
    from the annotation file must be reversed likewise before they are mixed with scores.

    Args:
        checkpoint: local .pth file of the published predictor.
        attribute: Bangs, Eyeglasses, No_Beard, Smiling or Young.
        temperature: > 0, softens the class probabilities.
        batch_size: images scored at once.

    Raises:
        ConfigError: an unknown attribute, or a temperature or batch size that is not positive.
        CheckpointError: the file is missing, damaged or of another architecture.
    """

    def __init__(
        self,
        checkpoint: Path,
        attribute: str = "Smiling",
        temperature: float = 1.0,
        batch_size: int = 64,
    ) -> None:
        if attribute not in HEADS:
            raise ConfigError(f"Unknown attribute '{attribute}'; choose one of {', '.join(HEADS)}.")
        if not (temperature > 0 and batch_size > 0):
            raise ConfigError(
                f"Temperature and batch size must be above 0, got {temperature} and {batch_size}."
            )
        self._attribute = attribute
        self._temperature = temperature
        self._batch_size = batch_size
        with torch.device("meta"):
            self._network = AttributePredictor()
        load_weights(self._network, Path(checkpoint), ARCHITECTURE)
        self._network.eval()

    @property
    def name(self) -> str:
        """Such as "Smiling degree (CelebA-Dialog)"."""
        return f"{self._attribute} degree (CelebA-Dialog)"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1], RGB -> (n,) float64 in [0, 5].

        The network follows the images to their device.
        """
        network = self._network.to(images.device)
        degrees = [
            degree_from_logits(
                network.logits(predictor_input(batch), self._attribute), self._temperature
            )
            for batch in torch.split(images, self._batch_size)
        ]
        score = torch.cat(degrees).double().cpu().numpy()
        return np.asarray(5.0 - score if self._attribute in REVERSED else score)
