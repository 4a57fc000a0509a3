"""A session as the page is told it: JSON with its pictures inside, one whole at a time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.pictures import data_uri, embedded

if TYPE_CHECKING:
    from pipeline.evolution.session import EvolutionSession, Step

TILE_EDGE = 256  # pixels; larger images are shown reduced, and downloaded whole
THUMBNAIL_EDGE = 64
THUMBNAILS = 5  # a step in the history


def described(session: EvolutionSession) -> dict[str, Any]:
    """Everything that the page shows of a session, as JSON values."""
    images = session.images
    settings = session.settings
    favourite = None if session.favourite is None else session.favourite_image
    return {
        "revision": revision(images),
        "step": session.step,
        "generator": settings.generator,
        "picks": settings.picks,
        "target": None if settings.target is None else embedded(settings.target),
        "mutation": session.mutation,
        "images": [picture(image, TILE_EDGE) for image in images],
        "favourite": None if favourite is None else picture(favourite, TILE_EDGE),
        "history": [_step(step) for step in session.history],
    }


def revision(images: NDArray[np.uint8]) -> str:
    """A name of the images on show: picks that were made for others must not be taken for these."""
    return f"{zlib.crc32(images.tobytes()):08x}"


def picture(image: NDArray[np.uint8], edge: int) -> str:
    """(3, H, W) uint8 -> a PNG of at most so many pixels a side, as a data URI."""
    drawn = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    drawn.thumbnail((edge, edge))
    return data_uri(drawn)


def _step(step: Step) -> Mapping[str, Any]:
    counts = [int(count) for count in step.counts]
    order = np.argsort(counts, kind="stable")[::-1][:THUMBNAILS]
    return {
        "number": step.number,
        "mutation": step.mutation,
        "picked": {int(row): count for row, count in zip(step.rows, counts, strict=True)},
        "thumbnails": [picture(step.thumbnails[place], THUMBNAIL_EDGE) for place in order],
    }
