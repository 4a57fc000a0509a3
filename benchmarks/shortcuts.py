"""Cheaper refits, judged by what the search reaches with them.

    python -m benchmarks.shortcuts
    python -m benchmarks.shortcuts --queries 500 --workers 2
    python -m benchmarks.shortcuts --queries 500 --workers 2 --continue
    python -m benchmarks.shortcuts --data ../celeba --only "LightGBM with feature_fraction .5"

Searches without retraining, from the same scored archive, one a seed and shortcut; seeds draw the
references. The searches of a seed take turns, a query each, in one thread; --workers tells how many
seeds are searched side by side. The results are written after every seed, and --continue goes on
after those that an interrupted run of the same command has left. Procedural faces with the packaged
networks, or with --data a folder of CelebA, whose networks are trained first if no earlier run
has left them in the cache.

R^2 is measured on a fifth of the archive that was not fitted to; where trees are added, after
`UPDATES` such updates with the same rows. The paired differences are those to the full refit, with
95 % intervals over seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.extra_tables import printed, titled
from benchmarks.held_out import held_out_r2
from benchmarks.paired import Spread
from benchmarks.recording import RESULTS, Recording, write_result
from benchmarks.shortcut_surrogates import FULL, SHORTCUTS, ContinuedLightGBM
from benchmarks.tables import spread
from benchmarks.whole_tables import reached
from pipeline.configuration.composition import composed
from pipeline.configuration.settings import ExperimentConfig
from pipeline.preparation.preparing import Preparation, prepare
from pipeline.runs.folder import RunFolder
from solvers.contracts import TreeSurrogate
from solvers.free_cells import FreeCells
from solvers.surrogate_based import SurrogateSolver
from vqlso.hardware import limit_threads
from vqlso.images import to_unit
from vqlso.metrics.paired import paired_difference
from vqlso.problems.image_score import ImageScore
from vqlso.progress import SILENT
from vqlso.records import Context

UPDATES = 10


@dataclass
class Search:
    """One seed's search with one shortcut.

    Attributes:
        solver, problem: of the search.
        seconds: of every proposal: refit, solve and check.
        values: what the scorer gave.
        images: (3, H, W) uint8, what it was given.
    """

    solver: SurrogateSolver
    problem: ImageScore
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    images: list[NDArray[np.uint8]] = field(default_factory=list)

    @classmethod
    def begun(cls, start: Preparation, surrogate: TreeSurrogate, seed: int, t: int) -> Search:
        """At the scored archive."""
        solver = SurrogateSolver(
            start.generator.space, surrogate, free_cells=FreeCells(t), seed=seed
        )
        solver.rebase(start.archive)
        return cls(solver, ImageScore(start.generator, start.objective))

    def step(self) -> None:
        """One query; controls are not scored."""
        began = perf_counter()
        proposal = replace(self.solver.ask(1), controls={})
        self.seconds.append(perf_counter() - began)
        scores = self.problem.evaluate(proposal, Context(self.solver.seed, 0))
        self.solver.tell(proposal, scores)
        self.values.append(float(scores.values[0]))
        self.images.append(scores.images[0])


@dataclass(frozen=True)
class Outcome:
    """A finished search.

    Attributes:
        shortcut, seed: whose.
        seconds: mean over its queries but the first of refit, solve and check.
        scorer, judge: what was reached by name of the measure; the judge's is empty without one.
    """

    shortcut: str
    seed: int
    seconds: float
    scorer: Mapping[str, float]
    judge: Mapping[str, float]


def searched(
    seed: int, *, start: Preparation, shortcuts: Sequence[str], queries: int, trees: int, t: int
) -> list[Outcome]:
    """All searches of a seed, a query each in turn."""
    categories = start.generator.space.categories
    searches = {
        name: Search.begun(start, SHORTCUTS[name](categories, trees), seed, t) for name in shortcuts
    }
    for _ in range(queries):
        for search in searches.values():
            search.step()
    outcomes = []
    for name, search in searches.items():
        judged = start.judge(to_unit(np.stack(search.images))) if start.judge else None
        outcomes.append(
            Outcome(
                name,
                seed,
                # The first is a full fit for all, and may compile.
                mean(search.seconds[1:] or search.seconds),
                reached(np.array(search.values)),
                {} if judged is None else reached(judged),
            )
        )
    return outcomes


def side_by_side(
    search: Callable[[int], list[Outcome]], seeds: Iterable[int], workers: int
) -> Iterator[list[Outcome]]:
    """What `search` says of every seed, in processes of one thread if there are several."""
    if workers == 1:
        yield from map(search, seeds)
        return
    # Forked processes would inherit locks that the libraries' threads may hold.
    with ProcessPoolExecutor(workers, get_context("spawn"), limit_threads, (1,)) as pool:
        yield from pool.map(search, seeds)


def finished(recording: Recording) -> list[Outcome]:
    """What an interrupted run left: outcomes of the same command on the same machine."""
    path = recording.folder / f"{recording.name}.json"
    if not path.exists():
        return []
    left, now = json.loads(path.read_text(encoding="utf-8")), recording.record()
    same = all(left[part] == now[part] for part in ("command", "settings", "machine"))
    return [Outcome(**outcome) for outcome in left["outcomes"]] if same else []


def shortcut_r2(
    z: NDArray[np.int64],
    y: NDArray[np.float64],
    shortcut: str,
    categories: int,
    trees: int,
) -> float:
    """R^2 of codes `z` (n, rows, columns) and scores `y` (n,) that were not fitted to."""
    surrogate = SHORTCUTS[shortcut](categories, trees)
    updates = UPDATES if isinstance(surrogate, ContinuedLightGBM) else 1
    return held_out_r2(surrogate, z, y, updates=updates)


def table(outcomes: Sequence[Outcome], r2: Mapping[str, float]) -> dict[str, Any]:
    """A row a shortcut: means over seeds, and in brackets differences to the full refit."""
    by_name: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.shortcut, []).append(outcome)
    full = by_name[FULL]
    measures = [(by, name) for by in ("scorer", "judge") for name in getattr(full[0], by)]
    rows = []
    for name, group in by_name.items():
        faster = [f.seconds / g.seconds for f, g in zip(full, group, strict=True)]
        rows.append(
            [
                name,
                spread(Spread.of([each.seconds for each in group])),
                spread(Spread.of(faster)),
                f"{r2[name]:.3f}",
                *(_compared(group, full, by, measure) for by, measure in measures),
            ]
        )
    heads = ["refit", "seconds a query", "times faster", "held-out R^2"]
    heads += [f"{by}: {measure}" for by, measure in measures]
    return titled("Cheaper refits", heads, rows)


def results(outcomes: Sequence[Outcome], r2: Mapping[str, float]) -> dict[str, Any]:
    """What the file has beside the recording's own entries."""
    written = [asdict(outcome) for outcome in outcomes]
    return {"r2": r2, "outcomes": written, "tables": [table(outcomes, r2)] if outcomes else []}


