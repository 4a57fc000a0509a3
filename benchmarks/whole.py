"""The whole search, by our loop and by a straightforward one, a period of each in turn.

    python -m benchmarks.whole
    python -m benchmarks.whole --queries 500 --peer-queries 2
    python -m benchmarks.whole --queries 500

Procedural faces with the packaged networks, weighted retraining every --every queries, as
`vqlso run demo surrogate=grid_boosting`. The other loop is `benchmarks.whole_peer`: LightGBM from
scratch, ENTMOOT's encoding solved by HiGHS through Pyomo, float32. A period is a retraining and
the queries up to the next; both loops have the same seeds, references and draws, and score alike.
The full comparison takes most of an hour; with --peer-queries N the other loop runs only the
first N queries of each period, and its seconds in all are extrapolated.

ENTMOOT needs an environment of its own (docs/tree-benchmarks.md). Further `key=value` arguments
configure the run. The result is written after every period.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Protocol

import lightgbm
import numpy as np

from benchmarks.extra_tables import printed
from benchmarks.recording import RESULTS, Recording, write_result
from benchmarks.trees.peers import Question, entmoot
from benchmarks.whole_peer import Ask, Straightforward
from benchmarks.whole_stages import Ledger, Period, Queried, Stages, TimedArchive, timed
from benchmarks.whole_tables import cases, described, progress
from pipeline.configuration.composition import composed
from pipeline.configuration.settings import ExperimentConfig
from pipeline.preparation.preparing import Preparation, prepare
from pipeline.runs.folder import RunFolder
from pipeline.tasks.search import build_loop
from pipeline.threads import threads_of
from solvers.surrogates import GridBoosting
from solvers.trees import maximize
from vqlso.archive import Archive
from vqlso.contracts import RetrainableGenerator, Retrainer
from vqlso.hardware import limit_threads
from vqlso.progress import SILENT
from vqlso.records import Context, FitReport, Proposal, Scores

PACKAGES = ("torch", "numba", "lightgbm", "entmoot", "pyomo", "highspy")


class Contestant(Protocol):
    """A loop that is run step by step."""

    name: str

    def retrain(self) -> Stages:
        """One retraining with all that follows from it."""

    def query(self, number: int) -> tuple[Stages, Queried]:
        """One query."""


class TimedRetrainer:
    """A retrainer that knows what its last retraining took."""

    def __init__(self, retrainer: Retrainer) -> None:
        self._retrainer = retrainer
        self.due = retrainer.due
        self.weights = retrainer.weights
        self.seconds = 0.0

    def retrain(
        self, generator: RetrainableGenerator, archive: Archive, *, seed: int, round_: int
    ) -> tuple[RetrainableGenerator, FitReport]:
        """As the retrainer."""
        began = perf_counter()
        done = self._retrainer.retrain(generator, archive, seed=seed, round_=round_)
        self.seconds = perf_counter() - began
        return done


class Ours:
    """`pipeline.loop.Loop`, with its journal and its files, but without the monitor.

    Args:
        config: of the run.
        start: what it starts from.
        archive: a copy of its own.
        folder: for its files.
        threads: of all libraries.
    """

    name = "ours"

    def __init__(
        self,
        config: ExperimentConfig,
        start: Preparation,
        archive: TimedArchive,
        folder: RunFolder,
        threads: int,
    ) -> None:
        self.archive = archive
        self.loop = build_loop(config, replace(start, archive=archive), folder, threads)
        self.retrainer = TimedRetrainer(self.loop.retrainer)
        self.loop.retrainer = self.retrainer
        self.loop.restore()
        # Round 0, the generator as it is, is not journalled: nobody reads it here.
        self.loop.round = 0

    def retrain(self) -> Stages:
        """One retraining; what is neither training nor encoding is writing files."""
        seconds: Stages = {}
        with timed(seconds, "other"):
            self.loop.retrain()
        parts = {"retrain": self.retrainer.seconds, "re-encode": self.archive.seconds}
        return parts | {"other": seconds["other"] - sum(parts.values())}

    def query(self, number: int) -> tuple[Stages, Queried]:
        """One query; checking includes what the solver does beside fitting and solving."""
        seconds: Stages = {}
        loop = self.loop
        with timed(seconds, "verify"):
            proposal = loop.propose()
        told = proposal.details["seconds"]
        seconds["verify"] -= told["fit"] + told["solve"]
        parts = {"fit": told["fit"], "build": told["build"], "solve": told["solve"] - told["build"]}
        context = Context(loop.seed, loop.round)
        with timed(seconds, "decode and score"):
            scores = loop.problem.evaluate(replace(proposal, controls={}), context)
        with timed(seconds, "controls"):
            scores = self._with_controls(proposal, scores, context)
        with timed(seconds, "record"):
            loop.record(proposal, scores)
        return parts | seconds, Queried(number, float(scores.values[0]), scores.images[0])

    def _with_controls(self, proposal: Proposal, scores: Scores, context: Context) -> Scores:
        controls = {
            name: self.loop.problem.evaluate(replace(proposal, z=z, controls={}), context)
            for name, z in proposal.controls.items()
        }
        return replace(
            scores,
            control_values={name: each.values for name, each in controls.items()},
            control_images={name: each.images for name, each in controls.items()},
        )


def period(contestant: Contestant, ledger: Ledger, first: int, due: int, asked: int) -> None:
    """One retraining and its queries, from number `first` on."""
    retraining = contestant.retrain()
    sums: Stages = {}
    for number in range(first, first + asked):
        seconds, queried = contestant.query(number)
        ledger.queried.append(queried)
        for stage, value in seconds.items():
            sums[stage] = sums.get(stage, 0.0) + value
    ledger.periods.append(Period(due, asked, retraining, sums))


def race(
    ours: Contestant, peer: Contestant, *, queries: int, every: int, peer_queries: int
) -> Iterator[tuple[Ledger, Ledger]]:
    """Both ledgers after every period, in which the two take turns to be first.

    Args:
        ours: runs all queries.
        peer: runs the first `peer_queries` of each period.
        queries: in all.
        every: queries a period; the last may have fewer.
        peer_queries: at least 1.
    """
    ledgers = Ledger(ours.name), Ledger(peer.name)
    for number, first in enumerate(range(0, queries, every)):
        due = min(every, queries - first)
        turns = [(ours, ledgers[0], due), (peer, ledgers[1], min(due, peer_queries))]
        for contestant, ledger, asked in turns[:: -1 if number % 2 else 1]:
            period(contestant, ledger, first, due, asked)
        yield ledgers


def warm_up(solve: Ask) -> None:
    """What is imported and compiled once."""
    rng = np.random.default_rng(0)
    codes = rng.integers(8, size=(400, 16))
    ours = GridBoosting(8, trees=5)
    ours.fit(codes, codes[:, 0] + rng.normal(size=400))
    maximize(ours.ensemble(), free=np.arange(4), reference=codes[0])
    data = lightgbm.Dataset(
        codes.astype(float), codes[:, 0], categorical_feature=list(range(codes.shape[1]))
    )
    parameters = {"objective": "regression", "max_depth": 2, "verbosity": -1}
    booster = lightgbm.train(parameters, data, num_boost_round=5)
    solve(Question(booster, 8, False, np.arange(4), codes[0], 60.0))


def configured(options: argparse.Namespace) -> ExperimentConfig:
    """The demo with grid boosting and nothing but the loop."""
    chosen = [
        "surrogate=grid_boosting",
        "shift.samples=0",
        f"queries={options.queries}",
        f"retrainer.every={options.every}",
        f"seed={options.seed}",
    ]
    if options.threads:
        chosen.append(f"threads={options.threads}")
    return composed("demo", [*chosen, *options.overrides])


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--every", type=int, default=5, help="queries a period")
    parser.add_argument("--peer-queries", type=int, metavar="N", help="a period, of the other loop")
    parser.add_argument("--threads", type=int, help="of all libraries; by default the cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for whole.json")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args(arguments)
    if options.peer_queries is None:
        options.peer_queries = options.every
    if min(options.queries, options.every, options.peer_queries) < 1:
        parser.error("numbers of queries must be at least 1")
    return options


def main(arguments: Sequence[str] | None = None, solve: Ask = entmoot) -> None:
    """Run both loops, and write and print how they compare.

    Args:
        arguments: of the command line.
        solve: what the other loop solves its programs with.
    """
    options = _parsed(arguments)
    if solve is entmoot and find_spec("entmoot") is None:
        raise SystemExit("ENTMOOT is not installed here: see docs/tree-benchmarks.md.")
    config = configured(options)
    threads = threads_of(config)
    limit_threads(threads)
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(Path(path))
        start = prepare(config, folder, SILENT)
        archives = [TimedArchive.copied(start.archive) for _ in range(2)]
        ours = Ours(config, start, archives[0], folder, threads)
        scoring = start.generator, start.objective
        peer = Straightforward(config, *scoring, archives[1], threads, solve)
        warm_up(solve)
        told = sys.argv[1:] if arguments is None else arguments
        command = " ".join(["python -m benchmarks.whole", *told])
        settings = {name: value for name, value in vars(options).items() if name != "results"}
        settings["threads"] = threads
        recording = Recording("whole", command, settings, PACKAGES, options.results)
        with recording:
            numbers = {
                "queries": options.queries,
                "every": options.every,
                "peer_queries": options.peer_queries,
            }
            for ledgers in race(ours, peer, **numbers):
                recording.cases = cases(*ledgers)
                recording.extra = described(*ledgers, start.judge)
                write_result(recording.name, recording.record(), recording.folder)
                print(progress(*ledgers), file=sys.stderr, flush=True)
            print(printed(recording.extra["tables"]))


if __name__ == "__main__":
    main()
