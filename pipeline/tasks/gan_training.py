"""The task `train_gan`: a StyleGAN2 from nothing, watched while it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.report import pictures
from pipeline.report.gan_page import looks_of, sample_file
from pipeline.run_folder import RunFolder
from pipeline.settings import ExperimentConfig
from pipeline.sources import default_cache, load_data
from pipeline.task_settings import GANConfig
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.generators.stylegan2.synthesis import Noise
from vqlso.images import to_bytes
from vqlso.metrics.frechet import FeatureNetwork, features, frechet_distance
from vqlso.metrics.random_features import RandomFeatures
from vqlso.progress import Progress
from vqlso.randomness import stream
from vqlso.training.adversarial import Observer, Snapshot, StyleGAN2Training, train_stylegan2
from vqlso.training.augmentation import AdaptiveAugmentation
from vqlso.training.fitting import Checkpointing

GENERATOR = "generator.safetensors"
SHOWN = 64
PSI = 0.7
SAVED_EVERY = 1000  # steps, a few minutes on one core


def train_gan(config: ExperimentConfig, folder: RunFolder, progress: Progress) -> dict[str, Any]:
    """Train, or continue to, the generator of a run folder.

    Writes `generator.safetensors`, and at each look `samples/KIMG.png`, the generator so far and a
    journal line.

    Returns:
        The summary.

    Raises:
        DataError: too few images to compare with.
        VqlsoError: whatever data and training raise.
    """
    cache = Path(config.cache).expanduser() if config.cache else default_cache()
    data = load_data(config.data, cache / "images", progress)
    settings, training = gan_recipe(config.gan, data.images.shape[-1])
    watcher = Watcher(folder, config.gan, _real(data, config.gan))
    began = perf_counter()
    generator, report = train_stylegan2(
        data.images,
        settings,
        training,
        seed=config.gan.seed,
        checkpointing=Checkpointing(folder.path / "networks" / "gan.state", SAVED_EVERY),
        progress=progress,
        observer=Observer(watcher.look, config.gan.look_kimg),
    )
    generator.save(folder.path / GENERATOR)
    looks = looks_of(folder)
    if not folder.journal.events("end"):
        folder.journal.append("end", {"kimg": training.kimg}, {"train": perf_counter() - began})
    return {
        "kimg": training.kimg,
        "parameters": sum(each.numel() for each in generator.network.parameters()),
        "images_a_second": report.rows / max(report.seconds, 1e-9),
        "frechet_samples": looks[-1]["frechet"] if looks else None,
        "frechet_network": watcher.network.name,
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


@dataclass(frozen=True)
class Watcher:
    """Looks at samples: a grid as a picture, and their distance from real images.

    Attributes:
        folder: of the run.
        config: of the training.
        real: (n, 3, H, W) uint8.
        network: in whose features they are compared; untrained, so that any images will do.
    """

    folder: RunFolder
    config: GANConfig
    real: NDArray[np.uint8]
    network: FeatureNetwork = field(default_factory=RandomFeatures)

    def look(self, now: Snapshot) -> None:
        """Write what the generator makes of the same latents as ever."""
        began, generator = perf_counter(), now.generator
        z = stream(self.config.seed, "looks").standard_normal(
            (len(self.real), self.config.dimension)
        )
        samples = to_bytes(generator.decode(z, "z"))
        with torch.inference_mode():
            typical = to_bytes(generator.synthesize(generator.map(z[:SHOWN], PSI)))
        grid = pictures.png(pictures.grid(typical, columns=8))
        self.folder.write(sample_file(now.kimg), grid)
        generator.save(self.folder.path / "networks" / "latest.safetensors")
        facts = {
            "kimg": now.kimg,
            "frechet": frechet_distance(features(self.network, samples), self._real_features),
            "frechet_network": self.network.name,
            "measures": dict(now.measures),
        }
        self.folder.journal.append("look", facts, {"look": perf_counter() - began})

    @cached_property
    def _real_features(self) -> NDArray[np.float64]:
        return features(self.network, self.real)


def _real(data: ImageSet, config: GANConfig) -> NDArray[np.uint8]:
    if len(data) < config.samples:
        raise DataError(
            f"'{data.name}' has {len(data)} images, fewer than the {config.samples} that samples "
            f"are compared with: set gan.samples={len(data)} or less."
        )
    rows = stream(config.seed, "real images").permutation(len(data))[: config.samples]
    return data.images[np.sort(rows)]
