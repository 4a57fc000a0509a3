"""The charts of the page; each draws what `series` has computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import MaxNLocator

from pipeline.report.digits import Digits
from pipeline.report.headline import counted, duration
from pipeline.report.record import Queries, Samples
from pipeline.report.series import Calibration, CodeUsage, ShiftBand, TwoScorers, Vector
from pipeline.report.style import (
    CHANCE,
    INK,
    JUDGE,
    MUTED,
    SCORER,
    canvas,
    inline_svg,
    legend_above,
)

_RANK_NAMES = {1: "best", 10: "10th best", 50: "50th best"}
_CONTROL_NAMES = {
    "reference": "references",
    "random_codes": "random codes",
    "queries": "queries",
}


def top_k(
    curves: Mapping[int, Vector], asked: Queries, mark: float | None, digits: Digits
) -> Markup:
    """Best, 10th and 50th best against queries; `mark` is the best training image.

    Repeats, whose codes were known before, count for none of the curves: they are crosses.
    """
    scores, new = asked.scores, asked.novel
    queries = np.arange(1, len(scores) + 1)
    with canvas() as (figure, axes):
        axes.scatter(queries[new], scores[new], s=7, color=MUTED, alpha=0.45, linewidths=0)
        if not new.all():
            axes.scatter(
                queries[~new],
                scores[~new],
                s=22,
                marker="x",
                color=CHANCE,
                linewidths=1.2,
                label="repeats",
            )
        for (k, curve), fade in zip(curves.items(), (1.0, 0.7, 0.45), strict=True):
            if np.isfinite(curve).any():
                axes.plot(queries, curve, color=SCORER, alpha=fade, label=_RANK_NAMES[k])
        if mark is not None:
            axes.axhline(mark, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="training")
        axes.set_xlabel("queries")
        axes.set_ylabel("score")
        legend_above(axes, columns=3 if not new.all() else 4)
        reached = "; ".join(
            f"{_RANK_NAMES[k]} {digits(curve[-1])}"
            for k, curve in curves.items()
            if len(curve) and np.isfinite(curve[-1])
        )
        alt = "Line chart of the best scores so far. After "
        alt += f"{_queries(scores)} with {counted(int((~new).sum()), 'repeat')}: {reached}."
        return inline_svg(figure, "top-k", alt)


def predicted_against_true(data: Calibration, digits: Digits) -> Markup:
    """One dot a query; on the diagonal the surrogate was right."""
    with canvas() as (figure, axes):
        _diagonal(axes, data.predicted, data.scores)
        axes.scatter(data.predicted, data.scores, s=16, color=SCORER, alpha=0.55, linewidths=0)
        axes.set_xlabel("score that the surrogate predicted")
        axes.set_ylabel("score that the scorer gave")
        alt = (
            f"Scatter chart of {_queries(data.scores)}, predicted against true score. "
            f"They differ by {digits(data.error)} on average."
        )
        return inline_svg(figure, "predicted", alt)


def controls(scores: Mapping[str, Vector], digits: Digits) -> Markup:
    """Distribution of the scores of references, random codes and queries, means marked."""
    hues = {"reference": MUTED, "random_codes": CHANCE, "queries": SCORER}
    with canvas(height=240) as (figure, axes):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        for row, (name, values) in enumerate(scores.items()):
            _violin(axes, values, -row, hues[name])
            mean = float(values.mean())
            axes.plot([mean, mean], [-row - 0.32, -row + 0.32], color=INK, linewidth=2)
            axes.annotate(
                digits(mean), (mean, -row + 0.34), ha="center", va="bottom", fontsize=11.5
            )
        names = [_CONTROL_NAMES[name] for name in scores]
        axes.set_yticks([-row for row in range(len(scores))], names)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(0.4 - len(scores), 0.7)
        axes.set_xlabel("score")
        means = ", ".join(
            f"{_CONTROL_NAMES[name]} {digits(float(values.mean()))}"
            for name, values in scores.items()
        )
        return inline_svg(figure, "controls", f"Distributions of scores; means: {means}.")


def shift(band: ShiftBand, digits: Digits) -> Markup:
    """Quantile band of the generator's own samples over the rounds, with both scorers' means."""
    with canvas() as (figure, axes):
        axes.fill_between(
            band.rounds,
            band.low,
            band.high,
            color=SCORER,
            alpha=0.16,
            linewidth=0,
            label="middle 90 %",
        )
        axes.plot(band.rounds, band.median, color=SCORER, linewidth=1, alpha=0.6, label="median")
        axes.plot(band.rounds, band.mean, color=SCORER, marker=_marker(band), label="mean")
        if np.isfinite(band.judge_mean).any():
            axes.plot(
                band.rounds,
                band.judge_mean,
                color=JUDGE,
                linestyle=(0, (4, 2)),
                marker=_marker(band),
                label="judge's mean",
            )
        axes.set_xlabel("retrainings")
        axes.set_ylabel("score of samples")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_above(axes, columns=4)
        alt = (
            f"Band chart over {counted(len(band.rounds), 'measured round')}. The samples' mean "
            f"score goes from {digits(band.mean[0])} to {digits(band.mean[-1])}."
        )
        return inline_svg(figure, "shift", alt)


def first_and_last(first: Samples, last: Samples, digits: Digits) -> Markup:
    """Histograms of the samples' scores before and after."""
    everything = np.concatenate([first.degrees, last.degrees])
    edges = np.histogram_bin_edges(everything, 24)
    with canvas() as (figure, axes):
        for samples, hue in ((first, MUTED), (last, SCORER)):
            share = np.full(len(samples.degrees), 1 / len(samples.degrees))
            axes.hist(
                samples.degrees,
                bins=edges.tolist(),
                weights=share,
                color=hue,
                alpha=0.3,
                histtype="stepfilled",
            )
            axes.hist(
                samples.degrees,
                bins=edges.tolist(),
                weights=share,
                color=hue,
                histtype="step",
                linewidth=1.6,
                label=_after(samples.round),
            )
        axes.set_xlabel("score of samples")
        axes.set_ylabel("share of samples")
        legend_above(axes, columns=2)
        alt = (
            f"Two histograms of the generator's samples: mean "
            f"{digits(float(first.degrees.mean()))} {_after(first.round)}, "
            f"{digits(float(last.degrees.mean()))} {_after(last.round)}."
        )
        return inline_svg(figure, "first-and-last", alt)


