"""The best images of compared methods, each beside what it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pipeline.comparison.methods import Comparison
from pipeline.comparison.results import Result
from pipeline.pictures import grid

SHOWN = 10
_TILE = 64
_GAP = 16  # pixels between one pair and the next, wider than within a pair
_LABEL = 20  # pixels above each strip


@dataclass(frozen=True)
class Strip:
    """The best images of one method.

    Attributes:
        method: its label.
        seed: of the run that they are of.
        picture: side by side, best first; where they derive from something, that left of each.
        count: of images.
        paired: whether they do.
    """

    method: str
    seed: int
    picture: Image.Image
    count: int
    paired: bool


def best_strips(comparison: Comparison) -> list[Strip]:
    """A strip a method; of the first seed that all have, for that one decides where they start."""
    common = set.intersection(*(set(arm.results) for arm in comparison.arms))
    strips = []
    for arm in comparison.arms:
        seed = min(common or arm.results)
        strip = _strip(arm.label, seed, arm.results[seed])
        strips += [strip] if strip else []
    return strips


def sheet(strips: list[Strip]) -> Image.Image:
    """All strips below each other, each under its method's name."""
    height = max(strip.picture.height for strip in strips)
    width = max(strip.picture.width for strip in strips)
    step = _LABEL + height + _LABEL // 2
    page = Image.new("RGB", (width, step * len(strips)), "white")
    pen = ImageDraw.Draw(page)
    for row, strip in enumerate(strips):
        pen.text((0, row * step + 2), strip.method, fill="black", font_size=14)
        page.paste(strip.picture, (0, row * step + _LABEL), strip.picture)
    return page


def _strip(method: str, seed: int, result: Result) -> Strip | None:
    """None where a run has kept no images: it was interrupted before its evaluation."""
    if not (result.folder.path / "evaluation.npz").is_file():
        return None
    kept = result.folder.read_arrays("evaluation.npz")
    best, references = kept["best_images"][:SHOWN], kept["best_references"][:SHOWN]
    if not len(best):
        return None
    paired = len(references) == len(best)
    tiles = np.stack([references, best], axis=1) if paired else best[:, None]
    shown = [grid(each, columns=2, tile=_TILE) for each in tiles]
    return Strip(method, seed, _side_by_side(shown), len(best), paired)


def _side_by_side(pictures: list[Image.Image]) -> Image.Image:
    width, height = pictures[0].size
    strip = Image.new("RGBA", (len(pictures) * (width + _GAP) - _GAP, height), (0, 0, 0, 0))
    for place, picture in enumerate(pictures):
        strip.paste(picture, (place * (width + _GAP), 0))
    return strip
