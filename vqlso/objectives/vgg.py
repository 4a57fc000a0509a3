"""The layers of VGG-19 (Simonyan and Zisserman 2015) that paper 001 compares images in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from vqlso.objectives.feature_networks import resized_for_comparison
from vqlso.pretrained import imagenet_normalised, load_weights

ARCHITECTURE = "VGG-19 without batch normalisation (torchvision's state dict vgg19-*.pth)"
# Configuration E: channels and convolutions of the stages, each of which ends in a max pooling.
STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
HIDDEN, CLASSES = 4096, 1000
# Paper 001, appendix: the first ReLU behind the second, third and fourth pooling.
TAPPED_STAGES = (2, 3, 4)


class VGG19(nn.Module):
    """Named as torchvision's, so that its ImageNet weights load unchanged."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.taps: list[int] = []
        inputs = 3
        for stage, (channels, convolutions) in enumerate(STAGES):
            if stage in TAPPED_STAGES:
                self.taps.append(len(layers) + 1)
            for _ in range(convolutions):
                layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
                inputs = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        # Only so that a state dict matches name by name.
        self.classifier = nn.Sequential(
            nn.Linear(inputs * 49, HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, CLASSES),
        )


class VGG19Features:
    """relu3_1, relu4_1 and relu5_1 of a VGG-19, images at 128 pixels (paper 001, appendix).

    Args:
        checkpoint: torchvision's `vgg19-dcbb9e9d.pth`, a local file; nothing is downloaded.

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
    """

    def __init__(self, checkpoint: Path) -> None:
        checkpoint = Path(checkpoint)
        with torch.device("meta"):
            network = VGG19()
        load_weights(network, checkpoint, ARCHITECTURE)
        # What lies behind the last tap is most of the weights.
        used = list(network.features)[: network.taps[-1] + 1]
        self._layers = nn.ModuleList(used).eval().requires_grad_(False)
        self._taps = network.taps
        self._weights = checkpoint.stem

    @property
    def name(self) -> str:
        """Such as "VGG-19 relu3_1, relu4_1, relu5_1 (vgg19-dcbb9e9d)"."""
        layers = ", ".join(f"relu{stage + 1}_1" for stage in TAPPED_STAGES)
        return f"VGG-19 {layers} ({self._weights})"

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """(n, 3, H, W) float in [0, 1] -> maps with 256, 512 and 512 channels."""
        x = imagenet_normalised(resized_for_comparison(images))
        maps = []
        for index, layer in enumerate(self._layers.to(images.device)):
            x = layer(x)
            if index in self._taps:
                maps.append(x)
        return maps
