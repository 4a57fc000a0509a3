"""The problem of an inversion, from its configuration: generator, targets, criterion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from PIL import Image
from torch import Tensor

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.generators import PACKAGED_DISCRIMINATOR, stored_generator
from vqlso.contracts import Generator, LatentSpace
from vqlso.errors import ConfigError, DataError
from vqlso.generators import load_discriminator
from vqlso.generators.stylegan2.discriminator import StyleGAN2Discriminator
from vqlso.objectives.criteria import WEIGHTS, Criterion, Realism, inspirational
from vqlso.objectives.feature_networks import FeatureNetwork, RandomTaps
from vqlso.objectives.vgg import VGG19Features
from vqlso.problems.target_image import TargetImage
from vqlso.problems.target_pictures import drawn_targets, read_target
from vqlso.spaces import CodeGrid

# Criteria resize targets to what they compare; no detail that one of them sees is lost before.
SMALLEST_EDGE = 256
UNTRAINED = "random"


@dataclass(frozen=True)
class Inverted:
    """What is searched for.

    Attributes:
        names: of the targets, one each.
        problem: all of them behind the generator.
        origin: where the generator came from.
        tolerance: a target is reached where the criterion is at most this; None where it has no
            least value.
    """

    names: tuple[str, ...]
    problem: TargetImage
    origin: str
    tolerance: float | None


def inversion_problem(config: ExperimentConfig) -> Inverted:
    """The configured problem.

    Raises:
        ConfigError: settings that do not fit together.
        DataError: a target is missing or no picture.
        CheckpointError: generator, discriminator or feature network cannot be loaded.
    """
    generator, origin = stored_generator(config)
    criterion = _criterion(config, generator)
    if config.invert.target is None:
        names = tuple(f"sample {number + 1}" for number in range(config.invert.samples))
        wanted, _ = drawn_targets(generator, len(names), seed=config.seed)
    else:
        names, wanted = _read(Path(config.invert.target).expanduser(), generator)
    problem = TargetImage(generator, criterion, wanted)
    return Inverted(names, problem, origin, _tolerance(config.invert.tolerance, criterion))


def _read(path: Path, generator: Generator) -> tuple[tuple[str, ...], Tensor]:
    """The picture, or those of a folder by name; other files there are left alone."""
    paths = _pictures(path) if path.is_dir() else [path]
    edge = max(SMALLEST_EDGE, *generator.image_shape[1:])
    wanted = torch.stack([read_target(each, size=edge) for each in paths])
    return tuple(each.name for each in paths), wanted


def _pictures(folder: Path) -> Sequence[Path]:
    known = Image.registered_extensions()
    pictures = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in known and not path.name.startswith(".")
    )
    if not pictures:
        raise DataError(
            f"There is no picture in invert.target={folder}: give a folder of PNG or JPEG files, "
            "or the path of one picture."
        )
    return pictures


def _criterion(config: ExperimentConfig, generator: Generator) -> Criterion:
    chosen = config.invert
    return inspirational(
        cast(Literal["l2", "l2+features", "features"], chosen.criterion),
        features=_features(chosen.features),
        discriminator=_discriminator(config, generator),
        realism_weight=chosen.realism,
        norm_weight=_norm_weight(chosen.norm_weight, generator.space),
    )


def _discriminator(config: ExperimentConfig, generator: Generator) -> StyleGAN2Discriminator | None:
    """What the configured generator was trained against, if realism counts."""
    chosen = config.invert
    weight = WEIGHTS[chosen.criterion]["realism"] if chosen.realism is None else chosen.realism
    packaged = config.generator.kind == "stylegan2" and config.generator.checkpoint is None
    if not weight:
        return None
    if chosen.discriminator is None and not packaged:
        if chosen.realism is None:
            return None
        raise ConfigError(
            f"invert.realism={chosen.realism:g} needs the discriminator that the generator was "
            "trained against: give invert.discriminator=FILE, such as discriminator.safetensors "
            "of a run of train_stylegan2."
        )
    discriminator = load_discriminator(
        Path(chosen.discriminator or PACKAGED_DISCRIMINATOR).expanduser()
    )
    if discriminator.image_shape != generator.image_shape:
        raise ConfigError(
            f"invert.discriminator={chosen.discriminator} judges images of "
            f"{discriminator.image_shape[-1]} pixels, but the generator makes images of "
            f"{generator.image_shape[-1]}: give the one that it was trained against."
        )
    return discriminator


def _tolerance(given: float | None, criterion: Criterion) -> float | None:
    if not any(isinstance(term, Realism) for term in criterion.terms):
        return given or 0.0
    if given is not None:
        raise ConfigError(
            f"invert.tolerance={given:g} is a distance from the target, but the criterion counts "
            "realism too, which has no least value: add invert.realism=0, or leave it out."
        )
    return None


def _norm_weight(given: float | None, space: LatentSpace) -> float:
    if isinstance(space, CodeGrid):
        if given:
            raise ConfigError(
                f"invert.norm_weight={given:g} was given, but codes have no length: leave it out."
            )
        return 0.0
    if given is None:
        return 1.0 if space.name == "z" else 0.0
    return given


def _features(given: str) -> FeatureNetwork:
    if given == UNTRAINED:
        return RandomTaps()
    path = Path(given).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"There is nothing at invert.features={given}: give '{UNTRAINED}', or the path of "
            "torchvision's VGG-19 weights (vgg19-dcbb9e9d.pth)."
        )
    return VGG19Features(path)
