"""Faces edited by several methods at equal change, as one PNG for the documentation.

    python -m benchmarks.editing_picture docs/pictures/edit-directions.png

A row for each method, and in it each face three times: with less of the attribute, as it was, and
with more. The pictures are the packaged generator's, which has seen nothing but drawings.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.editing_methods import CHOSEN
from benchmarks.editing_parts import Faces, one_thread
from benchmarks.recording import RESULTS, read_results
from vqlso.editing import sheet, strips
from vqlso.randomness import stream

FACES = 3
STRENGTHS = (-0.5, 0.0, 0.5)
HEADS = ("less", "original", "more")
ENLARGED = 2
LABEL_WIDTH = 180
HEAD_HEIGHT = 24
MARGIN = 6
TEXT_SIZE = 15
COLOURS = 256  # drawings have few, and the file stays small


def row(
    faces: Faces, run: Mapping[str, Any], originals: NDArray[np.float64], images: int
) -> NDArray[np.uint8]:
    """(n, k, 3, H, W): the originals by one method's vector, as long as it was measured."""
    d = CHOSEN[run["method"]].find(faces, run["attribute"], images, run["seed"]).d
    scaled = d * run["length"] / np.linalg.norm(d)
    return strips(faces.generator, "w", originals, scaled, STRENGTHS)


def labelled(rows: Mapping[str, NDArray[np.uint8]]) -> Image.Image:
    """All rows below each other, names on the left, and above each column what it shows."""
    blocks = {
        name: [Image.fromarray(sheet(face[None])) for face in cells] for name, cells in rows.items()
    }
    width, height = (ENLARGED * side for side in next(iter(blocks.values()))[0].size)
    across, down = width + 3 * MARGIN, height + MARGIN
    page = Image.new(
        "RGB", (LABEL_WIDTH + FACES * across, HEAD_HEIGHT + down * len(blocks)), "white"
    )
    pen = ImageDraw.Draw(page)
    for column in range(FACES * len(HEADS)):
        face, place = divmod(column, len(HEADS))
        middle = LABEL_WIDTH + face * across + (place + 0.5) * width / len(HEADS)
        pen.text((middle, HEAD_HEIGHT / 2), HEADS[place], "black", font_size=TEXT_SIZE, anchor="mm")
    for number, (name, shown) in enumerate(blocks.items()):
        top = HEAD_HEIGHT + number * down
        pen.text((MARGIN, top + height / 2), name, "black", font_size=TEXT_SIZE, anchor="lm")
        for face, block in enumerate(shown):
            large = block.resize((width, height), Image.Resampling.NEAREST)
            page.paste(large, (LABEL_WIDTH + face * across, top))
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
    record = read_results(options.results)["editing"]
    originals = faces.generator.spaces["w"].sample(FACES, stream(options.seed, "shown faces"))
    rows = {
        run["method"]: row(faces, run, originals, record["budgets"]["images"][run["method"]])
        for run in record["runs"]
        if (run["attribute"], run["seed"]) == (options.attribute, options.seed)
    }
    options.target.parent.mkdir(parents=True, exist_ok=True)
    labelled(rows).quantize(COLOURS).save(options.target, optimize=True)


if __name__ == "__main__":
    main()
