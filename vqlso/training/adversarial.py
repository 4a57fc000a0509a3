"""Training a StyleGAN2 from nothing (Karras et al. 2020), on one processor or one GPU."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from time import perf_counter

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
        steps.

    Raises:
        CheckpointError: the saved state is damaged or belongs to another training.
        ConfigError: the network is conditioned on labels.
        DataError: the images do not have the generator's shape.
        TrainingError: a loss became infinite or NaN.
    """
    _require(images, settings)
    started = perf_counter()
    fabric = Team().fabric("32-true")
    state = GANState.begin(settings, training, torch_seed(seed, "stylegan2 weights"), fabric.device)
    # A longer training begins as a shorter one does, so the length is no part of its identity.
    identity = repr((seed, settings, replace(training, kimg=1.0), images.shape))
    if checkpointing:
        state.restore(checkpointing.path, identity)
    first, batch = state.done, training.batch_size
    with (
        torch.random.fork_rng(),
        progress.task("training the StyleGAN2", training.steps) as advance,
    ):
        advance(first)
        networks = AdversarialSteps(state, training, fabric)
        for step in range(first, training.steps):
            # From the seed and the step, so that no stream has to be saved or left undisturbed.
            torch.manual_seed(torch_seed(seed, "stylegan2 step", step))
            rows = stream(seed, "stylegan2 batch", step).integers(0, len(images), batch)
            networks.step(torch.from_numpy(images[rows]))
            if checkpointing and state.done % checkpointing.every == 0:
                state.save(checkpointing.path, identity)
            if observer and observer.is_due(step * batch, batch):
                observer.look(_snapshot(state, batch))
            advance(1)
    if discriminator:
        StyleGAN2Discriminator(state.discriminator).save(discriminator)
    report = FitReport(
        seconds=perf_counter() - started,
        rows=(state.done - first) * batch,
        measures=state.means(),
    )
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
