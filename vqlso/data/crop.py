"""Which square of a picture becomes the image: a documented crop, or a detector's face box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vqlso.errors import DataError, MissingExtraError

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, right and bottom exclusive


class Crop(Protocol):
    """Chooses a square of a picture."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """JSON values that decide the result; they are part of the cache's key."""

    def box(self, picture: Image.Image) -> Box:
        """A square inside an RGB `picture`; raises DataError where there is none."""


@dataclass(frozen=True)
class CentreCrop:
    """A square of fixed relative size and place.

    Attributes:
        share: side of the square relative to the picture's shorter edge, in (0, 1].
        centre: where its centre lies, relative to the picture's width and height.
        picture_sizes: the only (width, height) accepted; empty accepts every picture.
    """

    share: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)
    picture_sizes: tuple[tuple[int, int], ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        """JSON values that decide the result."""
        return {"crop": "centre", **asdict(self)}

    def box(self, picture: Image.Image) -> Box:
        """The square, moved inside the picture where it would stick out.

        Raises:
            DataError: the picture has a size that is not accepted.
        """
        if self.picture_sizes and picture.size not in self.picture_sizes:
            accepted = " or ".join(f"{width}x{height}" for width, height in self.picture_sizes)
            raise DataError(
                f"is {picture.width}x{picture.height} pixels where {accepted} is expected"
            )
        side = round(self.share * min(picture.size))
        x, y = (share * edge for share, edge in zip(self.centre, picture.size, strict=True))
        return _square_inside(picture, x, y, side)


# Aligned CelebA, 178x218: 128 pixels a side around (89, 121), the centre that Karras et al. (2018,
# Progressive Growing of GANs) made the custom; at half size, 89x109, it is 64 pixels a side. The
# face sits below the picture's middle: around (89, 109) an open mouth touches the lower edge.
CENTRE = CentreCrop(
    share=128 / 178, centre=(89 / 178, 121 / 218), picture_sizes=((178, 218), (89, 109))
)
CENTRE_SQUARE = CentreCrop()


class DetectorCrop:
    """A square around the most certain face that MTCNN finds (Zhang et al. 2016).

    It runs on the CPU, at about 20 pictures of 89x109 pixels a second on one core.

    Args:
        margin: added on each side, relative to the longer edge of the face box.

    Raises:
        MissingExtraError: the detector is not installed.
    """

    def __init__(self, margin: float = 0.15) -> None:
        try:
            detectors = import_module("facenet_pytorch")
        # A torchvision of another build than torch raises RuntimeError while it is imported.
        except (ImportError, RuntimeError) as error:
            raise MissingExtraError(
                f"Cropping by face detector needs facenet-pytorch, which cannot be used ({error}): "
                "`pip install '.[detector]'` in the project's clone, and a torchvision of the same "
                "build as torch; or use the centre crop, which needs nothing."
            ) from error
        self.margin = margin
        self._detector = detectors.MTCNN(select_largest=False, device="cpu")

    @property
    def settings(self) -> Mapping[str, Any]:
        """JSON values that decide the result."""
        return {"crop": "mtcnn", "margin": self.margin}

    def box(self, picture: Image.Image) -> Box:
        """The square around the face.

        Raises:
            DataError: no face was found.
        """
        boxes, certainties = self._detector.detect(picture)
        if boxes is None:
            raise DataError("shows no face that the detector can find")
        left, top, right, bottom = (float(edge) for edge in boxes[np.argmax(certainties)])
        side = round(max(right - left, bottom - top) * (1 + 2 * self.margin))
        return _square_inside(picture, (left + right) / 2, (top + bottom) / 2, side)


def cropped(picture: Image.Image, crop: Crop, size: int) -> NDArray[np.uint8]:
    """The cropped square at `size` x `size` by area resampling, (3, size, size) uint8 RGB.

    Raises:
        DataError: the square is smaller than `size`; pictures are never enlarged, because
            blur would then look like a property of the faces.
    """
    picture = _eight_bit(picture).convert("RGB")
    box = crop.box(picture)
    side = box[2] - box[0]
    if side < size:
        raise DataError(f"offers a square of {side} pixels, fewer than the {size} asked for")
    square = picture.resize((size, size), Image.Resampling.BOX, box=box)
    return np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Pillow clips deeper pictures at 255 instead of scaling them: they would all be white.

    Raises:
        DataError: 32-bit or float pixels, whose range nothing tells.
    """
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise DataError(f"has pixels of mode {picture.mode}, not 8 or 16 bits a channel")
    return picture


def _square_inside(picture: Image.Image, x: float, y: float, side: int) -> Box:
    """The square around (x, y), at most as large as the picture and moved inside it."""
    side = min(side, *picture.size)
    left = min(max(round(x - side / 2), 0), picture.width - side)
    top = min(max(round(y - side / 2), 0), picture.height - side)
    return (left, top, left + side, top + side)
