"""Seconds of a query's refit: `LightGBM` and `GridBoosting` in turn, on the same rows.

    python -m benchmarks.refit --rows 5000,13000,100000 --threads 1,2 --json refit.json

Rows are faces coded by k-means (`benchmarks.trees.instances`), "celeba" or the procedural "faces".
Where more are asked for than there are, rows are drawn again with every twentieth code of another
face and a little noise on the score; --synthetic draws all codes. Both are labelled.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.trees.instances import Recipe, add_arguments, coded, recipe_of
from benchmarks.trees.measuring import markdown
from solvers.surrogates import GridBoosting, LightGBM
from solvers.trees import TreeEnsemble
from vqlso.randomness import stream

# Of the codes of a row that is drawn again, and of its score's noise in deviations.
REDRAWN, NOISE = 0.05, 0.05
Surrogate = LightGBM | GridBoosting


@dataclass(frozen=True, eq=False)
class Rows:
    """What is fitted to.

    Attributes:
        label: where it is from, and how many rows are drawn again.
        codes: (n, cells) int64.
        scores: (n,).
    """

    label: str
    codes: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Fits of one number of rows with one number of threads.

    Attributes:
        label, rows, cells, categories, trees, threads: what was fitted.
        seconds: of every fit, by surrogate, in the order of measuring.
        same_trees: how many trees have the same splits in both.
        load: of the machine before, as `os.getloadavg` has it for a minute.
    """

    label: str
    rows: int
    cells: int
    categories: int
    trees: int
    threads: int
    seconds: Mapping[str, Sequence[float]]
    same_trees: int
    load: float

    @property
    def ratio(self) -> float:
        """How many times the median of `GridBoosting` fits into that of `LightGBM`."""
        return median(self.seconds["lightgbm"]) / median(self.seconds["grid_boosting"])


def coded_faces(recipe: Recipe, options: argparse.Namespace) -> Rows:
    """All coded faces of a source with their scores, from the cache or made for it."""
    codes, scores = coded(recipe, options)
    return Rows(f"{recipe.source}, {recipe.grid}x{recipe.grid} patch codes", codes, scores)


def synthetic_rows(n: int, cells: int, K: int) -> Rows:
    """Codes that hang together by a few hidden numbers, and a score of pairs of them."""
    rng = stream(0, "refit")
    hidden = rng.normal(size=(n, 6)) @ rng.normal(size=(6, cells))
    mixed = hidden + 2 * rng.normal(size=(n, cells))
    codes = rng.permutation(K)[np.clip((mixed * K / 16 + K / 2).astype(int), 0, K - 1)]
    effects = rng.normal(size=(cells, K))
    parts = np.take_along_axis(effects, codes.T, axis=1)
    scores = parts[:8].sum(axis=0) + (parts[8:16] * parts[16:24]).sum(axis=0)
    return Rows("synthetic", codes, scores + rng.normal(size=n))


def resized(source: Rows, n: int) -> Rows:
    """The first n rows, or with more than there are, rows drawn again and changed a little."""
    known = len(source.codes)
    if n <= known:
        return Rows(source.label, source.codes[:n], source.scores[:n])
    rng = stream(0, "refit rows", n)
    drawn = rng.integers(known, size=n - known)
    codes = np.concatenate([source.codes, source.codes[drawn]])
    redrawn = rng.random((n - known, codes.shape[1])) < REDRAWN
    other = source.codes[rng.integers(known, size=n - known)]
    codes[known:][redrawn] = other[redrawn]
    noise = NOISE * source.scores.std() * rng.normal(size=n - known)
    scores = np.concatenate([source.scores, source.scores[drawn] + noise])
    return Rows(f"{source.label}, {n - known} rows drawn again", codes, scores)


def compared(rows: Rows, *, threads: int, trees: int, repeats: int) -> Comparison:
    """Fit both in turn, `repeats` times after one short fit that compiles, and compare trees."""
    categories = int(rows.codes.max()) + 1
    load = os.getloadavg()[0]
    makers: dict[str, Callable[[int], Surrogate]] = {
        "lightgbm": lambda t: LightGBM(categories, trees=t, threads=threads),
        "grid_boosting": lambda t: GridBoosting(categories, trees=t, threads=threads),
    }
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    fitted: dict[str, Surrogate] = {}
    for make in makers.values():
        make(2).fit(rows.codes[:1000], rows.scores[:1000])
    for _ in range(repeats):
        for name, make in makers.items():
            surrogate = make(trees)
            began = perf_counter()
            surrogate.fit(rows.codes, rows.scores)
            seconds[name].append(perf_counter() - began)
            fitted[name] = surrogate
    return Comparison(
        rows.label,
        len(rows.codes),
        rows.codes.shape[1],
        categories,
        trees,
        threads,
        seconds,
        same_trees(*(surrogate.ensemble() for surrogate in fitted.values())),
        load,
    )


def same_trees(one: TreeEnsemble, other: TreeEnsemble) -> int:
    """How many trees have the same cells and sets of codes at the same nodes."""
    first, second = _splits(one), _splits(other)
    return sum(a == b for a, b in zip(first, second, strict=False))


def _splits(ensemble: TreeEnsemble) -> list[list[tuple[int, bytes]]]:
    """(cell, set) of every split of every tree, both in the order of their nodes."""
    ends = [*ensemble.roots[1:].tolist(), len(ensemble.feature)]
    return [
        [
            # Sets may be stored with words to spare.
            (int(ensemble.feature[node]), _bytes(ensemble, node))
            for node in range(begin, end)
            if ensemble.feature[node] >= 0
        ]
        for begin, end in zip(ensemble.roots.tolist(), ends, strict=True)
    ]


def _bytes(ensemble: TreeEnsemble, node: int) -> bytes:
    return bytes(ensemble.subsets[ensemble.subset[node]].tobytes()).rstrip(b"\0")


def table(comparisons: Sequence[Comparison]) -> str:
    """Medians and ranges as Markdown."""

    def figures(seconds: Sequence[float]) -> str:
        return f"{median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"

    heads = ["data", "rows", "threads", "LightGBM, s", "GridBoosting, s", "ratio", "same trees"]
    lines = [
        [
            each.label,
            str(each.rows),
            str(each.threads),
            figures(each.seconds["lightgbm"]),
            figures(each.seconds["grid_boosting"]),
            f"{each.ratio:.1f}",
            f"{each.same_trees} of {each.trees}",
        ]
        for each in comparisons
    ]
    return markdown(heads, lines)


def _whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.set_defaults(instance="celeba")
    parser.add_argument(
        "--synthetic", action="store_true", help="drawn codes, where there is no CelebA"
    )
    parser.add_argument("--rows", type=_whole_numbers, default=[5000, 13_000, 100_000])
    parser.add_argument("--threads", type=_whole_numbers, default=[1])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def main() -> None:
    """Measure, print a table and write the figures where asked."""
    options = _parsed()
    if options.synthetic:
        source = synthetic_rows(max(options.rows), options.grid**2, options.codes)
    else:
        source = coded_faces(recipe_of(options), options)
    comparisons = [
        compared(resized(source, n), threads=threads, trees=options.trees, repeats=options.repeats)
        for n in options.rows
        for threads in options.threads
    ]
    print(table(comparisons))
    if options.json:
        names = ("lightgbm", "numba", "numpy")
        record = {
            "versions": {name: version(name) for name in names},
            "comparisons": [asdict(each) | {"ratio": each.ratio} for each in comparisons],
        }
        options.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
