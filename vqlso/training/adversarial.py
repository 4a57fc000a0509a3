"""Training a StyleGAN2 from nothing (Karras et al. 2020), on one processor or one GPU."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vqlso.errors import ConfigError, DataError
from vqlso.generators.stylegan2.discriminator import StyleGAN2Discriminator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport
from vqlso.training import watching
from vqlso.training.adversarial_loop import AdversarialLoop
from vqlso.training.distributed import Team
from vqlso.training.fitting import Checkpointing
from vqlso.training.gan_settings import StyleGAN2Training
from vqlso.training.gan_state import GANState
from vqlso.training.gan_steps import AdversarialSteps

__all__ = ["Observer", "Snapshot", "StyleGAN2Training", "train_stylegan2"]


Snapshot = watching.Snapshot[StyleGAN2]
Observer = watching.Observer[StyleGAN2]


def train_stylegan2(
    images: NDArray[np.uint8],
    settings: StyleGAN2Settings,
    training: StyleGAN2Training,
    *,
    seed: int,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
    observer: Observer | None = None,
    discriminator: Path | None = None,
) -> tuple[StyleGAN2, FitReport]:
    """A StyleGAN2 trained from nothing on (n, 3, H, W) uint8 images without labels.

    What was interrupted goes on to the last bit as it would have done; a longer training may
    continue where a shorter one ended. Where torchrun started several processes, the first one
    trains alone.

    Args:
        images: drawn from with replacement.
        settings: the generator's; the discriminator's follow from them.
        training: how.
        seed: of the first weights and of every step.
        checkpointing: where to save and to continue from, if at all.
        progress: shows steps with an ETA.
        observer: watches.
        discriminator: the file that the trained discriminator is written to, if any.

    Returns:
        The running mean of the generator, and the report; its measures are means over the last
        steps, and "halvings" of the step sizes if there were any (`AdversarialLoop`).

    Raises:
        CheckpointError: the saved state is damaged or belongs to another training.
        ConfigError: the network is conditioned on labels.
        DataError: the images do not have the generator's shape.
        TrainingError: a loss or a weight became infinite or NaN again and again.
    """
    _require(images, settings)
    fabric = Team().fabric("32-true")
    state = GANState.begin(settings, training, torch_seed(seed, "stylegan2 weights"), fabric.device)
    # A longer training begins as a shorter one does, so the length is no part of its identity.
    identity = repr((seed, settings, replace(training, kimg=1.0), images.shape))
    networks, batch = AdversarialSteps(state, training, fabric), training.batch_size

    def step(number: int) -> None:
        torch.manual_seed(torch_seed(seed, "stylegan2 step", number))
        rows = stream(seed, "stylegan2 batch", number).integers(0, len(images), batch)
        networks.step(torch.from_numpy(images[rows]))

    report = AdversarialLoop(
        state=state,
        whose="StyleGAN2",
        steps=training.steps,
        batch=batch,
        identity=identity,
        remedy="Lower the learning rates or raise r1_gamma.",
        snapshot=lambda: _snapshot(state, batch),
        checkpointing=checkpointing,
        observer=observer,
        progress=progress,
    ).run(step)
    if discriminator:
        StyleGAN2Discriminator(state.discriminator).save(discriminator)
    return StyleGAN2(state.average), report


def _snapshot(state: GANState, batch: int) -> Snapshot:
    return Snapshot(
        kimg=state.done * batch / 1000,
        generator=StyleGAN2(copy.deepcopy(state.average)),
        measures=state.means(),
    )


def _require(images: NDArray[np.uint8], settings: StyleGAN2Settings) -> None:
    if settings.c_dim:
        raise ConfigError(
            f"A StyleGAN2 is trained without labels here: set c_dim = 0, it is {settings.c_dim}."
        )
    shape = (settings.image_channels, settings.resolution, settings.resolution)
    if images.shape[1:] != shape or images.dtype != np.uint8 or not len(images):
        raise DataError(
            f"This StyleGAN2 is trained on uint8 images of shape (n, "
            f"{', '.join(map(str, shape))}); got {images.dtype} of shape {images.shape}."
        )
