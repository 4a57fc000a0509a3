"""How a query's time and memory grow, one axis at a time around a default query.

    python -m benchmarks.growth
    python -m benchmarks.growth --axes rows,trees --limit 300
    python -m benchmarks.growth --quick

A query is a fit and a solve; the default has 10,000 rows, K = 256, 8x8 cells, 800 trees of depth 2
and 8 free cells. Training and encoding grow with the image. Every point has a process of its own,
one thread and a limit; behind a point that reaches it the axis ends. Rows are procedural faces
coded by k-means (`benchmarks.trees.instances`), or those of --instance celeba.

Exponents are slopes of least squares in log-log over the upper half of an axis, where what is
fixed no longer counts. From them follows how far each axis is from its wall: `MOST_SECONDS` a
query or `MOST_MEMORY`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

from benchmarks.extra_tables import printed, titled
from benchmarks.growth_axes import AXES, QUICK, Axis, ImagePoint, Point
from benchmarks.growth_laws import CURE, WHY, Wall, exponent, reached
from benchmarks.recording import RESULTS, Recording, write_result

SOLVE_SECONDS = 20.0
MOST_SECONDS, MOST_MEMORY = 60.0, 4096.0  # a query's seconds, and MiB
# Times the default: laws are not stretched farther.
FAR = 1000.0
MOST = {"fit": MOST_SECONDS, "solve": MOST_SECONDS, "memory": MOST_MEMORY}
QUANTITIES = {
    "fit": "fit, s",
    "solve": "solve, s",
    "train": "training, s an image",
    "encode": "encoding, s an image",
    "memory": "memory, MiB",
}
REPOSITORY = Path(__file__).parents[1]


@dataclass
class Series:
    """One axis with one surrogate.

    Attributes:
        axis: its name.
        default: where other axes hold it.
        subject: the surrogate, or "vqvae".
        quantities: what is told of its points.
        values: measured, ascending.
        points: what `benchmarks.growth_point` said of each.
        ended: why larger values were not measured; empty if all were.
        ended_at: the value that was too much; None without one.
    """

    axis: str
    default: int
    subject: str
    quantities: tuple[str, ...]
    values: list[int] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""
    ended_at: int | None = None

    def end(self, value: int, reason: str) -> None:
        """Note that this value was too much."""
        self.ended, self.ended_at = f"{value:,}: {reason}", value

    def measured(self, quantity: str) -> list[float]:
        """One quantity of all points."""
        return [point[quantity] for point in self.points]

    def exponent(self, quantity: str) -> float:
        """NaN where there are too few points."""
        return exponent(self.values, self.measured(quantity))

    def walls(self) -> Iterator[Wall]:
        """What was met, and what the laws of growth say of the rest."""
        if self.ended_at is not None:
            times = self.ended_at / self.default
            yield Wall(self.axis, self.subject, self.quantities[0], self.ended_at, times, True)
        for quantity in self.quantities:
            if quantity in MOST and len(self.values) > 2:
                value = reached(self.values, self.measured(quantity), MOST[quantity])
                yield Wall(self.axis, self.subject, quantity, value, value / self.default, False)


class Rows:
    """Prepared rows of points, made once each.

    Args:
        folder: for the files.
        options: `instance`, `celeba` and `cache`.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options

    def of(self, point: Point) -> Path:
        """The file of a point's rows."""
        name = f"{point.rows}x{point.grid}x{point.grid}-{point.categories}.npz"
        path = self.folder / name
        if not path.is_file():
            chosen = self.options
            folders = {name: getattr(chosen, name) for name in ("celeba", "cache")}
            where = {name: str(path) for name, path in folders.items() if path}
            task = {"task": "prepare", "point": asdict(point), "data": str(path)}
            _asked(task | {"instance": chosen.instance, "where": where}, None)
        return path


def measured(axis: Axis, rows: Rows, limit: float) -> list[Series]:
    """Every point of an axis, in a process of its own, until one takes longer than the limit."""
    found = []
    for subject, points in axis.points():
        series = Series(axis.name, axis.default, subject, axis.quantities)
        for value, point in points:
            if isinstance(point, ImagePoint):
                task: dict[str, Any] = {"task": "image", "point": asdict(point)}
            else:
                data = str(rows.of(point))
                task = {"task": "query", "point": asdict(point), "data": data}
                task["seconds"] = SOLVE_SECONDS
            try:
                answer = _asked(task, limit)
            except subprocess.TimeoutExpired:
                series.end(value, f"more than {limit:.0f} s in all")
                break
            series.values.append(value)
            series.points.append(answer)
            print(f"{axis.name} {subject} {value}: {_told(answer)}", file=sys.stderr, flush=True)
            if not answer.get("proven", True):
                series.end(value, f"not proven in {SOLVE_SECONDS:.0f} s")
                break
        found.append(series)
    return found


