"""Thousands of queries on a small problem: what grows with them?

    python -m benchmarks.faults.long_run
    python -m benchmarks.faults.long_run --queries 200 --every 20

One run with all that a run has: a VQ-VAE of 16 pixels that is retrained, boosted trees that are
refitted for each query, an exact solve, controls, the shift, the report. Only the black box is
nothing, so that what is measured is the loop. Sections of the run are compared with its first:
processor seconds a query (wall-clock depends on who else is at work), the largest memory, files.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

from benchmarks.extra_tables import printed, titled
from benchmarks.recording import RESULTS, Recording
from pipeline.configuration.composition import composed
from pipeline.experiment import start

SETTINGS = (
    "size=tiny",
    "threads=1",
    "data.size=16",
    "data.count=6000",
    "generator.epochs=1",
    "objective=callable",
    "objective.target=benchmarks.faults.long_run:brightness",
    "surrogate=grid_boosting",
    "surrogate.trees=50",
    "solver.backend=auto",
    "retrainer.every=25",
    "retrainer.epochs=0.01",
    "retrainer.initial_epochs=0.1",
)
SECTIONS = 10
MIB = 2**20


def brightness(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The black box: the mean of all pixels."""
    means: NDArray[np.float32] = images.mean(axis=(1, 2, 3))
    return means


@dataclass(frozen=True)
class Section:
    """A tenth of the run.

    Attributes:
        queries: done at its end.
        processor, wall: seconds a query.
        memory: MiB of this process at its end.
        folders: of rounds.
        files: in the run folder, archived pictures apart, of which each query leaves three.
    """

    queries: int
    processor: float
    wall: float
    memory: float
    folders: int
    files: int


@dataclass
class Sections:
    """Measures while it shows nothing: given to a run as its progress.

    Attributes:
        out: the run folder.
        length: queries of a section.
        found: so far.
    """

    out: Path
    length: int
    found: list[Section] = field(default_factory=list)
    _began: tuple[float, float] = (0.0, 0.0)
    _done: int = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Count the steps of the task "queries"."""
        if description != "queries":  # of a training, which is a part of the queries' time
            yield lambda _steps: None
            return
        self._began = process_time(), perf_counter()
        yield self._advance

    def _advance(self, steps: int) -> None:
        self._done += steps
        if steps and self._done % self.length == 0:
            now = process_time(), perf_counter()
            processor, wall = ((b - a) / self.length for a, b in zip(self._began, now, strict=True))
            folders = len(list((self.out / "rounds").iterdir()))
            files = files_but_pictures(self.out)
            section = Section(self._done, processor, wall, memory(), folders, files)
            self.found.append(section)
            print(section, file=sys.stderr, flush=True)
            self._began = process_time(), perf_counter()


def files_but_pictures(run: Path) -> int:
    """Counted without a list of the archive's, which would be memory of the measurement's own."""
    count = 0
    for _, folders, files in os.walk(run):
        if "archive" in folders:
            folders.remove("archive")
        count += len(files)
    return count


def memory() -> float:
    """MiB that this process holds now."""
    fields = Path("/proc/self/statm").read_text(encoding="utf-8").split()
    return int(fields[1]) * 4096 / MIB


def table(found: Sequence[Section]) -> dict[str, object]:
    """A line a section."""
    first = found[0]
    rows = [
        [
            f"{each.queries:,}",
            f"{1000 * each.processor:.1f}",
            f"{each.processor / first.processor:.2f}",
            f"{1000 * each.wall:.1f}",
            f"{each.memory:.0f}",
            f"{each.memory / first.memory:.3f}",
            str(each.folders),
            str(each.files),
        ]
        for each in found
    ]
    heads = ["queries", "processor, ms a query", "times the first", "wall-clock, ms a query"]
    heads += ["memory, MiB", "times the first", "folders of rounds", "files other than pictures"]
    return titled("A long run", heads, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and compare its sections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--every", type=int, help="queries between two retrainings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for long_run.json")
    options = parser.parse_args(arguments)
    told = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python -m benchmarks.faults.long_run", *told])
    asked = [*SETTINGS, f"queries={options.queries}"]
    asked += [f"retrainer.every={options.every}"] if options.every else []
    with (
        Recording("long_run", command, {"settings": asked}, ("numba",), options.results) as kept,
        tempfile.TemporaryDirectory() as place,
    ):
        out = Path(place) / "run"
        sections = Sections(out, max(1, options.queries // SECTIONS))
        config = composed("smile_shift", [*asked, f"out={out}", f"cache={place}/cache"])
        start(config, ["vqlso", "run", "smile_shift", *asked], sections)
        kept.extra = {"tables": [table(sections.found)]}
        print(printed(kept.extra["tables"]))


if __name__ == "__main__":
    main()
