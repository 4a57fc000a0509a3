"""Training a progressive GAN from nothing, on one processor or one GPU.

Karras et al. 2018, "Progressive Growing of GANs", with the classes of paper 001, section III-B.
Unlike there, batches are of one size, and the optimisers are not reset when a resolution is added.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vqlso.errors import ConfigError, DataError
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.progress import SILENT, Progress
from vqlso.randomness import stream, torch_seed
from vqlso.records import FitReport
from vqlso.training.adversarial_loop import AdversarialLoop
from vqlso.training.distributed import Team
from vqlso.training.fitting import Checkpointing
from vqlso.training.pgan_settings import PGANTraining
from vqlso.training.pgan_steps import PGANState, PGANSteps
from vqlso.training.watching import Observer, Snapshot

__all__ = ["PGANTraining", "train_pgan"]


def train_pgan(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]] | None,
    settings: PGANSettings,
    training: PGANTraining,
    *,
    seed: int,
    checkpointing: Checkpointing | None = None,
    progress: Progress = SILENT,
    observer: Observer[PGAN] | None = None,
) -> tuple[PGAN, FitReport]:
    """A PGAN trained from nothing on (n, 3, H, W) uint8 images.

    What was interrupted goes on to the last bit as it would have done; a training that is longer
    at the finest resolution may continue where a shorter one ended. Where torchrun started
    several processes, the first one trains alone.

    Args:
        images: drawn from with replacement.
        labels: (n, groups) class indices; None for a network without classes.
        settings: of both networks.
        training: how.
        seed: of the first weights and of every step.
        checkpointing: where to save and to continue from, if at all.
        progress: shows steps with an ETA.
        observer: watches; its snapshots end at the finest resolution that is faded in whole.

    Returns:
        The running mean of the generator, and the report; its measures are means over the last
        steps, and "halvings" of the step sizes if there were any (`AdversarialLoop`).

    Raises:
        CheckpointError: the saved state is damaged or belongs to another training.
        ConfigError: the training has other resolutions than the network.
        DataError: images or labels do not have the network's shape.
        TrainingError: a loss or a weight became infinite or NaN again and again.
    """
    classes = np.empty((len(images), 0), np.int64) if labels is None else labels.astype(np.int64)
    _require(images, classes, settings, training)
    fabric = Team().fabric("32-true")
    state = PGANState.begin(settings, training, torch_seed(seed, "pgan weights"), fabric.device)
    # A longer training begins as a shorter one does: how long the finest resolution is trained is
    # no part of its identity.
    coarser = replace(training, kimg=(*training.kimg[:-1], 1.0))
    identity = repr((seed, settings, coarser, images.shape))
    networks, batch = PGANSteps(state, training, fabric), training.batch_size

    def step(number: int) -> None:
        torch.manual_seed(torch_seed(seed, "pgan step", number))
        rows = stream(seed, "pgan batch", number).integers(0, len(images), batch)
        networks.step(torch.from_numpy(images[rows]), torch.from_numpy(classes[rows]))

    report = AdversarialLoop(
        state=state,
        whose="PGAN",
        steps=training.steps,
        batch=batch,
        identity=identity,
        remedy="Lower the learning rate or raise the penalty.",
        snapshot=lambda: _snapshot(state, training),
        checkpointing=checkpointing,
        observer=observer,
        progress=progress,
    ).run(step)
    return PGAN(state.average), report


def _snapshot(state: PGANState, training: PGANTraining) -> Snapshot[PGAN]:
    level, alpha = training.phase(state.done - 1)
    # What is still being faded in draws noise by itself.
    reached = level if alpha == 1 else level - 1
    return Snapshot(
        kimg=state.done * training.batch_size / 1000,
        generator=PGAN(state.average.up_to(reached)),
        measures=state.means(),
    )


def _require(
    images: NDArray[np.uint8],
    classes: NDArray[np.int64],
    settings: PGANSettings,
    training: PGANTraining,
) -> None:
    if len(training.kimg) != settings.levels:
        raise ConfigError(
            f"The PGAN has {settings.levels} resolutions, from 4 to {settings.resolution} pixels, "
            f"and its training names the lengths of {len(training.kimg)}."
        )
    shape = (settings.image_channels, settings.resolution, settings.resolution)
    if images.shape[1:] != shape or images.dtype != np.uint8 or not len(images):
        raise DataError(
            f"This PGAN is trained on uint8 images of shape (n, {', '.join(map(str, shape))}); "
            f"got {images.dtype} of shape {images.shape}."
        )
    if classes.shape != (len(images), len(settings.classes)):
        raise DataError(
            f"Labels have shape (n, groups) = ({len(images)}, {len(settings.classes)}) here; got "
            f"{classes.shape}."
        )
    if ((classes < 0) | (classes >= np.array(settings.classes, int))).any():
        raise DataError(
            f"Labels are indices below {settings.classes}, counted from 0; got "
            f"{classes.min()}..{classes.max()}."
        )
