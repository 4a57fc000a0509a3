"""Score against distance: what a method gains on one axis and pays on the other."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from pipeline.comparison.figures import WIDEST, Chart, look, marker
from pipeline.comparison.methods import Comparison
from pipeline.distances import RECONSTRUCTED
from pipeline.report.digits import Digits, alone
from pipeline.report.style import MUTED, canvas, inline_svg, legend_above, png

_X_LABELS = {
    "frechet": "Fréchet distance of the queries",
    "kernel": "kernel distance of the queries",
}
_Y_LABEL = "mean of queries"


@dataclass(frozen=True)
class Point:
    """A method on both axes.

    Attributes:
        arm: its label.
        place: in the comparison, which decides its look.
        score: mean of all queries, over seeds.
        half_width: of the score's 95 % interval; None for one seed.
        distance: from the unseen images, and the two ends of its 95 % interval.
    """

    arm: str
    place: int
    score: float
    half_width: float | None
    distance: tuple[float, float, float]


def tradeoffs(comparison: Comparison) -> dict[str, Chart]:
    """A chart for each feature network, in the order of the distances' entries.

    None where fewer than two methods have both figures.
    """
    drawn = {}
    for number, entry in enumerate(comparison.distances.entries if comparison.distances else ()):
        kind = _kind(entry["images"])
        points = points_of(comparison, entry["images"], kind)
        if len(points) > 1:
            name, digits = f"tradeoff-{number}", comparison.measures[0].digits
            floors = _floors(points, entry["images"], kind)
            drawn[name] = _chart(points, floors, name, _X_LABELS[kind], digits)
    return drawn


def points_of(
    comparison: Comparison, images: Mapping[str, Mapping[str, Any]], kind: str
) -> list[Point]:
    """Methods that have a score and a distance.

    Args:
        comparison: with the scores.
        images: distances of groups of images in one network's features, by name.
        kind: "frechet" or "kernel".
    """
    found = []
    for place, arm in enumerate(comparison.arms):
        cell = comparison.cells.get(("query_mean", arm.label))
        if cell is not None and cell.mean is not None and arm.label in images:
            value, low, high = images[arm.label][kind]
            found.append(Point(arm.label, place, cell.mean, cell.half_width, (value, low, high)))
    return found


def _kind(images: Mapping[str, Mapping[str, Any]]) -> str:
    """With fewer images than features most of a Frechet distance is bias."""
    return "kernel" if any(each["rank_deficient"] for each in images.values()) else "frechet"


def _floors(
    points: Sequence[Point], images: Mapping[str, Mapping[str, Any]], kind: str
) -> list[tuple[float, str]]:
    """What reconstructions are at, and the hue: their generator's first method's, if several."""
    hues = {f"{RECONSTRUCTED} ({each.arm})": look(each.place)[0] for each in points}
    return [
        (figures[kind][0], hues.get(name, MUTED))
        for name, figures in images.items()
        if name.startswith(RECONSTRUCTED)
    ]


def _chart(
    points: Sequence[Point],
    floors: Sequence[tuple[float, str]],
    name: str,
    x_label: str,
    digits: Digits,
) -> Chart:
    columns = 1 if len(points) < 4 else 2
    with canvas() as (figure, axes):
        for point in points:
            _cross(axes, point, textwrap.fill(point.arm, WIDEST // columns))
        for number, (value, hue) in enumerate(floors):
            label = "_" if number else RECONSTRUCTED
            axes.axvline(value, color=hue, linestyle=":", linewidth=1.2, label=label)
        axes.set_xlabel(x_label)
        axes.set_ylabel(_Y_LABEL)
        legend_above(axes, columns)
        told = "; ".join(
            f"{each.arm} {digits(each.score)} at {alone(each.distance[0])}" for each in points
        )
        svg = inline_svg(figure, name, f"Chart of the {_Y_LABEL} against the {x_label}: {told}.")
        return Chart(svg, png(figure))


def _cross(axes: Axes, point: Point, label: str) -> None:
    value, low, high = point.distance
    axes.errorbar(
        [value],
        [point.score],
        xerr=[[value - low], [high - value]],
        yerr=None if point.half_width is None else [point.half_width],
        fmt=marker(point.place),
        color=look(point.place)[0],
        elinewidth=1,
        label=label,
    )
