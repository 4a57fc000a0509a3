"""A generator that is one small network, and a score whose gradient is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from vqlso.spaces import RealVectors

SPACE = RealVectors("z", (4,))
SHAPE = (3, 2, 2)


class LinearNetworkImages:
    """0.5 + A z + b with weights A and b that can be trained."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = nn.Linear(SPACE.shape[0], int(np.prod(SHAPE)))
        with torch.no_grad():
            self.network.weight.mul_(0.1)
            self.network.bias.zero_()
        self.network.requires_grad_(False)

    @property
    def space(self) -> RealVectors:
        return SPACE

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        return {"z": SPACE}

    @property
    def version(self) -> str:
        weights = b"".join(each.detach().numpy().tobytes() for each in self.network.parameters())
        return hashlib.sha256(weights).hexdigest()[:12]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return SHAPE

    def decode_tensor(self, z: Tensor, space: str = "z") -> Tensor:
        pixels: Tensor = 0.5 + self.network(z.float())
        return pixels.view(len(z), *SHAPE)

    def decode(self, z: NDArray[np.floating], space: str = "z") -> Tensor:
        with torch.no_grad():
            return self.decode_tensor(torch.from_numpy(self.spaces[space].validate(z)))

    def save(self, path: Path) -> None:
        save_file(self.network.state_dict(), path)


class Brightness:
    """The mean of all pixels."""

    name = "brightness"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        return np.asarray(self.value(images).detach().double().numpy())

    def value(self, images: Tensor) -> Tensor:
        return images.flatten(1).mean(1)
