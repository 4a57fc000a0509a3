"""A generator whose images are linear in the latent, so that every inversion has a closed form."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.objectives.criteria import Criterion, PixelDistance
from vqlso.problems.target_image import TargetImage
from vqlso.spaces import RealVectors


@dataclass(frozen=True)
class LinearImages:
    """0.5 + A z; with this contrast samples of the prior have pixels in [0, 1]."""

    dimension: int = 6
    side: int = 4
    turn: int = 0
    contrast: float = 0.03
    version: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", self.version or f"turned {self.turn}")

    @property
    def space(self) -> RealVectors:
        return RealVectors("z", (self.dimension,))

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        return {"z": self.space}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (3, self.side, self.side)

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        rng = np.random.default_rng(self.turn)
        return self.contrast * rng.normal(size=(3 * self.side**2, self.dimension))

    def decode_tensor(self, z: Tensor, space: str = "z") -> Tensor:
        pixels = 0.5 + z @ torch.from_numpy(self.matrix).T
        return pixels.view(len(z), *self.image_shape)

    def decode(self, z: NDArray[Any], space: str = "z") -> Tensor:
        return self.decode_tensor(torch.from_numpy(self.spaces[space].validate(z))).float()


def targets(n: int = 1, side: int = 4, seed: int = 5) -> Tensor:
    """(n, 3, side, side) float64 noise, out of the generator's reach."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(size=(n, 3, side, side)))


def pixel_problem(wanted: Tensor, generator: LinearImages | None = None) -> TargetImage:
    """The mean squared difference alone."""
    return TargetImage(generator or LinearImages(), Criterion([PixelDistance(1.0)]), wanted)


def nearest(generator: LinearImages, wanted: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """(t, d) the latents of least squared difference, and (t,) the scores there."""
    pixels = wanted.double().flatten(1).numpy().T - 0.5
    z = np.linalg.lstsq(generator.matrix, pixels, rcond=None)[0]
    residual = 2 * (generator.matrix @ z - pixels)
    return z.T, -(residual**2).mean(axis=0)
