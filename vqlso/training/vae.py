"""Training a VAE: from nothing, and on weighted samples of the archive."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.errors import ConfigError, DataError
from vqlso.generators.vae import VAE, Posterior, VAENetwork, VAESettings
from vqlso.images import to_unit
from vqlso.portions import BatchNorm2d
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport
from vqlso.training.fitting import Checkpointing, Fetch, Loss, Optimisation, fit
from vqlso.training.weighting import Batches, epochs

# Enters the names of trained networks, as that of vqlso/training/vqvae.py does. Raise it with any
# change here, in fitting.py or in the network's architecture after which the same recipe trains
# other weights.
RECIPE_VERSION = 1

# The paper's warm-up takes a share of its 30 epochs; a shorter training has to leave the final
# beta as much time.
MOST_WARM_UP = 0.5
PAPERS_STEP_SIZE = 1e-4


@dataclass(frozen=True)
class BetaSchedule:
    """How the weight of the KL term grows; the defaults are paper 003's, table 7.

    Beta stays at its start for `hold` steps, and is then multiplied by `factor` every `every`
    steps until it has reached `most`: at first the VAE only learns to reconstruct.

    Attributes:
        start: beta at the first step.
        hold: steps until it begins to grow.
        factor: of one growth, > 1.
        every: steps from one growth to the next; like `hold` a fraction, if compressed.
        most: beta at the end.

    Raises:
        ConfigError: a beta that does not grow from above 0, or a length that is not one.
    """

    start: float = 1e-6
    hold: float = 5000
    factor: float = 1.1
    every: float = 50
    most: float = 0.21471

    def __post_init__(self) -> None:
        growing = 0 < self.start <= self.most and self.factor > 1
        if not growing or not self.hold >= 0 or not self.every > 0:
            raise ConfigError(
                "Beta grows from a start above 0, by a factor above 1, every so many steps above "
                f"0, after none or more; got {self}."
            )

    @property
    def steps(self) -> float:
        """The first step at which beta is `most`."""
        growths = math.ceil(math.log(self.most / self.start) / math.log(self.factor))
        return self.hold + growths * self.every

    def beta(self, step: int) -> float:
        """Beta at a step, counted from 0."""
        if step >= self.steps:
            return self.most
        growths = max(0, (step - self.hold) // self.every)
        return float(min(self.most, self.start * self.factor**growths))

    def within(self, steps: int) -> BetaSchedule:
        """The same growth, compressed where it would take more than half of so many steps."""
        allowed = MOST_WARM_UP * max(1, steps)
        if self.steps <= allowed:
            return self
        share = allowed / self.steps
        return replace(self, hold=self.hold * share, every=self.every * share)


@dataclass(frozen=True)
class VAETraining:
    """How a VAE is trained; the defaults are paper 003's, table 7.

    Attributes:
        epochs: passes over the restricted training set.
        batch_size: images a step.
        optimisation: Adam's step size and its decay.
        beta: the weight of the KL term; compressed where it grows for more than half of the
            training (`BetaSchedule.within`).
    """

    epochs: int = 30
    batch_size: int = 64
    optimisation: Optimisation = Optimisation(PAPERS_STEP_SIZE)
    beta: BetaSchedule = field(default_factory=BetaSchedule)


@dataclass(frozen=True)
class VAELoss:
    """The objective under a growing beta; no closure, so that other processes can be sent it.

    Attributes:
        schedule: of beta.
    """

    schedule: BetaSchedule

    def at(self, step: int) -> Loss:
        """`vae_loss` with the beta of this step."""
        return partial(vae_loss, beta=self.schedule.beta(step))


def vae_loss(
    network: nn.Module,
    pixels: Tensor,
    rows: NDArray[np.int64],  # noqa: ARG001
    *,
    beta: float,
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Reconstruction + beta * KL(q(z | x) || N(0, I)), means over the images.

    Table 7's betas mean little without the reconstruction's scale, which paper 003 leaves out. As
    in the authors' code it is the squared error in pixels of [0, 1], summed over pixels and
    channels: a normal likelihood of variance 1/2, and with table 7's last beta one of standard
    deviation sqrt(.21471 / 2) = .33 under the evidence lower bound's own weight of 1.

    The measures are the mean squared error a pixel in [-1, 1], as the VQ-VAE's, and the KL in nats.
    """
    posterior: Posterior
    reconstruction, posterior = network(pixels)
    error = F.mse_loss(reconstruction, pixels)
    # Half the range, a quarter of the squares.
    summed = error * math.prod(pixels.shape[1:]) / 4
    divergence = posterior.divergence().mean()
    return summed + beta * divergence, {
        "reconstruction": error.detach(),
        "divergence": divergence.detach(),
    }


