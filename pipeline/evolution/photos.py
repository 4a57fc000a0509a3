"""Photos that people send: read with care, and the latents nearest to them."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.photos import climbed_space, moved_from_z
from solvers.gradient import LBFGS
from solvers.inversion import invert
from vqlso.contracts import DifferentiableGenerator, EncodingGenerator, Generator
from vqlso.errors import ConfigError, DataError
from vqlso.images import to_bytes, to_unit
from vqlso.objectives.criteria import inspirational
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.problems.target_image import TargetImage
from vqlso.problems.target_pictures import read_target
from vqlso.randomness import stream

MOST_BYTES = 32_000_000
EDGE = 256  # pixels of what is kept of a photo; criteria compare at no more than 128
# Together some three seconds of one core with the packaged StyleGAN2.
STARTS = 48
CLIMBED = 60


def square_of(photo: bytes, what: str) -> bytes:
    """The central square of a picture as a PNG of 256 pixels, without anything else in the file.

    Args:
        photo: a file's content, in any format that Pillow reads.
        what: the picture in words, such as "photo".

    Raises:
        DataError: it is no picture, damaged, or too large.
    """
    if len(photo) > MOST_BYTES:
        raise DataError(
            f"The {what} has {len(photo) / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f} MB: "
            "shrink it."
        )
    with TemporaryDirectory() as folder:
        path = Path(folder) / what
        path.write_bytes(photo)
        try:
            square = read_target(path, size=EDGE)
        except DataError as error:
            # A person who sends a photo to a page knows of no path.
            text = str(error).replace(str(path), what).replace("The target ", "The ")
            raise DataError(text) from error
    return png_of(to_bytes(square[None])[0])


def png_of(image: NDArray[np.uint8]) -> bytes:
    """(3, H, W) uint8 as a PNG file's content."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, "PNG")
    return buffer.getvalue()


def latent_of(square: bytes, generator: Generator, space_name: str, *, seed: int) -> NDArray[Any]:
    """(*space.shape,) the latent whose image is near a picture.

    An encoder gives it at once; any other generator is climbed by LBFGS from the best of some
    samples. A StyleGAN is climbed in z, whatever is searched afterwards: w comes nearer to the
    pixels, but by images that are no faces.

    Args:
        square: what `square_of` made.
        generator: whose latent is searched.
        space_name: of its latent spaces.
        seed: of the samples.

    Raises:
        ConfigError: the generator can neither encode nor be climbed.
    """
    with Image.open(io.BytesIO(square)) as picture:
        pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    climbed = climbed_space(generator, generator.spaces[space_name]).name
    norm = 1.0 if climbed == "z" else 0.0
    criterion = inspirational("l2+features", features=RandomTaps(), norm_weight=norm)
    problem = TargetImage(generator, criterion, to_unit(pixels[None]), climbed)
    if isinstance(generator, EncodingGenerator) and problem.space == generator.space:
        return np.asarray(problem.encoded()[0])
    if not isinstance(generator, DifferentiableGenerator):
        raise ConfigError(
            f"No latent of a photo can be found for a {type(generator).__name__}: start at random."
        )
    starts = problem.space.sample(STARTS, stream(seed, "photo"))
    solver = LBFGS(problem, evaluations=CLIMBED, start="best", seed=seed)
    z = invert(problem, solver, evaluations=STARTS + CLIMBED, starts=starts, seed=seed).z
    return np.asarray(moved_from_z(generator, z, space_name)[0])
