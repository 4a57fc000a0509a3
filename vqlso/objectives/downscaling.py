"""Super-resolution as a criterion: the picture's own pixels, once the image is as small as it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vqlso.errors import DataError


@dataclass(frozen=True)
class DownscaledDistance:
    """Mean squared difference between the downscaled image and a small picture, in [-1, 1] pixels.

    What PULSE searches for (Menon et al. 2020, equation 1): any sharp image that shrinks to the
    given one. Images are averaged over areas; each picture pixel stands for one.
    """

    weight: float = 1.0
    name: str = "downscaled L2"

    def wanted(self, targets: Tensor, size: tuple[int, int]) -> Tensor:
        """(t, 3, h, w) the pictures as they are.

        Raises:
            DataError: a picture is larger than the images.
        """
        if targets.shape[2] > size[0] or targets.shape[3] > size[1]:
            raise DataError(
                f"A picture of {targets.shape[2]} x {targets.shape[3]} pixels is larger than the "
                f"images of {size[0]} x {size[1]} that it is to become: shrink it."
            )
        return targets

    def __call__(self, images: Tensor, z: Tensor, wanted: Tensor) -> Tensor:  # noqa: ARG002
        """(n,) in [0, 4]."""
        return (2 * (downscaled(images, wanted.shape[2:]) - wanted)).square().flatten(1).mean(1)


def downscaled(images: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """(n, 3, H, W) -> (n, 3, h, w), each pixel the mean of the area that it stands for."""
    return F.interpolate(images, size=tuple(size), mode="area")
