"""A photo on its way to a latent: read, and moved from the space that is climbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import Generator, LatentSpace
from vqlso.errors import DataError
from vqlso.generators.style_based import StyleBasedGenerator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.problems.target_pictures import read_target


def read_photo(path: Path, *, size: int) -> Tensor:
    """The central square of a photo as (3, size, size) float32 in [0, 1].

    Raises:
        DataError: it is missing, no picture, damaged, or too large.
    """
    try:
        return read_target(path, size=size)
    except DataError as error:
        # A command that edits photos knows of no target.
        text = str(error).replace("The target ", "The photo ")
        raise DataError(text.replace("the path of the target", "the path of the photo")) from error


def climbed_space(generator: Generator, wanted: LatentSpace) -> LatentSpace:
    """Where a photo is searched for, so that the image stays one of the generator's kind.

    A StyleGAN is climbed in z whatever the latent is wanted for: w comes nearer to the pixels, but
    by images that are no faces.
    """
    return generator.spaces["z"] if isinstance(generator, StyleBasedGenerator) else wanted


def moved_from_z(generator: Generator, z: NDArray[Any], space_name: str) -> NDArray[Any]:
    """What a StyleGAN makes of (n, d) latents of z in another of its spaces, without truncation.

    Returns:
        (n, *shape) float64 latents of the named space; `z` itself of any other generator.
    """
    if not isinstance(generator, StyleBasedGenerator) or space_name == "z":
        return z
    layers = generator.map(z)
    if space_name == "w":
        layers = layers[:, 0]
    elif space_name == "s":
        assert isinstance(generator, StyleGAN2)
        layers = generator.styles(layers)
    return layers.double().cpu().numpy()