def _compared(group: Sequence[Outcome], full: Sequence[Outcome], by: str, measure: str) -> str:
    ours = np.array([getattr(each, by)[measure] for each in group])
    theirs = np.array([getattr(each, by)[measure] for each in full])
    if group is full:
        return f"{ours.mean():.3f}"
    difference = paired_difference(ours, theirs)
    mark = "*" if difference.clear_of_zero else ""
    return f"{ours.mean():.3f} ({difference.mean:+.3f} ± {difference.half_width:.3f}){mark}"


def configured(options: argparse.Namespace) -> ExperimentConfig:
    """The demo's data and networks, or CelebA's with a generator of the same width."""
    chosen = ["retrainer=none", "threads=1", *options.overrides]
    if options.data is None:
        return composed("demo", chosen)
    real = ["data=celeba", f"data.root={options.data}", "generator=vqvae_half"]
    return composed("smile_shift", [*real, "generator.epochs=50", *chosen])


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5, help="so many, from 0")
    parser.add_argument("--workers", type=int, default=1, help="processes, a seed each")
    parser.add_argument(
        "--continue", action="store_true", dest="go_on", help="after the seeds in the results"
    )
    parser.add_argument("--only", metavar="NAME,NAME", help="shortcuts; the full refit is added")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of CelebA")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args(arguments)
    asked = options.only.split(",") if options.only else list(SHORTCUTS)
    if unknown := set(asked) - set(SHORTCUTS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; there are {', '.join(SHORTCUTS)}")
    options.only = [FULL, *(name for name in asked if name != FULL)]
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, and write and print after every seed what was reached."""
    options = _parsed(arguments)
    config = configured(options)
    limit_threads(1)
    name = "shortcuts" if options.data is None else "shortcuts_celeba"
    told = sys.argv[1:] if arguments is None else arguments
    settings = {key: getattr(options, key) for key in ("queries", "seeds", "workers", "overrides")}
    told = [word for word in told if word != "--continue"]
    command = " ".join(["python -m benchmarks.shortcuts", *told])
    recording = Recording(name, command, settings, ("lightgbm", "numba"), options.results)
    trees, t = config.surrogate.trees, config.solver.t
    with tempfile.TemporaryDirectory() as folder:
        start = prepare(config, RunFolder(Path(folder)), SILENT)
    K = start.generator.space.categories
    with recording:
        archive = start.archive
        z, y = archive.latents(archive.version), archive.scores
        r2 = {each: shortcut_r2(z, y, each, K, trees) for each in options.only}
        search = partial(
            searched,
            start=start,
            shortcuts=options.only,
            queries=options.queries,
            trees=trees,
            t=t,
        )
        outcomes = finished(recording) if options.go_on else []
        missing = sorted(set(range(options.seeds)) - {outcome.seed for outcome in outcomes})
        done = side_by_side(search, missing, options.workers)
        recording.extra = results(outcomes, r2)
        for seed, of_seed in zip(missing, done, strict=True):
            outcomes += of_seed
            recording.extra = results(outcomes, r2)
            write_result(name, recording.record(), options.results)
            tables = recording.extra["tables"]
            print(f"seed {seed}\n{printed(tables)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
