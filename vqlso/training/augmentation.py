"""Random changes that a discriminator sees on real and generated images alike.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data": where images are
few, the discriminator learns them by heart; changes applied with a probability p < 1 to all that
it sees keep it from that and do not leak into what is generated. This is a small set of theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SHIFT = 0.125
TURN = math.pi / 8
ZOOM = 0.2
BRIGHTNESS = 0.2
CONTRAST = 0.5
HOLE = 0.5


@dataclass(frozen=True)
class AdaptiveAugmentation:
    """How often images are changed: as often as overfitting demands.

    Attributes:
        target: wanted mean sign of the discriminator's scores of real images.
        kimg: thousand real images in which p may go from 0 to 1.
        interval: steps between two corrections.
    """

    target: float = 0.6
    kimg: float = 500.0
    interval: int = 4

    def corrected(self, p: float, mean_sign: float, images: int) -> float:
        """p after so many more images, whose scores had this mean sign."""
        step = images / (1000 * self.kimg)
        return min(max(p + math.copysign(step, mean_sign - self.target), 0.0), 1.0)


def augmented(images: Tensor, p: float) -> Tensor:
    """The (n, 3, H, W) images in [-1, 1], each change made with probability p; differentiable.

    A shift by up to 1/8 of the picture, a turn by up to 22.5 degrees, a zoom, brightness,
    contrast, and a square hole of half the width. Draws from torch's global stream.
    """
    if p <= 0:
        return images
    return _holed(_recoloured(_moved(images, p), p), p)


def _moved(images: Tensor, p: float) -> Tensor:
    n = len(images)
    angle = _drawn(n, p, TURN)
    scale = torch.exp2(_drawn(n, p, ZOOM))
    x, y = _drawn(n, p, 2 * SHIFT), _drawn(n, p, 2 * SHIFT)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    matrices = torch.stack([cos, -sin, x, sin, cos, y], dim=1).view(n, 2, 3).to(images)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _recoloured(images: Tensor, p: float) -> Tensor:
    n = len(images)
    factor = torch.exp2(_drawn(n, p, CONTRAST)).view(n, 1, 1, 1).to(images)
    shift = _drawn(n, p, BRIGHTNESS).view(n, 1, 1, 1).to(images)
    return images * factor + shift


def _holed(images: Tensor, p: float) -> Tensor:
    n, _, height, width = images.shape
    chosen = torch.rand(n, 1, 1, 1) < p
    row, column = torch.rand(2, n, 1, 1, 1)
    rows = (torch.arange(height).view(1, 1, -1, 1) + 0.5) / height
    columns = (torch.arange(width).view(1, 1, 1, -1) + 0.5) / width
    inside = ((rows - row).abs() < HOLE / 2) & ((columns - column).abs() < HOLE / 2)
    return images.masked_fill((inside & chosen).to(images.device), 0)


def _drawn(n: int, p: float, bound: float) -> Tensor:
    """(n,) uniform in [-bound, bound] with probability p, else 0."""
    return (2 * torch.rand(n) - 1) * bound * (torch.rand(n) < p)
