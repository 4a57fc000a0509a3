"""A small network that reads the factors that a procedural face was drawn from."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.portions import BatchNorm2d

WIDTHS = (16, 32, 48, 64, 64, 48)
STRIDES = (2, 2, 1, 2, 1, 2)
FEATURES = 96
POOLED = 4


class FactorNetwork(nn.Module):
    """Six convolutions with batch normalisation, then two dense layers.

    The last map keeps its positions: widths and distances of a face are read from where its
    parts are.

    Args:
        outputs: numbers that are read from an image.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, width, stride in zip((3, *WIDTHS), WIDTHS, STRIDES, strict=False):
            layers += [nn.Conv2d(inputs, width, 3, stride, 1, bias=False), BatchNorm2d(width)]
            layers += [nn.ReLU(inplace=True)]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Linear(WIDTHS[-1] * POOLED**2, FEATURES)
        self.head = nn.Linear(FEATURES, outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] -> (n, outputs), unbounded."""
        maps = F.adaptive_avg_pool2d(self.convolutions(pixels), POOLED)
        outputs: Tensor = self.head(F.relu(self.dense(maps.flatten(1))))
        return outputs
