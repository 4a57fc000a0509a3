"""Attributes of a face, each from 0 to 1, read by one small differentiable network."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError, DataError
from vqlso.objectives.factor_network import FactorNetwork

KIND = "face attributes"


class FaceAttributes:
    """A regressor of several attributes, with a sigmoid each.

    It computes in float32 on any hardware: a search whose steps are small compares values that
    bf16 could not tell apart.

    Args:
        network: a trained network with an output for each attribute; it is put into evaluation
            mode.
        names: of the attributes.
        image_size: H = W of the images that it was trained on.
        batch_size: images per forward pass.
    """

    def __init__(
        self,
        network: FactorNetwork,
        names: Sequence[str],
        image_size: int,
        batch_size: int = 256,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.names = tuple(names)
        self.image_size = image_size
        self.batch_size = batch_size

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n, attributes) float64 in [0, 1].

        Raises:
            DataError: images of another size than those it was trained on.
        """
        with torch.inference_mode():
            parts = [self.levels(part) for part in torch.split(images, self.batch_size)]
        return torch.cat(parts).double().cpu().numpy()

    def levels(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n, attributes) in [0, 1], differentiable.

        Raises:
            DataError: as above.
        """
        size = self.image_size
        if tuple(images.shape[1:]) != (3, size, size):
            raise DataError(
                f"The attributes are read from images of 3 x {size} x {size}, but those here are "
                f"{' x '.join(map(str, images.shape[1:]))}. Train a regressor on this data set, "
                "or give both the same size."
            )
        pixels = images.to(self.network.head.weight.device).mul(2).sub(1)
        outputs: Tensor = self.network(pixels).sigmoid()
        return outputs

    def attribute(self, name: str) -> FaceAttribute:
        """One of them as an objective.

        Raises:
            ConfigError: there is none of this name.
        """
        return FaceAttribute(self, self.index(name))

    def index(self, name: str) -> int:
        """The column of an attribute.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in self.names:
            raise ConfigError(
                f"There is no attribute '{name}'; choose one of {', '.join(self.names)}."
            )
        return self.names.index(name)

    def save(self, path: Path) -> None:
        """Write names and weights, as float16: what is loaded has been rounded."""
        settings = {"names": list(self.names), "image_size": self.image_size}
        save_checkpoint(path, KIND, settings, copy.deepcopy(self.network).half())

    @classmethod
    def load(cls, path: Path) -> FaceAttributes:
        """A regressor from its file.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        (names, size), state = read_checkpoint(
            path, KIND, lambda values: (tuple(map(str, values["names"])), int(values["image_size"]))
        )
        with torch.device("meta"):
            network = FactorNetwork(len(names))
        load_state(network, state, str(path), "a regressor of these attributes", assign=True)
        return cls(network.float(), names, size)


@dataclass(frozen=True)
class FaceAttribute:
    """One attribute's level as an objective that gradients flow through.

    Attributes:
        attributes: reads all of them.
        column: which one.
    """

    attributes: FaceAttributes
    column: int

    @property
    def name(self) -> str:
        """The attribute's name."""
        return self.attributes.names[self.column]

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n,) float64 in [0, 1]."""
        return self.attributes(images)[:, self.column]

    def value(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) float in [0, 1] -> (n,) in [0, 1], differentiable."""
        return self.attributes.levels(images)[:, self.column]
