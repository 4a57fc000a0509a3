"""Our exact tree optimiser beside its peers: the same models, the same queries, in turn.

    python -m benchmarks.trees.compare --instance faces --free 4,8,16,32,64 --queries 5 \
        --engines highs,tables --peers entmoot
    python -m benchmarks.trees.compare --instance celeba --coding integer \
        --peers entmoot,omlt,pyscipopt-ml,gurobi-ml --json results.json

Peers are optional: benchmarks/trees/peers.py names the packages. Most take thresholds only, that
is `--coding integer`. Each method works in a process of its own, one at a time; a query more
warms it up and is not counted.

The columns: `proven` optimal of the queries asked; medians over queries of the seconds until the
search began and until the answer, given a model that was read once a fit; the same with the model
read, or converted, for the query; how many times as long the peer in the heading takes, for both;
the largest difference between what was claimed and what LightGBM predicts at the codes returned;
and by how much these fall short of the best that any method found.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from statistics import median

from benchmarks.trees.instances import Problem, add_arguments, problem, recipe_of
from benchmarks.trees.measuring import (
    Measurement,
    Methods,
    Query,
    Solution,
    as_record,
    figure,
    markdown,
    shortened,
    versions,
)
from benchmarks.trees.peers import PEERS

YARDSTICK = "entmoot"

# (number of free cells, query) -> the answers of all methods
Answers = dict[tuple[int, int], list[Measurement]]


def query_of(posed: Problem, t: int, number: int, seconds: float, **extras: object) -> Query:
    """Query `number` of an instance with its t cells of highest gain free."""
    return Query(
        posed.model,
        posed.recipe.K,
        posed.recipe.integer,
        posed.free(t),
        posed.reference(number),
        seconds,
        extras,
    )


def answers(
    methods: Methods, posed: Problem, cells: Sequence[int], queries: int, seconds: float
) -> Answers:
    """All methods on all queries, the methods taking turns so that the machine's mood is shared."""
    for name in methods.names:
        methods.measure(name, query_of(posed, min(cells), queries, seconds))
    found = {}
    for t in cells:
        for number in range(queries):
            query = query_of(posed, t, number, seconds)
            found[t, number] = [methods.measure(name, query) for name in methods.names]
            print(f"{t} free cells, query {number + 1} of {queries}", file=sys.stderr)
    return found


def table(found: Answers) -> str:
    """One line per number of free cells and method."""
    heads = [
        "free",
        "method",
        "proven",
        "build s",
        "query s",
        "with reading s",
        f"{YARDSTICK} / query",
        f"{YARDSTICK} / with reading",
        "claim - prediction",
        "below best",
    ]
    best = {
        asked: max((solution.predicted for solution in _solutions(group)), default=-inf)
        for asked, group in found.items()
    }
    lines: dict[tuple[int, str], list[tuple[Measurement, float]]] = defaultdict(list)
    for (t, number), group in found.items():
        for measured in group:
            lines[t, measured.method].append((measured, best[t, number]))
    rows = []
    for (t, _), pairs in lines.items():
        yardstick = [measured for measured, _ in lines.get((t, YARDSTICK), [])]
        rows.append(
            [
                str(t),
                labels(measured for measured, _ in pairs),
                *_cells(pairs, _solutions(yardstick)),
            ]
        )
    return markdown(heads, rows)


def largest_differences(found: Answers) -> tuple[float, float]:
    """Between any two answers to one query that are both called optimal: claims, predictions."""
    claims, predictions = [0.0], [0.0]
    for group in found.values():
        if proven := _solutions(measured for measured in group if measured.proven):
            claims.append(_spread([solution.claimed for solution in proven]))
            predictions.append(_spread([solution.predicted for solution in proven]))
    return max(claims), max(predictions)


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _cells(pairs: Sequence[tuple[Measurement, float]], yardstick: Sequence[Solution]) -> list[str]:
    solutions = _solutions(measured for measured, _ in pairs)
    if not solutions:
        return [shortened(pairs[0][0].status), *["-"] * 7]
    seconds = median(solution.seconds for solution in solutions)
    fresh = median(solution.fresh_seconds for solution in solutions)
    ratios = ["-", "-"]
    if yardstick:
        theirs = median(solution.seconds for solution in yardstick)
        theirs_fresh = median(solution.fresh_seconds for solution in yardstick)
        ratios = [figure(theirs / seconds), figure(theirs_fresh / fresh)]
    false = max(abs(solution.claimed - solution.predicted) for solution in solutions)
    short = max(best - m.solution.predicted for m, best in pairs if m.solution)
    return [
        f"{sum(measured.proven for measured, _ in pairs)}/{len(pairs)}",
        figure(median(solution.build_seconds for solution in solutions)),
        figure(seconds),
        figure(fresh),
        *ratios,
        f"{false:.1e}",
        f"{short:.1e}",
    ]


def labels(group: Iterable[Measurement]) -> str:
    return " / ".join(sorted({measured.label for measured in group}))


def _solutions(group: Iterable[Measurement]) -> list[Solution]:
    return [measured.solution for measured in group if measured.solution]


def names(text: str) -> list[str]:
    """The words between commas."""
    return [name for name in text.split(",") if name]


def numbers(text: str) -> list[int]:
    """The whole numbers between commas."""
    return [int(name) for name in names(text)]


def write_json(path: Path, settings: dict[str, object], records: Sequence[object]) -> None:
    """Settings, versions, machine and every single measurement."""
    content = {
        "settings": settings,
        "versions": versions(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "measurements": records,
    }
    path.write_text(json.dumps(content, indent=1), "utf-8")


def main() -> None:
    """Compare, print the table and the largest difference between optima."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--free", type=numbers, default=[4, 8, 16, 32, 64], metavar="T,T,...")
    parser.add_argument("--queries", type=int, default=5)
    parser.add_argument("--engines", type=names, default=["highs"], metavar="NAME,NAME,...")
    parser.add_argument("--peers", type=names, default=[], metavar=",".join(PEERS))
    parser.add_argument("--limit", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"unknown peers {', '.join(unknown)}; there are {', '.join(PEERS)}")

    posed = problem(recipe_of(options), options)
    with Methods(options.engines, options.peers) as methods:
        found = answers(methods, posed, options.free, options.queries, options.limit)
    print(f"{posed.name}, {options.queries} queries, limit {options.limit:g} s\n")
    print(table(found))
    claims, predictions = largest_differences(found)
    print(
        f"\nlargest difference between optima: {claims:.1e} as claimed, "
        f"{predictions:.1e} as LightGBM predicts them"
    )
    if options.json:
        records = [
            as_record(measured, free=t, query=number)
            for (t, number), group in found.items()
            for measured in group
        ]
        settings = {"instance": asdict(posed.recipe), "seed": options.seed, "limit": options.limit}
        write_json(options.json, settings, records)


if __name__ == "__main__":
    main()
