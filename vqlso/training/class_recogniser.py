"""Training the network that says of which class an image is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.metrics.class_accuracy import ClassRecogniser
from vqlso.objectives.factor_network import FactorNetwork
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.training.fitting import Checkpointing, Optimisation, fit
from vqlso.training.weighting import epochs

# Enters the names of trained recognisers: raise it with any change here or in the network.
RECIPE_VERSION = 1


@dataclass(frozen=True)
class RecogniserTraining:
    """How a recogniser is trained.

    Attributes:
        epochs: passes over the images.
        batch_size: images a step.
        optimisation: step size, decay and weight decay.
    """

    epochs: int = 6
    batch_size: int = 64
    optimisation: Optimisation = Optimisation(3e-3, "cosine", weight_decay=0.02)


def train_recogniser(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
    training: RecogniserTraining = RecogniserTraining(),
    *,
    seed: int,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> ClassRecogniser:
    """A recogniser trained on real images.

    Args:
        images: (n, 3, H, W) uint8.
        labels: (n,) their classes, counted from 0.
        classes: how many there are.
        training: how.
        seed: of the first weights and of the batches.
        checkpointing: where an interrupted training continues.
        progress: shows the steps.
    """
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, "recogniser weights"))
        network = FactorNetwork(classes)

    def loss(
        module: nn.Module, pixels: Tensor, rows: NDArray[np.int64]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        wanted = torch.from_numpy(labels[rows]).to(pixels.device)
        value = F.cross_entropy(module(pixels).float(), wanted)
        return value, {"loss": value.detach()}

    fit(
        network,
        loss,
        lambda rows: images[rows],
        epochs(len(images), training.epochs, training.batch_size, stream(seed, "recogniser")),
        seed=torch_seed(seed, "recogniser fit"),
        optimisation=training.optimisation,
        checkpointing=checkpointing,
        progress=progress,
        description="learning to tell classes apart",
    )
    return ClassRecogniser(network, classes, images.shape[-1])
