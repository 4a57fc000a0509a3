"""The two forms of an image: 8-bit arrays where it is stored, unit floats where networks see it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_unit(images: NDArray[np.uint8]) -> Tensor:
    """(n, 3, H, W) uint8 -> float32 tensor in [0, 1]."""
    return torch.tensor(np.asarray(images)).float().div_(255)


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """(n, 3, H, W) float in [0, 1] -> uint8, rounded to the nearest of 256 levels."""
    return images.mul(255).round().clamp(0, 255).byte().cpu().numpy()