def scorer_against_judge(data: TwoScorers, digits: Digits) -> Markup:
    """Each query and each reference by both scorers; below the diagonal the judge sees less."""
    with canvas() as (figure, axes):
        known = np.isfinite(data.reference) & np.isfinite(data.reference_judged)
        reference, judged = data.reference[known], data.reference_judged[known]
        _diagonal(
            axes,
            np.concatenate([data.query, reference]),
            np.concatenate([data.query_judged, judged]),
        )
        axes.scatter(
            reference, judged, s=14, color=MUTED, alpha=0.5, linewidths=0, label="references"
        )
        axes.scatter(
            data.query,
            data.query_judged,
            s=16,
            color=JUDGE,
            alpha=0.55,
            linewidths=0,
            label="queries",
        )
        axes.set_xlabel("score of the queried scorer")
        axes.set_ylabel("score of the judge")
        legend_above(axes, columns=2)
        alt = (
            f"Scatter chart of {_queries(data.query)} by both scorers: mean "
            f"{digits(float(data.query.mean()))} by the queried scorer, "
            f"{digits(float(data.query_judged.mean()))} by the judge."
        )
        return inline_svg(figure, "two-scorers", alt)


def codebook(before: CodeUsage, after: CodeUsage) -> Markup:
    """Share of each codebook entry, most used first."""
    with canvas() as (figure, axes):
        ranks = np.arange(1, len(before.shares) + 1)
        for usage, hue, name in ((before, MUTED, "before"), (after, SCORER, "after the search")):
            axes.fill_between(
                ranks[: len(usage.shares)],
                100 * usage.shares[: len(ranks)],
                step="mid",
                color=hue,
                alpha=0.16,
                linewidth=0,
            )
            axes.step(
                ranks[: len(usage.shares)],
                100 * usage.shares[: len(ranks)],
                where="mid",
                color=hue,
                linewidth=1.6,
                label=name,
            )
        axes.set_xlabel("codebook entries, most used first")
        axes.set_ylabel("% of all codes")
        axes.set_xlim(0.5, len(ranks) + 0.5)
        axes.set_ylim(bottom=0)
        legend_above(axes, columns=2)
        alt = (
            f"Usage of {counted(len(ranks), 'codebook entry', 'codebook entries')}: used before "
            f"{before.used}, {after.used} after the search."
        )
        return inline_svg(figure, "codebook", alt)


def stages(seconds: Mapping[str, float]) -> Markup:
    """A bar a stage, with its duration."""
    with canvas(width=940, height=40 + 27 * len(seconds)) as (figure, axes):
        places = -np.arange(len(seconds))
        values = np.array(list(seconds.values()))
        axes.barh(places, values, height=0.62, color=SCORER, alpha=0.8)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                duration(float(value)),
                (value, place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=11.5,
            )
        axes.set_yticks(places, list(seconds))
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_xlim(0, 1.12 * max(values.max(), 1e-9))
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        longest = next(iter(seconds))
        alt = f"Bar chart of the stages' durations; the longest is {longest}."
        return inline_svg(figure, "stages", alt)


def _violin(axes: Axes, values: Vector, place: float, hue: str) -> None:
    parts = axes.violinplot(
        values, [place], orientation="horizontal", widths=0.72, showextrema=False
    )
    for body in cast(list[PolyCollection], parts["bodies"]):
        body.set_facecolor(hue)
        body.set_edgecolor("none")
        body.set_alpha(0.4)


def _diagonal(axes: Axes, x: Vector, y: Vector) -> None:
    """Equal limits on both axes and the line on which they agree."""
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low) or 1e-6 * max(abs(low), 1.0)
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_xlim(limits)
    axes.set_ylim(limits)


def _marker(band: ShiftBand) -> str | None:
    """Lone points would be invisible as a line."""
    return "o" if len(band.rounds) < 3 else None


def _after(round_: int) -> str:
    if round_ == 0:
        return "before any retraining"
    return f"after {counted(round_, 'retraining')}"


def _queries(scores: Vector) -> str:
    return counted(len(scores), "query", "queries")
