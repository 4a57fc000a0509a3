"""MobileNetV2 (Sandler et al. 2018) as a feature network where Inception's weights cannot be had.

Module names are those of torchvision's state dict, so that its ImageNet weights load unchanged.
Distances in these features order distributions, but are not comparable with published FID.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vqlso.pretrained import imagenet_normalised, load_weights

ARCHITECTURE = "MobileNetV2 of width 1.0 with 1000 classes (torchvision's state dict)"
INPUT_SIZE = 160
FEATURES = 1280
# Table 2 of the paper: expansion, channels, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [] if expansion == 1 else [_convolution(inputs, hidden, 1)]
        self.conv = nn.Sequential(
            *expand,
            _convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """(n, 3, H, W) normalised images -> (n, 1280) spatial means of the last convolution.

    The classifier exists so that a state dict matches name by name; the features bypass it.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, 3, stride=2)]
        inputs = 32
        for expansion, channels, blocks, stride in STAGES:
            for block in range(blocks):
                first = stride if block == 0 else 1
                layers.append(_InvertedResidual(inputs, channels, expansion, first))
                inputs = channels
        layers.append(_convolution(inputs, FEATURES, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(FEATURES, 1000))

    def forward(self, images: Tensor) -> Tensor:
        last: Tensor = self.features(images)
        return last.mean(dim=(2, 3))


class MobileNetFeatures:
    """The feature network: ImageNet weights from a local file, images resized to 160 px.

    Args:
        checkpoint: torchvision's `mobilenet_v2-*.pth`.

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
    """

    def __init__(self, checkpoint: Path) -> None:
        checkpoint = Path(checkpoint)
        with torch.device("meta"):
            self._network = MobileNetV2()
        load_weights(self._network, checkpoint, ARCHITECTURE)
        self._network.eval()
        self._weights = checkpoint.stem

    @property
    def name(self) -> str:
        """Such as "MobileNetV2 features (mobilenet_v2-b0353104, 160 px)"."""
        return f"MobileNetV2 features ({self._weights}, {INPUT_SIZE} px)"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, 1280) float32, on the images' device."""
        size = (INPUT_SIZE, INPUT_SIZE)
        resized = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
        output: Tensor = self._network.to(images.device)(imagenet_normalised(resized))
        return output
