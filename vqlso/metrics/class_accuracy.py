"""Whether images are of the class that was asked for, by a small network that knows real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import DataError
from vqlso.images import to_unit
from vqlso.objectives.factor_network import FactorNetwork

KIND = "class recogniser"


class ClassRecogniser:
    """Tells the classes of images apart.

    Args:
        network: a trained network with an output for each class; put into evaluation mode.
        classes: how many there are.
        image_size: H = W of the images that it was trained on.
        batch_size: images per forward pass.
    """

    def __init__(
        self, network: FactorNetwork, classes: int, image_size: int, batch_size: int = 256
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.classes = classes
        self.image_size = image_size
        self.batch_size = batch_size

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> NDArray[np.int64]:
        """(n, 3, H, W) float in [0, 1] -> (n,) the most probable class of each.

        Raises:
            DataError: images of another size than those it was trained on.
        """
        size = self.image_size
        if tuple(images.shape[1:]) != (3, size, size):
            raise DataError(
                f"Classes are recognised in images of 3 x {size} x {size}, but those here are "
                f"{' x '.join(map(str, images.shape[1:]))}. Give both the same size."
            )
        parts = torch.split(images.to(self.network.head.weight.device), self.batch_size)
        found = [self.network(part.mul(2).sub(1)).argmax(1) for part in parts]
        return torch.cat(found).cpu().numpy()

    def accuracy(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> float:
        """The share of (n, 3, H, W) uint8 images that are recognised as of their (n,) classes."""
        return float(np.mean(self(to_unit(images)) == labels))

    def save(self, path: Path) -> None:
        """Write weights and sizes."""
        settings = {"classes": self.classes, "image_size": self.image_size}
        save_checkpoint(path, KIND, settings, self.network)

    @classmethod
    def load(cls, path: Path) -> ClassRecogniser:
        """A recogniser from its file.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        (classes, size), state = read_checkpoint(
            path, KIND, lambda values: (int(values["classes"]), int(values["image_size"]))
        )
        network = FactorNetwork(classes)
        load_state(network, state, str(path), "a recogniser of these classes")
        return cls(network, classes, size)
