"""Any generator or discriminator from its file, by the kind that the file's header names."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vqlso.checkpoints import kind_of
from vqlso.errors import CheckpointError

if TYPE_CHECKING:
    from vqlso.contracts import Generator
    from vqlso.generators.stylegan2.discriminator import StyleGAN2Discriminator

# By name, since a program that needs one of them should not import all.
KINDS = {
    "vqvae": ("vqlso.generators.vqvae", "VQVAE"),
    "vae": ("vqlso.generators.vae", "VAE"),
    "stylegan3-t": ("vqlso.generators.stylegan3.generator", "StyleGAN3"),
    "stylegan3-r": ("vqlso.generators.stylegan3.generator", "StyleGAN3"),
    "stylegan2": ("vqlso.generators.stylegan2.generator", "StyleGAN2"),
    "pgan": ("vqlso.generators.pgan.generator", "PGAN"),
    "ddim": ("vqlso.generators.diffusion.generator", "DDIM"),
}
DISCRIMINATORS = {
    "stylegan2-discriminator": (
        "vqlso.generators.stylegan2.discriminator",
        "StyleGAN2Discriminator",
    ),
}


def load_generator(path: Path | str, **options: Any) -> Generator:
    """The generator in a file that a generator's `save` or `vqlso import-gan` wrote.

    Args:
        path: the file.
        options: what the kind's own `load` takes, such as `truncation_psi` of a StyleGAN.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no generator.
    """
    loaded = _loader(path, KINDS, "generator").load(Path(path), **options)
    return cast("Generator", loaded)


def load_discriminator(path: Path | str) -> StyleGAN2Discriminator:
    """The discriminator in a file that its own `save` or `vqlso run train_stylegan2` wrote.

    Args:
        path: the file.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no discriminator.
    """
    loaded = _loader(path, DISCRIMINATORS, "discriminator").load(Path(path))
    return cast("StyleGAN2Discriminator", loaded)


def _loader(path: Path | str, kinds: Mapping[str, tuple[str, str]], what: str) -> Any:
    """The class that reads the file."""
    kind = kind_of(Path(path))
    if kind not in kinds:
        raise CheckpointError(
            f"{path} holds a network of kind '{kind}', which is no {what}. "
            f"Known: {', '.join(kinds)}."
        )
    module, name = kinds[kind]
    return getattr(importlib.import_module(module), name)