def train_vae(
    images: NDArray[np.uint8],
    settings: VAESettings,
    training: VAETraining,
    *,
    seed: int,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> tuple[VAE, FitReport]:
    """A VAE trained from nothing on (n, 3, H, W) uint8 images.

    Raises:
        DataError: a single image a step, which batch normalisation cannot learn from.
    """
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, "vae weights"))
        network = VAENetwork(settings)
    batches = _of_several(
        epochs(len(images), training.epochs, training.batch_size, stream(seed, "vae batches"))
    )
    report = fit(
        network,
        VAELoss(training.beta.within(len(batches))),
        lambda rows: images[rows],
        batches,
        seed=torch_seed(seed, "vae fit"),
        optimisation=training.optimisation,
        checkpointing=checkpointing,
        progress=progress,
        description="training the VAE",
    )
    return VAE(network), report


def finetune_vae(
    generator: VAE,
    fetch: Fetch,
    batches: Batches,
    *,
    seed: int,
    optimisation: Optimisation = Optimisation(PAPERS_STEP_SIZE),
    beta: float = BetaSchedule.most,
    progress: Progress = SILENT,
) -> tuple[VAE, FitReport]:
    """A copy of `generator` trained further with a fresh Adam; the given one stays whole.

    Beta stays where the training left it: a second warm-up would give up the prior each time.

    So do the statistics of batch normalisation. A weighted batch draws the few best images again
    and again; normalised by statistics of its own the network computes something else, whatever
    the step size (docs/choices.md).
    """
    network = copy.deepcopy(generator.network).requires_grad_(True)
    _fix_statistics(network, True)
    report = fit(
        network,
        partial(vae_loss, beta=beta),
        fetch,
        batches,
        seed=seed,
        optimisation=optimisation,
        progress=progress,
        description="retraining the VAE",
    )
    _fix_statistics(network, False)
    return VAE(network), report


def _fix_statistics(network: nn.Module, fixed: bool) -> None:
    for layer in network.modules():
        if isinstance(layer, BatchNorm2d):
            layer.fixed = fixed


def reconstruction_error(generator: VAE, images: NDArray[np.uint8], chunk: int = 2048) -> float:
    """Mean squared error on pixels in [-1, 1] of images decoded from their posterior means."""
    squared = 0.0
    for start in range(0, len(images), chunk):
        batch = to_unit(images[start : start + chunk])
        decoded = generator.decode(generator.encode(batch))
        squared += float((2 * (decoded - batch)).square().mean()) * len(batch)
    return squared / len(images)


def _of_several(batches: Batches) -> Batches:
    """The batches; a last one of a single image, which has no variance, joins the one before it."""
    if batches and len(batches[0]) == 1:
        raise DataError(
            "A VAE with batch normalisation cannot learn from a single image a step. Give it more "
            "images, or larger batches."
        )
    joined: Batches = []
    for rows in batches:
        if len(rows) == 1:
            joined[-1] = np.concatenate([joined[-1], rows])
        else:
            joined.append(rows)
    return joined
