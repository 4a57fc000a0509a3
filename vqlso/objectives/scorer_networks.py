"""Two small degree classifiers of unlike architecture: one is queried, the other only judges.

The judge shares neither layers nor inductive bias with the queried scorer (no skip connections,
no batch statistics, positions kept instead of pooled away), so that an image made to please one
need not please the other.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.objectives.degree import LEVELS
from vqlso.portions import BatchNorm2d, Dropout


class _ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a projected skip (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = BatchNorm2d(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.skip(x))


class ResidualScorer(nn.Module):
    """The queried scorer: four residual blocks, then global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        widths = (24, 48, 96, 160)
        self.stem = nn.Conv2d(3, widths[0], 4, 2, 1)
        self.blocks = nn.Sequential(
            _ResidualBlock(widths[0], widths[0], 1),
            _ResidualBlock(widths[0], widths[1], 2),
            _ResidualBlock(widths[1], widths[2], 2),
            _ResidualBlock(widths[2], widths[3], 2),
        )
        self.head = nn.Linear(widths[3], LEVELS)

    def features(self, pixels: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] -> (n, 160)."""
        pooled: Tensor = self.blocks(F.relu(self.stem(pixels))).mean((2, 3))
        return pooled

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] -> (n, 6) logits."""
        logits: Tensor = self.head(self.features(pixels))
        return logits


class PlainScorer(nn.Module):
    """The judge: strided 5x5 convolutions with group normalisation, then dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 5, 2, 2),
            nn.GroupNorm(4, 32),
            nn.GELU(),
            nn.Conv2d(32, 64, 5, 2, 2),
            nn.GroupNorm(8, 64),
            nn.GELU(),
            nn.Conv2d(64, 96, 5, 2, 2),
            nn.GroupNorm(8, 96),
            nn.GELU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            Dropout(0.3),
            nn.Linear(96 * 16, 128),
            nn.GELU(),
        )
        self.head = nn.Linear(128, LEVELS)

    def features(self, pixels: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] -> (n, 128)."""
        flat: Tensor = self.layers(pixels)
        return flat

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] -> (n, 6) logits."""
        logits: Tensor = self.head(self.features(pixels))
        return logits


ARCHITECTURES: dict[str, type[ResidualScorer | PlainScorer]] = {
    "residual": ResidualScorer,
    "plain": PlainScorer,
}
