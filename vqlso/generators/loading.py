"""Any generator from its file, by the kind that the file's header names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vqlso.checkpoints import kind_of
from vqlso.errors import CheckpointError

if TYPE_CHECKING:
    from vqlso.contracts import Generator

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


def load_generator(path: Path | str, **options: Any) -> Generator:
    """The generator in a file that a generator's `save` or `vqlso import-gan` wrote.

    Args:
        path: the file.
        options: what the kind's own `load` takes, such as `truncation_psi` of a StyleGAN.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no generator.
    """
    kind = kind_of(Path(path))
    if kind not in KINDS:
        raise CheckpointError(
            f"{path} holds a network of kind '{kind}', which is no generator. "
            f"Known: {', '.join(KINDS)}."
        )
    module, name = KINDS[kind]
    generator = getattr(importlib.import_module(module), name)
    return cast("Generator", generator.load(Path(path), **options))
