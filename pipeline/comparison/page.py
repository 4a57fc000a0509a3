"""The page of a comparison, and its charts as PNG files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.comparison.best_of_methods import best_strips, sheet
from pipeline.comparison.curves import CURVES, curves
from pipeline.comparison.figures import Chart, course, look
from pipeline.comparison.methods import Comparison, Pairing
from pipeline.comparison.table import (
    cell_text,
    chance_text,
    difference_text,
    notes,
    pooled_tables,
)
from pipeline.comparison.tradeoff import tradeoffs
from pipeline.pictures import data_uri, png
from pipeline.report.style import css_variable
from pipeline.report.template import template
from vqlso.metrics.paired import LEAST_FOR_WILCOXON

PAGE = "comparison.html"
CHARTS = "charts"
_Y_LABELS = {"best": "best so far", "top50": "50th best so far", "mean": "mean of queries so far"}
_X_LABELS = {"queries": "queries", "seconds": "seconds of computing"}


@dataclass(frozen=True)
class Line:
    """One tested difference, as it is written.

    Attributes:
        a: the one method.
        b: the other.
        n: common seeds.
        difference: a - b with its interval.
        t_test: p of the paired t-test.
        wilcoxon: p of the signed-rank test.
        clear: whether the interval leaves out zero.
    """

    a: str
    b: str
    n: int
    difference: str
    t_test: str
    wilcoxon: str
    clear: bool


def files_of(comparison: Comparison) -> dict[str, bytes]:
    """Everything that a comparison leaves, by file name; the page needs none of the others."""
    charts = _charts(comparison) | tradeoffs(comparison)
    page = render(comparison, {name: chart.svg for name, chart in charts.items()})
    images = {f"{CHARTS}/{name}.png": chart.png for name, chart in charts.items()}
    if strips := best_strips(comparison):
        images[f"{CHARTS}/best-images.png"] = png(sheet(strips))
    return {PAGE: page.encode(), **images}


def render(comparison: Comparison, charts: Mapping[str, Markup]) -> str:
    """The page's HTML."""
    measures = comparison.measures
    pairings = {
        measure.label: [_line(each) for each in comparison.pairings if each.measure == measure]
        for measure in measures
    }
    return template("comparison.html.j2", measures[0].digits).render(
        comparison=comparison,
        measures=measures,
        cell=lambda measure, arm: _minus(
            cell_text(comparison.cells[measure.key, arm.label], measure)
        ),
        hues=[css_variable(look(place)[0]) for place in range(len(comparison.arms))],
        pairings={label: lines for label, lines in pairings.items() if lines},
        least_for_wilcoxon=LEAST_FOR_WILCOXON,
        notes=notes(comparison),
        distances=pooled_tables(comparison),
        runs=comparison.distances.runs if comparison.distances else {},
        charts=charts,
        strips=[(strip, data_uri(strip.picture)) for strip in best_strips(comparison)],
    )


def _charts(comparison: Comparison) -> dict[str, Chart]:
    place = {arm.label: number for number, arm in enumerate(comparison.arms)}
    digits = comparison.measures[0].digits
    found = {}
    for against, x_label in _X_LABELS.items():
        for kind in CURVES:
            drawn = curves(comparison.arms, kind, against)
            if drawn:
                name = f"{kind}-{against}"
                found[name] = course(
                    drawn,
                    [place[each.arm] for each in drawn],
                    name=name,
                    x_label=x_label,
                    y_label=_Y_LABELS[kind],
                    digits=digits,
                )
    return found


def _line(pairing: Pairing) -> Line:
    found = pairing.difference
    return Line(
        pairing.a,
        pairing.b,
        found.n,
        _minus(difference_text(pairing)),
        chance_text(found.t_test),
        chance_text(found.wilcoxon),
        found.clear_of_zero,
    )


def _minus(text: str) -> str:
    return text.replace("-", "−")
