"""How the time of the exact tree optimiser grows, case by case.

    python -m benchmarks.trees.growth --engines highs,tables
    python -m benchmarks.trees.growth --cases codes,interactions --free 16,64 --json growth.json

Cases: `free` cells; `codes` K; `grid`s of 8x8 and 16x16 cells; number of `trees`; `depth` 3; the
10 `best` points instead of one; 500 `excluded` points near the optimum; a `prior` over all pairs of
neighbouring cells; and `interactions`, a target without main effects, for 60 seconds. What the
options say of the instance holds for everything that a case does not vary.

`gap` is the largest difference between bound and objective that was left.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.trees.compare import labels, names, numbers, query_of, write_json
from benchmarks.trees.instances import Problem, Recipe, add_arguments, problem, recipe_of
from benchmarks.trees.measuring import (
    Measurement,
    Methods,
    as_record,
    figure,
    markdown,
    read,
    shortened,
)
from solvers.trees import Forbidden, PairTerm, maximize
from vqlso.randomness import stream

CODES = (256, 512, 1024)
TREES = (100, 200, 400, 800, 1600, 3000)
BEST = 10
EXCLUDED = 500
# Points around the optimum, of which the highest are excluded.
EXCLUSION_POOL = 20_000
INTERACTION_SECONDS = 60.0

# (instance, number of free cells, query) -> further arguments of `maximize`
Extras = Callable[[Problem, int, int], Mapping[str, Any]]


def _nothing(posed: Problem, t: int, number: int) -> Mapping[str, Any]:  # noqa: ARG001
    return {}


def _several(posed: Problem, t: int, number: int) -> Mapping[str, Any]:  # noqa: ARG001
    return {"k": BEST}


@dataclass(frozen=True)
class Setting:
    """One line of a case: an instance, how many cells are free, and what else is asked."""

    label: str
    recipe: Recipe
    free: int
    extras: Extras = _nothing
    seconds: float | None = None


def _free(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for t in sorted({4, 8, 16, 32, 64, *cells}):
        yield Setting("", recipe, t)


def _codes(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for K in CODES:
        for t in cells:
            yield Setting(f"K={K}", replace(recipe, K=K), t)


def _grid(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for edge in (8, 16):
        for t in sorted({*cells, edge**2}):
            yield Setting(f"{edge}x{edge}", replace(recipe, grid=edge), t)


def _trees(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for trees in TREES:
        for t in cells:
            yield Setting(f"{trees} trees", replace(recipe, trees=trees), t)


def _depth(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for depth in (2, 3):
        for t in sorted({8, 16, 32, *cells}):
            yield Setting(f"depth {depth}", replace(recipe, depth=depth), t)


def _best(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for t in cells:
        yield Setting(f"{BEST} best", recipe, t, _several)


def _excluded(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for t in cells:
        yield Setting(f"{EXCLUDED} excluded", recipe, t, exclusions)


def _prior(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    for t in cells:
        yield Setting("neighbours' prior", recipe, t, neighbour_prior)


def _interactions(recipe: Recipe, cells: Sequence[int]) -> Iterator[Setting]:
    hard = replace(recipe, source="interactions", grid=8)
    for t in sorted({8, 16, 24, 64, *cells}):
        yield Setting("interactions", hard, t, seconds=INTERACTION_SECONDS)


CASES: dict[str, Callable[[Recipe, Sequence[int]], Iterator[Setting]]] = {
    "free": _free,
    "codes": _codes,
    "grid": _grid,
    "trees": _trees,
    "depth": _depth,
    "best": _best,
    "excluded": _excluded,
    "prior": _prior,
    "interactions": _interactions,
}


def exclusions(posed: Problem, t: int, number: int) -> Mapping[str, Any]:
    """The highest of many points that differ from the optimum in at most 3 cells, and itself."""
    ensemble = read(posed.booster(), posed.recipe.K, posed.recipe.integer)
    free, reference = posed.free(t), posed.reference(number)
    z = maximize(ensemble, free=free, reference=reference, backend="highs").z
    random = stream(posed.seed, "exclusions", number)
    pool = np.tile(z, (EXCLUSION_POOL, 1))
    for _ in range(3):
        changed = random.choice(free, len(pool))
        pool[np.arange(len(pool)), changed] = random.integers(0, posed.recipe.K, len(pool))
    pool = np.unique(np.vstack([z, pool]), axis=0)
    highest = pool[np.argsort(-ensemble.predict(pool), kind="stable")[:EXCLUDED]]
    return {"constraints": [Forbidden({int(c): int(row[c]) for c in free}) for row in highest]}


def neighbour_prior(posed: Problem, t: int, number: int) -> Mapping[str, Any]:  # noqa: ARG001
    """Log-frequencies of neighbouring codes, scaled to vary over the data as predictions do."""
    edge = posed.recipe.grid
    cells = np.arange(edge**2).reshape(edge, edge)
    pairs = [
        *zip(cells[:, :-1].ravel(), cells[:, 1:].ravel(), strict=True),
        *zip(cells[:-1].ravel(), cells[1:].ravel(), strict=True),
    ]
    tables = [_log_frequencies(posed.codes, int(a), int(b), posed.recipe.K) for a, b in pairs]
    terms = zip(pairs, tables, strict=True)
    total = sum(table[posed.codes[:, a], posed.codes[:, b]] for (a, b), table in terms)
    predictions = posed.booster().predict(posed.codes.astype(np.float64), num_threads=1)
    scale = np.std(predictions) / np.std(total)
    return {
        "terms": [
            PairTerm(int(a), int(b), scale * table)
            for (a, b), table in zip(pairs, tables, strict=True)
        ]
    }


def _log_frequencies(
    codes: NDArray[np.int64], first: int, second: int, K: int
) -> NDArray[np.float64]:
    """(K, K) log of the smoothed share of rows with each pair of codes."""
    counts = np.bincount(codes[:, first] * K + codes[:, second], minlength=K * K).reshape(K, K)
    # Half a sighting for pairs never seen (Krichevsky & Trofimov 1981).
    return np.asarray(np.log((counts + 0.5) / (len(codes) + 0.5 * K * K)))


def line(case: str, setting: Setting, group: Sequence[Measurement]) -> list[str]:
    """One row of the table."""
    start = [case, setting.label, str(setting.free), labels(group)]
    solutions = [measured.solution for measured in group if measured.solution]
    if not solutions:
        return [*start, shortened(group[0].status), *["-"] * 4]
    seconds = [solution.seconds for solution in solutions]
    nodes = [solution.nodes for solution in solutions if solution.nodes is not None]
    return [
        *start,
        f"{sum(measured.proven for measured in group)}/{len(group)}",
        figure(median(seconds)),
        figure(max(seconds)),
        figure(max(solution.bound - solution.claimed for solution in solutions)),
        f"{max(nodes)}" if nodes else "-",
    ]


def measured(
    methods: Methods, setting: Setting, options: argparse.Namespace
) -> dict[str, list[Measurement]]:
    """Every engine's answers to the queries of one setting, the engines taking turns."""
    posed = problem(setting.recipe, options)
    seconds = options.limit if setting.seconds is None else setting.seconds
    found: dict[str, list[Measurement]] = {name: [] for name in methods.names}
    # The last query is the first asked: it warms the engines up and is not counted.
    for number in (options.queries, *range(options.queries)):
        extras = setting.extras(posed, setting.free, number)
        query = query_of(posed, setting.free, number, seconds, **extras)
        for name in methods.names:
            answer = methods.measure(name, query)
            if number < options.queries:
                found[name].append(answer)
    return found


