"""Seconds of a query's refit: `LightGBM` and `GridBoosting` in turn, on the same rows.

    make bench-refit
    make bench-refit ARGS='--rows 5000,13000 --threads 1,2 --instance celeba --data DIR'

Rows are faces coded by k-means (`benchmarks.trees.instances`), "celeba" or the procedural "faces".
Where more are asked for than there are, rows are drawn again with every twentieth code of another
face and a little noise on the score; --synthetic draws all codes. Both are labelled.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import command_of, frame_options, settings_of, whole_numbers
from benchmarks.paired import Case, measure
from benchmarks.recording import Recording
from benchmarks.trees.instances import Recipe, add_arguments, coded, recipe_of
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


def compared(rows: Rows, *, threads: int, trees: int, rounds: int) -> Case:
    """Fit both in turn, after one short fit each that compiles, and compare their trees."""
    categories = int(rows.codes.max()) + 1
    makers: dict[str, Callable[[int], Surrogate]] = {
        "GridBoosting": lambda t: GridBoosting(categories, trees=t, threads=threads),
        "LightGBM": lambda t: LightGBM(categories, trees=t, threads=threads),
    }
    fitted: dict[str, Surrogate] = {}

    def fitting(name: str) -> float:
        surrogate = makers[name](trees)
        began = perf_counter()
        surrogate.fit(rows.codes, rows.scores)
        taken = perf_counter() - began
        fitted[name] = surrogate
        return taken

    for make in makers.values():
        make(2).fit(rows.codes[:1000], rows.scores[:1000])
    case = measure(
        f"{len(rows.codes):,} rows, {threads} thread{'' if threads == 1 else 's'}",
        {name: partial(fitting, name) for name in makers},
        rounds=rounds,
        warmups=0,
        table=f"{trees} trees",
    )
    same = same_trees(*(surrogate.ensemble() for surrogate in fitted.values()))
    facts = {"same trees": f"{same} of {trees}", "data": rows.label}
    return replace(case, facts=facts)


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


def _parsed() -> argparse.Namespace:
    parser = frame_options(__doc__, rounds=3)
    add_arguments(parser)
    parser.set_defaults(instance="faces")
    parser.add_argument(
        "--synthetic", action="store_true", help="drawn codes, where there is no CelebA"
    )
    parser.add_argument("--rows", type=whole_numbers, default=[5000, 13_000, 100_000])
    parser.add_argument("--threads", type=whole_numbers, default=[1, 2])
    return parser.parse_args()


def main() -> None:
    """Measure, print and record."""
    options = _parsed()
    if options.synthetic:
        source = synthetic_rows(max(options.rows), options.grid**2, options.codes)
    else:
        source = coded_faces(recipe_of(options), options)
    settings, packages = settings_of(options), ("lightgbm", "numba", "numpy")
    with Recording("refit", command_of("refit"), settings, packages, options.results) as recording:
        for n in options.rows:
            for threads in options.threads:
                rows = resized(source, n)
                recording.add(
                    compared(rows, threads=threads, trees=options.trees, rounds=options.rounds)
                )


if __name__ == "__main__":
    main()
