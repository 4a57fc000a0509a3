"""Faces edited by several methods at equal change, as one PNG for the documentation.

    python -m benchmarks.editing_picture docs/pictures/edit-directions.png

A row of three faces for each method: less, original and more of the attribute. The pictures are the
packaged generator's, which has seen nothing but drawings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.editing_methods import CHOSEN
from benchmarks.editing_parts import Evaluations, Faces, one_thread
from benchmarks.recording import RESULTS, read_results
from vqlso.editing import sheet, strips
from vqlso.randomness import stream

FACES = 4
STRENGTHS = (-0.5, 0.0, 0.5)
ENLARGED = 2
LABEL_WIDTH = 190
MARGIN = 6


def row(faces: Faces, attribute: str, method: str, images: int, seed: int) -> NDArray[np.uint8]:
    """(H, W, 3): some faces by one method, scaled to equal change on 50 others."""
    d = CHOSEN[method].find(faces, attribute, images, seed).d
    small = faces.evaluation(attribute, originals=50)
    length = Evaluations(small, faces.evaluation(attribute, originals=1)).at_equal_change(d)[
        "length"
    ]
    originals = faces.generator.spaces["w"].sample(FACES, stream(seed, "shown faces"))
    cells = strips(faces.generator, "w", originals, d * length / np.linalg.norm(d), STRENGTHS)
    return sheet(cells.reshape(1, -1, *cells.shape[2:]))


def labelled(rows: dict[str, NDArray[np.uint8]]) -> Image.Image:
    """All rows below each other, with the methods' names on the left."""
    height, width = (ENLARGED * side for side in next(iter(rows.values())).shape[:2])
    step = height + MARGIN
    page = Image.new("RGB", (LABEL_WIDTH + width, step * len(rows)), "white")
    pen = ImageDraw.Draw(page)
    for number, (name, pixels) in enumerate(rows.items()):
        shown = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
        page.paste(shown, (LABEL_WIDTH, number * step))
        pen.text((MARGIN, number * step + height // 2), name, fill="black", font_size=15)
    return page


def main() -> None:
    """Find the vectors anew, by the budgets of the recorded benchmark, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--attribute", default="smile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    one_thread()
    faces = Faces.packaged()
    images = read_results(options.results)["editing"]["budgets"]["images"]
    rows = {
        name: row(faces, options.attribute, name, images[name], options.seed) for name in images
    }
    options.target.parent.mkdir(parents=True, exist_ok=True)
    labelled(rows).save(options.target, optimize=True)


if __name__ == "__main__":
    main()
