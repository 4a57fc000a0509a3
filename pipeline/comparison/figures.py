"""The curves of a comparison."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pipeline.comparison.curves import Curve
from pipeline.report.digits import Digits
from pipeline.report.style import METHODS, canvas, inline_svg, legend_above, png

_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_MARKERS = ("o", "s", "^", "D")
_FEW = 5  # seeds, up to which each is drawn beside their mean
WIDEST = 58  # characters beside each other in a legend; more would leave the chart no room


@dataclass(frozen=True)
class Chart:
    """One figure in both forms.

    Attributes:
        svg: for the page.
        png: for papers and slides.
    """

    svg: Markup
    png: bytes


def look(place: int) -> tuple[str, str | tuple[float, tuple[float, ...]]]:
    """Hue and dashes of the method at this place of the comparison."""
    return METHODS[place % len(METHODS)], _DASHES[_variant(place)]


def marker(place: int) -> str:
    """What stands for the method where it is a point."""
    return _MARKERS[_variant(place)]


def _variant(place: int) -> int:
    """Which of four, so that no hue has the same twice below the 33rd method."""
    return (place + place // len(METHODS)) % len(_DASHES)


def course(
    curves: Sequence[Curve],
    places: Sequence[int],
    *,
    name: str,
    x_label: str,
    y_label: str,
    digits: Digits,
) -> Chart:
    """A line a method with the band of its 95 % interval; few seeds are drawn thinly as well.

    Args:
        curves: what is drawn.
        places: the methods' places in the comparison, which decide their looks.
        name: unique on the page.
        x_label: queries, or seconds.
        y_label: what the curves are of.
        digits: how scores are written.
    """
    columns = 1 if len(curves) < 4 else 2
    with canvas() as (figure, axes):
        for curve, place in zip(curves, places, strict=True):
            hue, dashes = look(place)
            if 1 < len(curve.each) <= _FEW:
                axes.plot(curve.x, curve.each.T, color=hue, alpha=0.25, linewidth=0.8)
            known = np.isfinite(curve.half_width)
            axes.fill_between(
                curve.x[known],
                (curve.mean - curve.half_width)[known],
                (curve.mean + curve.half_width)[known],
                color=hue,
                alpha=0.13,
                linewidth=0,
            )
            label = textwrap.fill(curve.arm, WIDEST // columns)
            axes.plot(curve.x, curve.mean, color=hue, linestyle=dashes, label=label)
        axes.set_ylim(_limits(curves))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        legend_above(axes, columns)
        ends = "; ".join(f"{each.arm} {digits(_last(each))}" for each in curves)
        svg = inline_svg(figure, name, f"Line chart of the {y_label} against {x_label}: {ends}.")
        return Chart(svg, png(figure))


def _limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Around the seeds' own lines: bands of very few seeds would dwarf them."""
    known = np.concatenate([curve.each[np.isfinite(curve.each)] for curve in curves])
    low, high = float(known.min()), float(known.max())
    margin = 0.15 * (high - low) or max(abs(low), 1.0) * 1e-3
    return low - margin, high + margin


def _last(curve: Curve) -> float:
    known = curve.mean[np.isfinite(curve.mean)]
    return float(known[-1]) if len(known) else float(np.nanmean(curve.each))
