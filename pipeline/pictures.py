"""Pictures for the page: pixels enlarged without smoothing, side by side or marked."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

MARK = (0, 114, 255)
_TILE = 128  # pixels that a tile should at least be high
_FACE = 384  # the same for the picture that shows the free cells
_GAP = 4


def enlarged(image: NDArray[np.uint8], scale: int) -> Image.Image:
    """(3, H, W) uint8 -> every pixel a block of scale x scale."""
    return Image.fromarray(image.transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1))


def grid(images: NDArray[np.uint8], columns: int, tile: int = _TILE) -> Image.Image:
    """(n, 3, H, W) uint8 in rows of so many, each at least so high, on a transparent ground."""
    scale = _scale(images.shape[2], tile)
    height, width = scale * images.shape[2], scale * images.shape[3]
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    size = (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP)
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        sheet.paste(enlarged(image, scale), (column * (width + _GAP), row * (height + _GAP)))
    return sheet


def cell_box(cell: int, shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The pixels that a code's cell lies over.

    Args:
        cell: row-major index.
        shape: (h, w) of the code grid.
        size: (height, width) of the picture in pixels.

    Returns:
        left, top, right, bottom; the last two are outside.
    """
    row, column = divmod(cell, shape[1])
    return (
        column * size[1] // shape[1],
        row * size[0] // shape[0],
        (column + 1) * size[1] // shape[1],
        (row + 1) * size[0] // shape[0],
    )


def free_cells(
    face: NDArray[np.uint8], shape: tuple[int, int], shares: NDArray[np.float64]
) -> Image.Image:
    """The cells that the search could change, outlined; the fuller, the more often.

    Args:
        face: (3, H, W) uint8.
        shape: (h, w) of the code grid.
        shares: (h * w,) in [0, 1]; cells of share 0 stay unmarked.
    """
    scale = _scale(face.shape[1], _FACE)
    picture = enlarged(face, scale).convert("RGBA")
    size = (picture.height, picture.width)
    for cell in np.flatnonzero(shares):
        left, top, right, bottom = cell_box(int(cell), shape, size)
        layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
        ImageDraw.Draw(layer).rectangle(
            (left, top, right - 1, bottom - 1),
            fill=(*MARK, round(130 * float(shares[cell]))),
            outline=(*MARK, 255),
            width=2,
        )
        picture = Image.alpha_composite(picture, layer)
    return picture.convert("RGB")


def data_uri(picture: Image.Image) -> str:
    """The picture as a PNG within the page."""
    return embedded(png(picture))


def embedded(content: bytes) -> str:
    """A PNG file's content within the page."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file's content."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _scale(height: int, wanted: int) -> int:
    return max(1, -(-wanted // height))
