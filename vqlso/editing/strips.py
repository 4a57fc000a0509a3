"""What an edit looks like: a row of pictures for each face, from less to more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import Generator
from vqlso.editing.edits import Vector, moved
from vqlso.images import to_bytes

GAP = 2  # pixels
PAPER = 255


def strips(
    generator: Generator,
    space: str,
    latents: Vector,
    d: Vector,
    strengths: Sequence[float] = (-1.0, 0.0, 1.0),
) -> NDArray[np.uint8]:
    """(n, k, 3, H, W) uint8: each of (n, *shape) latents, edited by each strength."""
    edited = moved(latents, d, strengths)
    flat = edited.reshape(-1, *latents.shape[1:])
    images = to_bytes(generator.decode(flat, space))
    return images.reshape(len(latents), len(strengths), *images.shape[1:])


def sheet(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, k, 3, H, W) -> (n (H + gap) - gap, k (W + gap) - gap, 3), for a file or a page."""
    n, k, channels, height, width = rows.shape
    page = np.full((n, height + GAP, k, width + GAP, channels), PAPER, dtype=np.uint8)
    page[:, :height, :, :width] = rows.transpose(0, 3, 1, 4, 2)
    return page.reshape(n * (height + GAP), k * (width + GAP), channels)[:-GAP, :-GAP]