def main() -> None:
    """Measure the chosen cases and print a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--cases", type=names, default=list(CASES), metavar=",".join(CASES))
    parser.add_argument("--free", type=numbers, default=[16, 64], metavar="T,T,...")
    parser.add_argument("--queries", type=int, default=3)
    parser.add_argument("--engines", type=names, default=["highs"], metavar="NAME,NAME,...")
    parser.add_argument("--limit", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"unknown cases {', '.join(unknown)}; there are {', '.join(CASES)}")

    heads = ["case", "", "free", "engine", "proven", "median s", "slowest s", "gap", "nodes"]
    print(markdown(heads, []), flush=True)
    settings = {
        "instance": asdict(recipe_of(options)),
        "seed": options.seed,
        "limit": options.limit,
    }
    records: list[dict[str, object]] = []
    with Methods(options.engines) as methods:
        for case in options.cases:
            for setting in CASES[case](recipe_of(options), options.free):
                for group in measured(methods, setting, options).values():
                    print("| " + " | ".join(line(case, setting, group)) + " |", flush=True)
                    where = {"case": case, "setting": setting.label, "free": setting.free}
                    records += [
                        as_record(answer, **where, query=number)
                        for number, answer in enumerate(group)
                    ]
                if options.json:
                    write_json(options.json, settings, records)


if __name__ == "__main__":
    main()
