"""Generators that a run trains for itself, unless they were trained before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.configuration.settings import GeneratorConfig
from pipeline.runs.shelf import N, Shelf
from vqlso.contracts import Generator
from vqlso.data.image_set import ImageSet
from vqlso.progress import Progress
from vqlso.records import FitReport

Train = Callable[
    [GeneratorConfig, ImageSet, NDArray[np.int64], Shelf, Progress], tuple[Generator, str]
]


def found_or_trained(
    kind: type[N],
    train: Callable[..., tuple[N, FitReport]],
    version: int,
    settings: Any,
    how: Any,
    config: GeneratorConfig,
    data: ImageSet,
    training: NDArray[np.int64],
    shelf: Shelf,
    progress: Progress,
) -> tuple[N, str]:
    """By everything that decides its weights, and where it came from."""
    recipe = {
        "version": version,
        "data": data.fingerprint,
        "training_images": len(training),
        "settings": asdict(settings),
        "training": asdict(how),
        "seed": config.seed,
    }
    return shelf.find_or_train(
        "generator",
        kind,
        recipe,
        lambda checkpointing: train(
            data.images[training],
            settings,
            how,
            seed=config.seed,
            checkpointing=checkpointing,
            progress=progress,
        )[0],
    )
