"""Training a diffusion model: a velocity to be predicted, and the running mean of the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.generators.diffusion.ddim import noisy_and_velocity
from vqlso.generators.diffusion.generator import DDIM
from vqlso.generators.diffusion.network import DDIMNetwork
from vqlso.generators.diffusion.settings import DDIMSettings, Sampling
from vqlso.portions import portion_of
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport
from vqlso.training.fitting import Checkpointing, Optimisation, fit
from vqlso.training.weighting import epochs

# Enters the names of trained networks, as that of vqlso/training/vqvae.py does. Raise it with any
# change here, in fitting.py or in the network's architecture after which the same recipe trains
# other weights.
RECIPE_VERSION = 1

# Karras et al. 2024, "Analyzing and improving the training dynamics of diffusion models", section
# 3.1: the exponent whose mean is as wide as a tenth of the training, however long that is.
MEANS_EXPONENT = 6.94


@dataclass(frozen=True)
class DiffusionTraining:
    """How a diffusion model is trained.

    Attributes:
        epochs: passes over the training set.
        batch_size: images a step.
        optimisation: Adam's step size and its decay.
    """

    epochs: int = 60
    batch_size: int = 32
    optimisation: Optimisation = Optimisation(1e-3, "cosine")


class AveragedNetwork(nn.Module):
    """A network in training beside the running mean of its weights, which makes better images.

    The mean takes in the weights as each step begins, in `forward` as batch normalisation its
    statistics, so that it is saved, resumed and shared among processes like any other state.

    The mean over t steps weighs step i by i^7 or so: mean <- beta mean + (1 - beta) weights, with
    beta = (1 - 1 / t)^(MEANS_EXPONENT + 1) (Karras et al. 2024, eq. 2). The beginning is forgotten,
    and no length has to be chosen.

    Attributes:
        network: the one in training.
        average: the mean; no gradients reach it.
        steps: () int64, t.
    """

    def __init__(self, network: DDIMNetwork) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        """As the network; in evaluation as the average."""
        if not self.training:
            return cast(Tensor, self.average(noisy, t))
        self._take_in()
        return cast(Tensor, self.network(noisy, t))

    @torch.no_grad()
    def _take_in(self) -> None:
        self.steps += 1
        beta = (1 - 1 / float(self.steps)) ** (MEANS_EXPONENT + 1)
        for mean, weights in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weights, 1 - beta)


def ddim_loss(
    network: nn.Module,
    pixels: Tensor,
    rows: NDArray[np.int64],  # noqa: ARG001
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Mean squared error of the predicted velocities (Salimans & Ho 2022, section 4).

    Times are spread evenly over [0, 1] from a random start, which makes the loss of a batch less
    random than independent times would (Kingma et al. 2021, "Variational diffusion models",
    appendix I.1).
    """
    portion, image = portion_of(len(pixels)), pixels.shape[1:]
    t = portion.drawn(lambda n: _spread_times(n, pixels))
    noise = portion.drawn(
        lambda n: torch.randn(n, *image, dtype=pixels.dtype, device=pixels.device)
    )
    noisy, velocity = noisy_and_velocity(pixels, noise, t)
    error = F.mse_loss(network(noisy, t), velocity)
    return error, {"velocity_error": error.detach()}


def train_ddim(
    images: NDArray[np.uint8],
    settings: DDIMSettings,
    training: DiffusionTraining,
    *,
    seed: int,
    sampling: Sampling = Sampling(),  # noqa: B008
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> tuple[DDIM, FitReport]:
    """A diffusion model trained from nothing on (n, 3, H, W) uint8 images; the mean of its weights.

    Args:
        images: to be learnt, of the size that the settings tell.
        settings: the architecture.
        training: how long, and by which steps.
        seed: of weights, batches, times and noise.
        sampling: of the generator that is made; training does not know of it.
        checkpointing: where to save and to continue from, if at all.
        progress: shows steps with an ETA.
    """
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, "ddim weights"))
        averaged = AveragedNetwork(DDIMNetwork(settings))
    batches = epochs(
        len(images), training.epochs, training.batch_size, stream(seed, "ddim batches")
    )
    report = fit(
        averaged,
        ddim_loss,
        lambda rows: images[rows],
        batches,
        seed=torch_seed(seed, "ddim fit"),
        optimisation=training.optimisation,
        checkpointing=checkpointing,
        progress=progress,
        description="training the diffusion model",
    )
    return DDIM(averaged.average, sampling), report


def _spread_times(n: int, like: Tensor) -> Tensor:
    start = torch.rand((), dtype=like.dtype, device=like.device)
    return (start + torch.arange(n, dtype=like.dtype, device=like.device) / n) % 1
