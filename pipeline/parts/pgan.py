"""A progressive GAN as a generator: z alone is searched with a class held, or z and class."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.configuration.settings import GeneratorConfig
from vqlso.contracts import Generator
from vqlso.generators import load_generator


def load_pgan(config: GeneratorConfig, path: Path) -> Generator:
    """As its file says, with the configured class held, or the class searched as configured."""
    held = None if config.held is None else tuple(config.held)
    return _loaded(path, held, config.class_values, config.space)


@lru_cache(maxsize=4)
def _loaded(
    path: Path, held: tuple[int, ...] | None, class_values: str, space: str | None
) -> Generator:
    """Kept, because its latent space is asked for before the run and again in it."""
    return load_generator(path, held=held, class_values=class_values, searched=space)
