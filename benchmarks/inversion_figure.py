"""Loss against seconds, from benchmarks/results/inversion.json.

Writes docs/pictures/inversion-seconds.png:

    python -m benchmarks.inversion_figure
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.inversion import METHODS, NAME
from benchmarks.inversion_courses import climbs
from benchmarks.recording import RESULTS
from pipeline.report.style import INK, JUDGE, SCORER, canvas, png

CASE = "semi-specified"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "inversion-seconds.png"
# Of the height of the chart: less, and labels touch.
LINE = 0.055
# What was done before is not worth a decade of the axis.
SHORTEST = 0.3


def main() -> None:
    """Draw every method whose course is known."""
    record = json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))
    PICTURE.write_bytes(drawn(_courses(record)))


def drawn(courses: Mapping[str, Mapping[str, Any]]) -> bytes:
    """A PNG with a line for each method's course, labelled at its end.

    Args:
        courses: "seconds" and "criterion" of each method, which "climbs" or does not.
    """
    with canvas(660, 420) as (figure, axes):
        for course in courses.values():
            hue = SCORER if course["climbs"] else JUDGE
            axes.plot(course["seconds"], course["criterion"], color=hue)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(left=SHORTEST)
        ticks = [1, 2, 3, 5]
        axes.set_yticks(ticks, [f"{tick}" for tick in ticks])
        axes.set_yticks([], minor=True)
        seconds = [0.3, 1, 3, 10, 30, 100, 300]
        axes.set_xticks(seconds, [f"{tick:g}" for tick in seconds])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("processor seconds for 20 targets, without those of the starts")
        axes.set_ylabel("mean criterion of the best so far")
        ends = {name: course["criterion"][-1] for name, course in courses.items()}
        low, high = np.log(axes.get_ylim())
        places = apart((np.log(list(ends.values())) - low) / (high - low), LINE)
        for (name, end), place in zip(ends.items(), places, strict=True):
            axes.annotate(
                f"{name} {end:.2f}",
                xy=(courses[name]["seconds"][-1], end),
                xytext=(1.03, place),
                textcoords=axes.transAxes,
                va="center",
                color=INK,
                arrowprops={"arrowstyle": "-", "color": INK, "alpha": 0.25, "shrinkB": 3},
            )
        for name, hue, place in (("with gradients", SCORER, 0.10), ("without", JUDGE, 0.04)):
            axes.text(0.02, place, name, transform=axes.transAxes, color=hue, weight="bold")
        return png(figure)


def apart(places: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """The places, moved upwards from the lowest on until no two are nearer than `least`."""
    order = np.argsort(places, kind="stable")
    moved = places.copy()
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + least)
    return moved


def _courses(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        method: {**cell["course"], "climbs": climbs(settings)}
        for method, settings in METHODS.items()
        if "course" in (cell := record["cells"].get(f"{CASE}: {method}", {}))
    }


if __name__ == "__main__":
    main()
