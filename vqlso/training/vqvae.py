"""Training a VQ-VAE: from nothing, and on weighted samples of the archive."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.generators.quantizer import perplexity
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.images import to_unit
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport
from vqlso.training.fitting import Checkpointing, Fetch, Optimisation, fit
from vqlso.training.sharding import sharded
from vqlso.training.weighting import Batches, epochs

COMMITMENT = 0.25

# Enters the names of trained networks (pipeline/runs/shelf.py), so that no run takes a network that
# other code made for its own. Raise it with any change here, in fitting.py or in the network's
# architecture after which the same recipe trains other weights; then train the packaged networks
# anew (vqlso/weights/README.md).
RECIPE_VERSION = 1


@dataclass(frozen=True)
class VQVAETraining:
    """How a VQ-VAE is trained; the defaults are paper 003's, table 4.

    Attributes:
        epochs: passes over the restricted training set.
        batch_size: images a step.
        optimisation: Adam's step size and its decay.
    """

    epochs: int = 70
    batch_size: int = 128
    optimisation: Optimisation = Optimisation()


def vqvae_loss(
    network: nn.Module,
    pixels: Tensor,
    rows: NDArray[np.int64],  # noqa: ARG001
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Reconstruction + codebook + beta * commitment (van den Oord et al. 2017, eq. 3).

    The codebook term has no gradient where running means update the codebook.
    """
    parts = cast(VQVAENetwork, network)  # perhaps wrapped by Fabric, which passes attributes on
    with sharded(parts.encoder, parts.decoder):
        reconstruction, quantized = network(pixels)
    error = F.mse_loss(reconstruction.float(), pixels)
    loss = error + quantized.codebook_loss + COMMITMENT * quantized.commitment_loss
    return loss, {
        "reconstruction": error.detach(),
        "commitment": quantized.commitment_loss.detach(),
    }


def train_vqvae(
    images: NDArray[np.uint8],
    settings: VQVAESettings,
    training: VQVAETraining,
    *,
    seed: int,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
) -> tuple[VQVAE, FitReport]:
    """A VQ-VAE trained from nothing on (n, 3, H, W) uint8 images."""
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, "vqvae weights"))
        network = VQVAENetwork(settings)
    batches = epochs(
        len(images), training.epochs, training.batch_size, stream(seed, "vqvae batches")
    )
    report = fit(
        network,
        vqvae_loss,
        lambda rows: images[rows],
        batches,
        seed=torch_seed(seed, "vqvae fit"),
        optimisation=training.optimisation,
        checkpointing=checkpointing,
        progress=progress,
        description="training the VQ-VAE",
    )
    return VQVAE(network), report


def finetune_vqvae(
    generator: VQVAE,
    fetch: Fetch,
    batches: Batches,
    *,
    seed: int,
    optimisation: Optimisation = Optimisation(),
    progress: Progress = SILENT,
) -> tuple[VQVAE, FitReport]:
    """A copy of `generator` trained further with a fresh Adam; the given one stays whole.

    Codes are not revived here: a fine-tuning of a few steps must not give a code that the
    surrogate has learnt about another meaning.
    """
    network = copy.deepcopy(generator.network).requires_grad_(True)
    codebook = replace(network.quantizer.settings, revival=False)
    network.quantizer.settings = codebook
    report = fit(
        network,
        vqvae_loss,
        fetch,
        batches,
        seed=seed,
        optimisation=optimisation,
        progress=progress,
        description="retraining the VQ-VAE",
    )
    network.quantizer.settings = generator.settings.codebook
    return VQVAE(network), report


def reconstruction_quality(
    generator: VQVAE, images: NDArray[np.uint8], chunk: int = 2048
) -> dict[str, float]:
    """Mean squared error on pixels in [-1, 1], and the codebook's perplexity (1..K)."""
    squared, codes = 0.0, []
    for start in range(0, len(images), chunk):
        batch = to_unit(images[start : start + chunk])
        z = generator.encode(batch)
        squared += float((2 * (generator.decode(z) - batch)).square().mean()) * len(batch)
        codes.append(torch.from_numpy(z))
    return {
        "reconstruction_error": squared / len(images),
        "perplexity": perplexity(torch.cat(codes), generator.settings.categories),
    }
