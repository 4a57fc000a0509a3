"""The best queries of a run beside their references, as one PNG for the documentation.

    python -m benchmarks.pictures runs/demo-... docs/pictures/best.png

Each pair: left the training image as the generator draws it, right what the search made of it.
Runs on photographs are refused, since nothing made from CelebA may be passed on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pipeline.pictures import grid
from pipeline.runs.folder import RunFolder

PAIRS_PER_ROW = 6


def main(run: str, target: str) -> None:
    """Draw the pairs of a finished run, best first."""
    folder = RunFolder.existing(Path(run))
    if folder.read_json("preparation.json")["data"]["name"] != "faces":
        raise SystemExit(f"{run} is not a run on procedural faces: its pictures stay private.")
    found = folder.read_arrays("evaluation.npz")
    pairs = np.stack([found["best_references"], found["best_images"]], axis=1)
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(pairs.reshape(-1, *pairs.shape[2:]), columns=2 * PAIRS_PER_ROW).save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
