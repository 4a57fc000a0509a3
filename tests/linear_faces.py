"""A generator whose images are linear in the latent, and attributes with known directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.spaces import RealVectors

ENTRIES = 12
SPACE = RealVectors("w", (ENTRIES,))
LAYERED = RealVectors("w+", (2, ENTRIES))
# Entries of one size: Adam moves each entry at the same pace, whatever its gradient, and bends
# other directions (to a cosine of 0.94 for entries of 3, 2, 2 and 1).
SMILE = np.array([1.0, -1.0, 1.0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0]) / 2
AGE = np.array([0, 0, 0, 1.0, 1.0, 0, 0, 0, 0, 0, 0, 0]) / np.sqrt(2)


@dataclass(frozen=True)
class LinearFaces:
    """Each pixel is 0.5 plus a hundredth of an entry of w; of w+ the mean of its layers."""

    version: str = "first"

    @property
    def space(self) -> RealVectors:
        return SPACE

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        return {"w": SPACE, "w+": LAYERED}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (3, 2, 2)

    def decode(self, z: NDArray[np.floating], space: str = "w") -> Tensor:
        with torch.no_grad():
            return self.decode_tensor(torch.from_numpy(self.spaces[space].validate(z)), space)

    def decode_tensor(self, z: Tensor, space: str = "w") -> Tensor:
        w = z.mean(1) if space == "w+" else z
        return 0.5 + 0.01 * w.reshape(-1, 3, 2, 2)


@dataclass(frozen=True)
class Level:
    """A sigmoid of the latent's component along a unit direction."""

    along: tuple[float, ...]
    name: str = "level"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        return self.value(images).detach().numpy()

    def value(self, images: Tensor) -> Tensor:
        w = (images.double().flatten(1) - 0.5) * 100
        return torch.sigmoid(w @ torch.tensor(self.along, dtype=torch.float64))


def smile() -> Level:
    return Level(tuple(SMILE), "smile")


def age() -> Level:
    return Level(tuple(AGE), "age")


def cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    a, b = first.ravel(), second.ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
