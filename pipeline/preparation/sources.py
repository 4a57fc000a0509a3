"""The configured image set, and where decoded images and trained networks are cached."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.configuration.composition import nearest
from pipeline.configuration.settings import DataConfig, ExperimentConfig
from vqlso.data.cache import fingerprint
from vqlso.data.celeba import celeba
from vqlso.data.crop import CENTRE, CENTRE_SQUARE, Crop, DetectorCrop
from vqlso.data.faces import procedural_faces
from vqlso.data.folder import image_folder
from vqlso.data.image_set import ImageSet
from vqlso.data.textures import CLASSES, procedural_textures
from vqlso.errors import ConfigError
from vqlso.objectives.degree import LEVELS
from vqlso.progress import Progress


def default_cache() -> Path:
    """The user's cache folder, moved by VQLSO_CACHE or XDG_CACHE_HOME."""
    if "VQLSO_CACHE" in os.environ:
        return Path(os.environ["VQLSO_CACHE"]).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vqlso"


def anchored(config: ExperimentConfig) -> ExperimentConfig:
    """The same configuration with absolute paths: a black box may change the current directory.

    The run folder keeps the paths as they were given.
    """
    return replace(
        config,
        cache=_absolute(config.cache),
        data=replace(
            config.data, root=_absolute(config.data.root), scores=_absolute(config.data.scores)
        ),
        generator=replace(config.generator, checkpoint=_absolute(config.generator.checkpoint)),
        objective=replace(config.objective, checkpoint=_absolute(config.objective.checkpoint)),
        metrics=replace(config.metrics, features=_absolute(config.metrics.features)),
    )


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().absolute())


def load_data(config: DataConfig, cache: Path, progress: Progress) -> ImageSet:
    """The configured image set.

    Args:
        config: which, and how it is cropped.
        cache: folder of decoded images.
        progress: shows the decoding.

    Raises:
        DataError: it is missing or damaged.
        ConfigError: an unknown kind or crop, or a path that was not given.
    """
    if config.kind not in SOURCES:
        raise ConfigError(
            f"There is no data.kind '{config.kind}'{nearest(config.kind, list(SOURCES))}"
        )
    return SOURCES[config.kind](config, cache, progress)


def given_path(value: str | None, key: str) -> Path:
    """A path that an experiment cannot do without.

    Raises:
        ConfigError: it was not given.
    """
    if value is None:
        raise ConfigError(f"This experiment needs {key}=PATH.")
    return Path(value).expanduser()


def _faces(config: DataConfig, cache: Path, progress: Progress) -> ImageSet:  # noqa: ARG001
    return procedural_faces(config.count, config.seed, config.size)


def _textures(config: DataConfig, cache: Path, progress: Progress) -> ImageSet:  # noqa: ARG001
    textures = procedural_textures(config.count, config.seed, config.size)
    return textures if config.wanted is None else _one_wanted(textures, config.wanted)


def _one_wanted(textures: ImageSet, wanted: str) -> ImageSet:
    """Labelled by whether they are of one class, on the scale of degrees: 5 if so, else 0."""
    labels = np.where(textures.labels == CLASSES.index(wanted), LEVELS - 1.0, 0.0)
    origin = f"{LEVELS - 1} for {wanted}, 0 for all other textures"
    return replace(
        textures,
        labels=labels,
        label_origin=origin,
        fingerprint=fingerprint(textures.fingerprint, labels, textures.people, origin),
    )


def _celeba(config: DataConfig, cache: Path, progress: Progress) -> ImageSet:
    return celeba(
        given_path(config.root, "data.root"),
        size=config.size,
        crop=_crop(config.crop, CENTRE),
        cache=cache,
        max_bad_share=config.max_bad_share,
        limit=config.limit,
        progress=progress,
    )


def _folder(config: DataConfig, cache: Path, progress: Progress) -> ImageSet:
    return image_folder(
        given_path(config.root, "data.root"),
        given_path(config.scores, "data.scores"),
        size=config.size,
        crop=_crop(config.crop, CENTRE_SQUARE),
        cache=cache,
        file_column=config.file_column,
        score_column=config.score_column,
        max_bad_share=config.max_bad_share,
        progress=progress,
    )


SOURCES: dict[str, Callable[[DataConfig, Path, Progress], ImageSet]] = {
    "faces": _faces,
    "textures": _textures,
    "celeba": _celeba,
    "folder": _folder,
}


def _crop(name: str, centre: Crop) -> Crop:
    if name == "centre":
        return centre
    if name == "detector":
        return DetectorCrop()
    raise ConfigError(f"There is no data.crop '{name}'{nearest(name, ('centre', 'detector'))}")
