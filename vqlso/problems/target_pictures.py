"""Pictures that are searched for: read from any file, or drawn from the generator itself.

The three cases of paper 001, section IV-B: a generation (reconstruction), an image of the training
set (semi-specified), any other picture (misspecified).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from vqlso.contracts import Generator
from vqlso.data.crop import CENTRE_SQUARE, Crop, cropped
from vqlso.errors import DataError
from vqlso.images import to_unit
from vqlso.randomness import stream

# A decoded picture takes three or four bytes a pixel, and several copies of that while it is
# cropped: below one gigabyte.
MOST_PIXELS = 64_000_000
# Pillow raises these for damaged files, as in `vqlso.data.cache`.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_target(path: Path, *, size: int = 256, crop: Crop = CENTRE_SQUARE) -> Tensor:
    """A picture as a target.

    Grey becomes RGB; what is transparent becomes white. Small pictures are enlarged, since a
    target may be coarser than what is generated (paper 001, appendix "Scaling").

    Args:
        path: a file in any format that Pillow reads.
        size: edge of the result, pixels; criteria resize it to what they compare.
        crop: chooses the square.

    Returns:
        (3, size, size) float32 in [0, 1].

    Raises:
        DataError: the file is missing, no picture, damaged, or of more than 64 million pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no picture at {path}: check the path of the target.")
    try:
        with Image.open(path) as picture:  # reads the header only
            _require_fitting(picture, path, size)
            upright = ImageOps.exif_transpose(picture)
            return to_unit(cropped(_at_least(_opaque(upright), size), crop, size))
    except DataError as error:
        # What a crop says has no subject yet.
        text = str(error)
        raise (error if str(path) in text else DataError(f"The target {path} {text}.")) from error
    except _UNREADABLE as error:
        raise DataError(
            f"The target {path} cannot be read as a picture ({error}): give a PNG or JPEG file."
        ) from error


def drawn_targets(
    generator: Generator, n: int, *, space: str | None = None, seed: int = 0
) -> tuple[Tensor, NDArray[Any]]:
    """Targets that the generator can reach: its own images of random latents.

    Args:
        generator: decodes them.
        n: how many.
        space: the latent space that is sampled; None for the generator's own choice.
        seed: of the latents.

    Returns:
        (n, 3, H, W) float32 in [0, 1], and the (n, *shape) latents that they were decoded from.
    """
    chosen = generator.space if space is None else generator.spaces[space]
    z = chosen.sample(n, stream(seed, "targets"))
    return generator.decode(z, chosen.name), z


def _require_fitting(picture: Image.Image, path: Path, size: int) -> None:
    """Large JPEGs are decoded at a fraction of their size; anything else must fit as it is."""
    if picture.width * picture.height > MOST_PIXELS:
        picture.draft("RGB", (2 * size, 2 * size))
    if picture.width * picture.height > MOST_PIXELS:
        raise DataError(
            f"The target {path} has {picture.width} x {picture.height} pixels, more than "
            f"{MOST_PIXELS:,}: shrink it; only {size} x {size} of them would be used."
        )


def _opaque(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    colours = picture.convert("RGBA")
    white = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")


def _at_least(picture: Image.Image, size: int) -> Image.Image:
    """Enlarged until both edges have `size` pixels."""
    shorter = min(picture.size)
    if shorter >= size:
        return picture
    edges = [max(size, round(edge * size / shorter)) for edge in picture.size]
    return picture.resize((edges[0], edges[1]), Image.Resampling.BICUBIC)
