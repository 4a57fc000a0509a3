"""The task `train_gan`: a StyleGAN2 from nothing, watched while it is trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import torch

from pipeline.configuration.settings import ExperimentConfig
from pipeline.configuration.task_settings import GANConfig
from pipeline.preparation.sources import default_cache, load_data
from pipeline.report.gan_page import looks_of
from pipeline.runs.folder import RunFolder
from pipeline.tasks.gan_watching import Looked, Watcher, compared_rows, halvings
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan2.synthesis import Noise
from vqlso.images import to_bytes
from vqlso.progress import Progress
from vqlso.randomness import stream
from vqlso.training.adversarial import Observer, StyleGAN2Training, train_stylegan2
from vqlso.training.augmentation import AdaptiveAugmentation
from vqlso.training.fitting import Checkpointing

GENERATOR = "generator.safetensors"
DISCRIMINATOR = "discriminator.safetensors"
SHOWN = 64
PSI = 0.7
SAVED_EVERY = 1000  # steps, a few minutes on one core


def train_gan(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> dict[str, Any]:
    """Train, or continue to, the generator of a run folder.

    Writes `generator.safetensors` and `discriminator.safetensors`, and at each look
    `samples/KIMG.png`, the generator so far and a journal line.

    Returns:
        The summary.

    Raises:
        DataError: too few images to compare with.
        VqlsoError: whatever data and training raise.
    """
    cache = Path(config.cache).expanduser() if config.cache else default_cache()
    data = load_data(config.data, cache / "images", progress)
    settings, training = gan_recipe(config.gan, data.images.shape[-1])
    rows = compared_rows(data, config.gan.samples, config.gan.seed, "gan.samples")
    watcher = Watcher(folder, data.images[rows], partial(_looked, config=config.gan))
    began = perf_counter()
    generator, report = train_stylegan2(
        data.images,
        settings,
        training,
        seed=config.gan.seed,
        checkpointing=Checkpointing(folder.path / "networks" / "gan.state", SAVED_EVERY),
        progress=progress,
        observer=Observer(watcher.look, config.gan.look_kimg),
        discriminator=folder.path / DISCRIMINATOR,
    )
    generator.save(folder.path / GENERATOR)
    looks = looks_of(folder)
    if not folder.journal.events("end"):
        facts = {"kimg": training.kimg, **halvings(report)}
        folder.journal.append("end", facts, {"train": perf_counter() - began})
    return {
        "kimg": training.kimg,
        "parameters": sum(each.numel() for each in generator.network.parameters()),
        "images_a_second": report.rows / max(report.seconds, 1e-9),
        "frechet_samples": looks[-1]["frechet"] if looks else None,
        "frechet_network": watcher.network.name,
        **halvings(report),
        "seed": config.gan.seed,
    }


def gan_recipe(config: GANConfig, resolution: int) -> tuple[StyleGAN2Settings, StyleGAN2Training]:
    """The configured architecture for images of this size, and how it is trained."""
    settings = StyleGAN2Settings(
        resolution=resolution,
        z_dim=config.dimension,
        w_dim=config.dimension,
        mapping_layers=config.mapping_layers,
        channel_base=config.channel_base,
        channel_max=config.channel_max,
    )
    training = StyleGAN2Training(
        kimg=config.kimg,
        batch_size=config.batch_size,
        generator_rate=config.learning_rate,
        discriminator_rate=config.learning_rate,
        r1_gamma=config.r1_gamma,
        path_weight=config.path_weight,
        mixing=config.mixing,
        noise=cast(Noise, config.noise),
        average_kimg=config.average_kimg,
        augmentation=AdaptiveAugmentation() if config.augment else None,
    )
    return settings, training


def _looked(generator: StyleGAN2, config: GANConfig) -> Looked:
    """Samples as they are, and the grid drawn a little towards their mean."""
    z = stream(config.seed, "looks").standard_normal((config.samples, config.dimension))
    samples = to_bytes(generator.decode(z, "z"))
    with torch.inference_mode():
        typical = to_bytes(generator.synthesize(generator.map(z[:SHOWN], PSI)))
    return Looked(samples, typical)
