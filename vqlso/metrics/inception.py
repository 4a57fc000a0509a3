"""The Inception-v3 of the FID (Heusel et al. 2017) as a feature network.

It is the network of December 2015 with 1008 classes, as torch-fidelity and pytorch-fid converted
it from TensorFlow; torchvision's Inception-v3 differs in weights, pooling and input, and gives
other distances. Module names are those of the converted file, so that it loads unchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from vqlso.errors import ConfigError
from vqlso.metrics.inception_blocks import (
    Convolution,
    GridReduction17,
    GridReduction35,
    InceptionBlock8,
    InceptionBlock17,
    InceptionBlock35,
    Tap,
)
from vqlso.pretrained import load_weights

ARCHITECTURE = (
    "the FID's Inception-v3 with 1008 classes (torch-fidelity's "
    "weights-inception-2015-12-05-6726825d.pth)"
)
INPUT_SIZE = 299
CLASSES = 1008


class InceptionV3(nn.Module):
    """(n, 3, 299, 299) pixels in [-1, 1) -> (n, tap) spatial means of one of four layers.

    Szegedy et al. 2016, table 1. The classifier exists so that a state dict matches name by
    name; the features bypass it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = InceptionBlock35(192, pooled=32)
        self.Mixed_5c = InceptionBlock35(256, pooled=64)
        self.Mixed_5d = InceptionBlock35(288, pooled=64)
        self.Mixed_6a = GridReduction35(288)
        self.Mixed_6b = InceptionBlock17(768, hidden=128)
        self.Mixed_6c = InceptionBlock17(768, hidden=160)
        self.Mixed_6d = InceptionBlock17(768, hidden=160)
        self.Mixed_6e = InceptionBlock17(768, hidden=192)
        self.Mixed_7a = GridReduction17(768)
        self.Mixed_7b = InceptionBlock8(1280, maximum=False)
        self.Mixed_7c = InceptionBlock8(2048, maximum=True)
        self.fc = nn.Linear(2048, CLASSES)

    def stages(self) -> dict[Tap, nn.Sequential]:
        """The layers from one tap to the next, by the width of the tap that they end in."""
        halve = nn.MaxPool2d(3, stride=2)
        return {
            64: nn.Sequential(self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3, halve),
            192: nn.Sequential(self.Conv2d_3b_1x1, self.Conv2d_4a_3x3, halve),
            768: nn.Sequential(
                self.Mixed_5b,
                self.Mixed_5c,
                self.Mixed_5d,
                self.Mixed_6a,
                self.Mixed_6b,
                self.Mixed_6c,
                self.Mixed_6d,
                self.Mixed_6e,
            ),
            2048: nn.Sequential(self.Mixed_7a, self.Mixed_7b, self.Mixed_7c),
        }

    def forward(self, pixels: Tensor, tap: Tap = 2048) -> Tensor:
        x = pixels
        for width, stage in self.stages().items():
            x = stage(x)
            if width == tap:
                break
        return x.mean(dim=(2, 3))


class InceptionFeatures:
    """The feature network of the published FID, from a local file.

    The wider the tap, the more images a covariance takes: more than 2048 for the published tap,
    of which the other three are pytorch-fid's cheaper variants. Their distances have other units.

    Args:
        checkpoint: torch-fidelity's `weights-inception-2015-12-05-6726825d.pth`.
        tap: 64 and 192 (first and second pooling), 768 (before the second reduction of the
            grid) or 2048 (last pooling, the published FID).

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
        ConfigError: another tap.
    """

    def __init__(self, checkpoint: Path, tap: Tap = 2048) -> None:
        if tap not in get_args(Tap):
            raise ConfigError(f"Inception has no tap of width {tap}: choose of {get_args(Tap)}.")
        checkpoint = Path(checkpoint)
        with torch.device("meta"):
            self._network = InceptionV3()
        load_weights(self._network, checkpoint, ARCHITECTURE)
        self._network.eval()
        self._tap: Tap = tap
        self._weights = checkpoint.stem

    @property
    def name(self) -> str:
        """Such as "FID Inception, 2048 features (weights-inception-2015-12-05-6726825d)"."""
        return f"FID Inception, {self._tap} features ({self._weights})"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, tap) float32, on the images' device."""
        # The FID is defined on 8-bit images. 128, not 127.5: the graph's own normalisation.
        levels = (images * 255).round()
        pixels = (resized_as_tensorflow_1(levels, INPUT_SIZE) - 128) / 128
        output: Tensor = self._network.to(images.device)(pixels, self._tap)
        return output


def resized_as_tensorflow_1(images: Tensor, size: int) -> Tensor:
    """(n, c, H, W) float -> (n, c, size, size), bilinear as TensorFlow 1's `resize_bilinear`.

    Output pixel i lies at i * H / size of the input, without the half-pixel shift of later
    libraries and without smoothing; Parmar et al. 2022 ("On Aliased
    Resizing") show how much a distance depends on it.
    """
    return _resized(_resized(images, 3, size), 2, size)


def _resized(images: Tensor, axis: int, size: int) -> Tensor:
    extent = images.shape[axis]
    # In float32, as TensorFlow computes it: a rounded coordinate decides which pixels are mixed.
    scale = torch.tensor(extent / size, dtype=torch.float32, device=images.device)
    position = torch.arange(size, dtype=torch.float32, device=images.device) * scale
    lower = position.long()
    upper = (lower + 1).clamp_max(extent - 1)
    shape = [1] * images.ndim
    shape[axis] = size
    near, far = images.index_select(axis, lower), images.index_select(axis, upper)
    return near + (far - near) * (position - lower).view(shape)
