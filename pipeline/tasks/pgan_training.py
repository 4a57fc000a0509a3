"""The task `train_pgan`: a progressive GAN from nothing, watched class by class as it grows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import ExperimentConfig
from pipeline.configuration.task_settings import PGANConfig
from pipeline.preparation.sources import default_cache, load_data
from pipeline.runs.folder import RunFolder
from pipeline.runs.shelf import Shelf
from pipeline.tasks.gan_watching import Looked, Watcher, compared_rows, halvings
from vqlso.data.image_set import ImageSet
from vqlso.errors import ConfigError, DataError
from vqlso.generators.pgan.class_space import NAME, ClassConditional
from vqlso.generators.pgan.generator import PGAN
from vqlso.generators.pgan.settings import COARSEST, PGANSettings
from vqlso.images import to_bytes
from vqlso.metrics.class_accuracy import ClassRecogniser
from vqlso.progress import Progress
from vqlso.randomness import stream
from vqlso.training.class_recogniser import RECIPE_VERSION, RecogniserTraining, train_recogniser
from vqlso.training.fitting import Checkpointing
from vqlso.training.pgan import PGANTraining, train_pgan
from vqlso.training.watching import Observer

GENERATOR = "generator.safetensors"
SHOWN = 64
COLUMNS = 8
SAVED_EVERY = 500  # steps, a few minutes on one core


def check_pgan_training(config: ExperimentConfig) -> None:
    """Find what does not go together before any image is made.

    Raises:
        ConfigError: resolutions, lengths or rates that cannot be.
    """
    settings, training = pgan_recipe(config.pgan, ())
    if settings.resolution != config.data.size:
        raise ConfigError(
            f"pgan.channels names {settings.levels} resolutions, from {COARSEST} to "
            f"{settings.resolution} pixels, but data.size is {config.data.size}: give a number for "
            "each, or set data.size."
        )
    if len(training.kimg) != settings.levels:
        raise ConfigError(
            f"pgan.kimg names {len(training.kimg)} lengths for the {settings.levels} resolutions "
            "of pgan.channels: give one for each."
        )


def pgan_recipe(config: PGANConfig, classes: tuple[int, ...]) -> tuple[PGANSettings, PGANTraining]:
    """The configured architecture with these groups of classes, and how it is trained."""
    settings = PGANSettings(
        z_dim=config.dimension, classes=classes, channels=tuple(config.channels)
    )
    training = PGANTraining(
        kimg=tuple(config.kimg),
        fading=config.fading,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        penalty=config.penalty,
        class_weight=config.class_weight,
        generator_class_weight=config.generator_class_weight,
        average_kimg=config.average_kimg,
    )
    return settings, training


@dataclass(frozen=True)
class Classes:
    """What is known of the classes of the real images.

    Attributes:
        labels: (n,) of all images, counted from 0.
        recogniser: trained on the images that samples are not compared with.
        accuracy: of the recogniser on those that they are compared with.
    """

    labels: NDArray[np.int64]
    recogniser: ClassRecogniser
    accuracy: float


def train_progressive(
    config: ExperimentConfig, folder: RunFolder, progress: Progress
) -> dict[str, Any]:
    """Train, or continue to, the PGAN of a run folder.

    Writes `generator.safetensors`, with weights as float16, and at each look `samples/KIMG.png`,
    the generator so far and a journal line.

    Returns:
        The summary; its figures are of the file that was written.

    Raises:
        DataError: too few images to compare with, or labels that are no classes.
        VqlsoError: whatever data and training raise.
    """
    chosen = config.pgan
    cache = Path(config.cache).expanduser() if config.cache else default_cache()
    data = load_data(config.data, cache / "images", progress)
    rows = compared_rows(data, chosen.samples, chosen.seed, "pgan.samples")
    classes = None
    if chosen.conditional:
        shelf = Shelf(folder.path / "networks", cache / "networks", config.train_from_scratch)
        classes = known_classes(data, rows, chosen.seed, shelf, progress)
    settings, training = pgan_recipe(chosen, (classes.recogniser.classes,) if classes else ())
    look = partial(_looked, config=chosen, classes=classes, side=settings.resolution)
    watcher = Watcher(folder, data.images[rows], look)
    began = perf_counter()
    generator, report = train_pgan(
        data.images,
        classes.labels[:, None] if classes else None,
        settings,
        training,
        seed=chosen.seed,
        checkpointing=Checkpointing(folder.path / "networks" / "pgan.state", SAVED_EVERY),
        progress=progress,
        observer=Observer(watcher.look, chosen.look_kimg),
    )
    generator.save(folder.path / GENERATOR, half=True)
    kept = look(PGAN.load(folder.path / GENERATOR))
    if not folder.journal.events("end"):
        facts = {"kimg": sum(training.kimg), **halvings(report)}
        folder.journal.append("end", facts, {"train": perf_counter() - began})
    return {
        "kimg": sum(training.kimg),
        "parameters": sum(each.numel() for each in generator.network.parameters()),
        "images_a_second": report.rows / max(report.seconds, 1e-9),
        "frechet_samples": watcher.distance(kept.samples),
        "frechet_real": _distance_of_real(watcher, data, rows),
        "frechet_network": watcher.network.name,
        **kept.figures,
        "class_accuracy_real": classes.accuracy if classes else None,
        **halvings(report),
        "seed": chosen.seed,
    }


def known_classes(
    data: ImageSet, rows: NDArray[np.int64], seed: int, shelf: Shelf, progress: Progress
) -> Classes:
    """The classes of labelled images, and a recogniser that has not seen some of them.

    Args:
        data: its labels are the classes, counted from 0.
        rows: what the recogniser is not trained on, but measured on.
        seed: of the recogniser.
        shelf: where it is kept.
        progress: shows its training.

    Raises:
        DataError: the labels are no classes.
    """
    labels = data.labels.astype(np.int64)
    count = int(labels.max()) + 1
    if not np.array_equal(np.unique(data.labels), np.arange(count)) or count < 2:
        raise DataError(
            f"The labels of '{data.name}' are no classes: these are 0, 1, ... without a gap, and "
            f"at least two; here they run from {data.labels.min():g} to {data.labels.max():g}. Set "
            "pgan.conditional=false to train without classes, or data.wanted=null to have those "
            "of textures."
        )
    others, training = np.setdiff1d(np.arange(len(data)), rows), RecogniserTraining()
    recipe = {
        "version": RECIPE_VERSION,
        "data": data.fingerprint,
        "left_out": len(rows),
        "training": asdict(training),
        "seed": seed,
    }
    recogniser, _ = shelf.find_or_train(
        "recogniser",
        ClassRecogniser,
        recipe,
        lambda checkpointing: train_recogniser(
            data.images[others],
            labels[others],
            count,
            training,
            seed=seed,
            checkpointing=checkpointing,
            progress=progress,
        ),
    )
    return Classes(labels, recogniser, recogniser.accuracy(data.images[rows], labels[rows]))


def _looked(generator: PGAN, config: PGANConfig, classes: Classes | None, side: int) -> Looked:
    """Samples of all classes in turn, and a grid with a row for each class.

    While the generator grows, its smaller images are enlarged before they are compared.
    """
    n, groups = config.samples, generator.settings.classes
    z = stream(config.seed, "looks").standard_normal((n, config.dimension))
    if classes is None:
        shown = generator.decode(z[:SHOWN])
        samples = to_bytes(generator.decode(z))
        return Looked(_enlarged(samples, side), to_bytes(shown))
    space = generator.spaces[NAME]
    assert isinstance(space, ClassConditional)
    asked = np.arange(n) % groups[0]
    samples = _enlarged(to_bytes(generator.decode(space.joined(z, asked[:, None]), NAME)), side)
    rows = np.repeat(np.arange(groups[0]), COLUMNS)[:, None]
    shown = generator.decode(space.joined(np.resize(z, (len(rows), z.shape[1])), rows), NAME)
    accuracy = classes.recogniser.accuracy(samples, asked)
    return Looked(samples, to_bytes(shown), {"class_accuracy": accuracy})


def _enlarged(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side // images.shape[-1]
    return images.repeat(scale, axis=2).repeat(scale, axis=3)


def _distance_of_real(
    watcher: Watcher[PGAN], data: ImageSet, rows: NDArray[np.int64]
) -> float | None:
    """Of as many other real images: what samples that are as good would have."""
    others = np.setdiff1d(np.arange(len(data)), rows)[: len(rows)]
    return watcher.distance(data.images[others]) if len(others) == len(rows) else None