def _asked(task: Mapping[str, Any], limit: float | None) -> dict[str, Any]:
    """What a process of its own answers; one thread, and ended at the limit."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth_point", json.dumps(task)],
        cwd=REPOSITORY,
        env=os.environ | one,
        stdout=subprocess.PIPE,
        timeout=limit,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout or "{}")
    return answer


def _told(answer: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in answer.items())


def table(found: Sequence[Series]) -> dict[str, Any]:
    """A line per axis, surrogate and quantity: the values, the exponent and its reason."""
    lines = []
    for series in found:
        for quantity in series.quantities:
            cells = [
                f"{value:,}: {measure:.3g}"
                for value, measure in zip(series.values, series.measured(quantity), strict=True)
            ]
            cells += [series.ended] if series.ended else []
            slope = series.exponent(quantity)
            lines.append(
                [
                    series.axis,
                    series.subject,
                    QUANTITIES[quantity],
                    "; ".join(cells),
                    "-" if isnan(slope) else f"{slope:.2f}",
                    WHY.get((series.axis, quantity), ""),
                ]
            )
    heads = ["axis", "of", "quantity", "measured", "exponent", "expected, since"]
    return titled("Growth", heads, lines)


def walls_of(found: Sequence[Series]) -> list[Wall]:
    """All walls within reach, the nearest first."""
    walls = [wall for series in found for wall in series.walls() if wall.times < FAR]
    return sorted(walls, key=lambda wall: wall.times)


def wall_told(wall: Wall) -> str:
    """One sentence."""
    how = "measured" if wall.observed else "by its exponent"
    cure = CURE.get((wall.axis, wall.quantity), "nothing known")
    return (
        f"{wall.axis} {wall.value:,.3g} ({wall.times:,.3g} times the default, {how}): "
        f"{wall.quantity} of {wall.subject}; moved by {cure}"
    )


def record(found: Sequence[Series]) -> dict[str, Any]:
    """Everything measured, as JSON; `tables` holds what a page shows."""
    walls = [[wall_told(wall)] for wall in walls_of(found)]
    return {
        "series": [
            asdict(series)
            | {"exponents": {name: series.exponent(name) for name in series.quantities}}
            for series in found
        ],
        "walls": [asdict(wall) for wall in walls_of(found)],
        "tables": [table(found), titled("Walls", ["the nearest first"], walls)],
    }


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    fields = sorted({axis.field for axis in AXES})
    parser.add_argument("--axes", help=f"some of {', '.join(fields)}; all by default")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds a point, in all")
    parser.add_argument("--quick", action="store_true", help="the plumbing alone")
    parser.add_argument("--instance", choices=("faces", "celeba"), default="faces")
    parser.add_argument(
        "--celeba", type=Path, metavar="DIR", help="where it is; by default VQLSO_CELEBA"
    )
    parser.add_argument("--cache", type=Path, default=None, help="of coded faces")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for growth.json")
    options = parser.parse_args(arguments)
    options.axes = options.axes.split(",") if options.axes else fields
    if unknown := set(options.axes) - set(fields):
        parser.error(f"unknown axes {', '.join(sorted(unknown))}; there are {', '.join(fields)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the chosen axes; write and print the table and the walls."""
    options = _parsed(arguments)
    axes = [axis for axis in (QUICK if options.quick else AXES) if axis.field in options.axes]
    told = sys.argv[1:] if arguments is None else arguments
    settings = {
        "instance": options.instance,
        "default": asdict(Point()),
        "limit": options.limit,
        "solve_seconds": SOLVE_SECONDS,
        "most_seconds": MOST_SECONDS,
        "most_memory": MOST_MEMORY,
    }
    command = " ".join(["python -m benchmarks.growth", *told])
    recording = Recording("growth", command, settings, ("numba", "lightgbm"), options.results)
    found: list[Series] = []
    with recording, tempfile.TemporaryDirectory() as folder:
        rows = Rows(Path(folder), options)
        _asked({"task": "compile"}, None)
        for axis in axes:
            found += measured(axis, rows, options.limit)
            recording.extra = record(found)
            write_result(recording.name, recording.record(), recording.folder)
        print(printed(recording.extra["tables"]))


if __name__ == "__main__":
    main()
