"""One point of `benchmarks.growth`, in a process of its own, as one line of JSON.

Peak memory belongs to a process as a whole, and never falls.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.growth_axes import GRID_BOOSTING, ImagePoint, Point

# A short measurement is repeated until it adds up to so much, but not more often than that.
ENOUGH_SECONDS, MOST_REPEATS = 1.0, 5
REFERENCES = 5
# Of 64 codes each, they have more positions than two bytes hold.
MANY_CELLS = 1100
WARMING_ROWS, WARMING_TREES, WARMING_STEPS = 500, 2, 2


def peak() -> float:
    """MiB that this process has held at most.

    Linux's own count where there is one: getrusage's starts at what the parent held.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / (1024**2 if sys.platform == "darwin" else 1024)


def query_point(point: Point, data: Path, seconds: float) -> dict[str, Any]:
    """Fit to the prepared rows, and solve around a few of them.

    Args:
        point: what is measured.
        data: npz of codes (n, cells) uint16 and scores (n,).
        seconds: time limit of one solve.

    Returns:
        Medians of the seconds of "fit" and "solve", MiB that the fit took ("memory", with the
        codes as the int64 that an archive holds) and that the process held before, and "proven":
        whether all solves were.
    """
    from solvers.trees import Limits, maximize

    cells = point.grid**2
    rng = np.random.default_rng(0)
    few = rng.integers(point.categories, size=(WARMING_ROWS, cells))
    small = _surrogate(replace(point, trees=WARMING_TREES))
    small.fit(few, few[:, 0] / point.categories)
    maximize(small.ensemble(), free=np.arange(point.t), reference=few[0])
    del few
    before = peak()
    with np.load(data) as stored:
        codes, scores = stored["codes"].astype(np.int64), stored["scores"]
    if codes.shape != (point.rows, cells):
        raise ValueError(f"{data} holds {codes.shape} codes, not those of {point}.")
    # Positions of many cells need wider integers, and those kernels of their own.
    _surrogate(replace(point, trees=1)).fit(codes, scores)
    surrogate = _surrogate(point)
    fits = _repeated(lambda: surrogate.fit(codes, scores))
    fitted = peak()
    free = np.argsort(-surrogate.importance(), kind="stable")[: point.t]
    ensemble = surrogate.ensemble()
    solves, proven = [], True
    for reference in codes[rng.integers(len(codes), size=REFERENCES)]:
        best = maximize(ensemble, free=free, reference=reference, limits=Limits(seconds=seconds))
        solves.append(best.seconds)
        if not (proven := str(best.status) == "optimal"):
            break
    return {
        "fit": median(fits),
        "solve": max(solves) if not proven else median(solves),
        "proven": proven,
        "memory": fitted - before,
        "before": before,
        "peak": peak(),
    }


def compile_all() -> None:
    """Fill Numba's cache, so that no point's limit counts what is compiled once an installation."""
    from solvers.surrogates import GridBoosting
    from solvers.trees import maximize

    rng = np.random.default_rng(0)
    for cells in (16, MANY_CELLS):
        codes = rng.integers(64, size=(2000, cells))
        small = GridBoosting(64, trees=WARMING_TREES)
        small.fit(codes, codes[:, 0] / 64)
    maximize(small.ensemble(), free=np.arange(4), reference=codes[0])


def image_point(point: ImagePoint) -> dict[str, Any]:
    """Seconds an image of training and of encoding, and MiB that both took."""
    import torch

    from vqlso.data.faces import procedural_faces
    from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
    from vqlso.images import to_unit
    from vqlso.training.fitting import fit
    from vqlso.training.vqvae import vqvae_loss

    torch.manual_seed(0)
    images = procedural_faces(2 * point.batch, seed=0, size=point.size).images
    network = VQVAENetwork(VQVAESettings(image_size=point.size, width=32))
    before = peak()
    rows = np.arange(len(images))

    def train(steps: int) -> float:
        batches = [np.roll(rows, step)[: point.batch] for step in range(steps)]
        return fit(network, vqvae_loss, lambda rows: images[rows], batches, seed=0).seconds

    train(WARMING_STEPS)
    seconds = train(point.steps)
    trained = peak()
    generator, pictures = VQVAE(network), to_unit(images)
    generator.encode(pictures)
    encoded = _repeated(lambda: generator.encode(pictures))
    return {
        "train": seconds / (point.steps * point.batch),
        "encode": median(encoded) / len(images),
        "memory": trained - before,
        "before": before,
        "peak": peak(),
    }


def prepare(point: Point, data: Path, instance: str, where: Mapping[str, str]) -> None:
    """Write the rows that `query_point` reads: faces coded by k-means, some drawn again if need be.

    Args:
        point: whose rows.
        data: the file.
        instance: "faces" or "celeba".
        where: folders that are not the usual ones, by "celeba" and "cache".
    """
    from benchmarks.refit import Rows, resized
    from benchmarks.trees.instances import Recipe, add_arguments, coded

    recipe = Recipe(instance, K=point.categories, grid=point.grid)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.data = Path(where.get("celeba", options.data))
    options.cache = Path(where.get("cache", options.cache))
    rows = resized(Rows(instance, *coded(recipe, options)), point.rows)
    data.parent.mkdir(parents=True, exist_ok=True)
    np.savez(data, codes=rows.codes.astype(np.uint16), scores=rows.scores)


def _surrogate(point: Point) -> Any:
    if point.surrogate == GRID_BOOSTING:
        from solvers.surrogates import GridBoosting

        return GridBoosting(point.categories, trees=point.trees)
    from solvers.surrogates import LightGBM

    # Room for all leaves of the depth: at most 5, as the paper has it, would cut depth 3 short.
    leaves = 2**point.depth + (point.depth == 2)
    return LightGBM(point.categories, trees=point.trees, depth=point.depth, leaves=leaves)


def _repeated(task: Callable[[], Any]) -> list[float]:
    seconds: list[float] = []
    while not seconds or (sum(seconds) < ENOUGH_SECONDS and len(seconds) < MOST_REPEATS):
        began = perf_counter()
        task()
        seconds.append(perf_counter() - began)
    return seconds


def main() -> None:
    """What the JSON of the one argument asks for."""
    asked = json.loads(sys.argv[1])
    if asked["task"] == "compile":
        compile_all()
        return
    if asked["task"] == "image":
        print(json.dumps(image_point(ImagePoint(**asked["point"]))))
        return
    point, data = Point(**asked["point"]), Path(asked["data"])
    if asked["task"] == "prepare":
        prepare(point, data, asked["instance"], asked["where"])
    else:
        print(json.dumps(query_point(point, data, asked["seconds"])))


if __name__ == "__main__":
    main()
