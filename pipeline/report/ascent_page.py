"""The report of a score ascent: what it found, how different it is, and the course of the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from omegaconf import OmegaConf

from pipeline.ascent import groups
from pipeline.ascent.record import STARTS, Asked, asked_in, picture_file
from pipeline.ascent.super_resolution import STRIP
from pipeline.pictures import embedded
from pipeline.report.digits import DEGREES, alone
from pipeline.report.headline import Row, rows, score_digits
from pipeline.report.style import MUTED, SCORER, canvas, inline_svg, legend_above
from pipeline.report.template import template
from pipeline.runs.folder import RunFolder

NAMES = {
    groups.BEST: "The best of all that was scored",
    groups.BEFORE: "Samples of the generator as it was",
    groups.AFTER: "Samples of the generator as it is now",
    groups.REAL: "Real images of the highest labels",
}
# What figures mean here, where starts count as queries and nothing is compared with training data.
OWN = {
    "best": (
        "Best image",
        "The highest score of all images that were scored, the starts among them; the judge's "
        "column has the one that the judge likes best.",
    ),
    "top10": ("10th best", "Ten different images score at least this much."),
    "top50": ("50th best", "Fifty different images score at least this much."),
    "query_mean": (
        "Mean of the search",
        "The average score of what the search asked about; starts are left out.",
    ),
    "queries": ("Queries", "Images that the scorer was asked about, the starts among them."),
}
BEST_START = (
    "Best start",
    "The highest score of the samples that were scored before the search: what luck alone finds.",
)


@dataclass(frozen=True)
class Sheet:
    """A group of images.

    Attributes:
        name: for people.
        picture: some of them, a data URI; empty where there is none.
        facts: its figures.
    """

    name: str
    picture: str
    facts: Mapping[str, Any]


def render_ascent(folder: RunFolder) -> str:
    """The page's HTML, from the folder alone."""
    config = folder.read_settings()
    summary = folder.read_json(folder.summary.name) if folder.summary.is_file() else {}
    asked = asked_in(folder, images=False) if (folder.path / STARTS).is_file() else None
    digits = score_digits(summary) if summary else DEGREES
    strip = folder.path / STRIP
    return template("ascent.html.j2", digits).render(
        settings=OmegaConf.to_container(OmegaConf.create(config)),
        config=config,
        path=folder.named,
        command=folder.read_json("environment.json").get("command"),
        summary=summary,
        rows=_rows(summary),
        sheets=_sheets(folder, summary.get("groups", {})),
        strip=embedded(strip.read_bytes()) if summary and strip.is_file() else "",
        charts=_charts(asked) if asked else {},
    )


def _rows(summary: Mapping[str, Any]) -> Sequence[Row]:
    """The figures in the words of this page, the best start behind the best of all."""
    found: list[Row] = []
    for row in rows(summary):
        label, sentence = OWN.get(row.key, (row.label, row.sentence))
        found.append(replace(row, label=label, sentence=sentence))
        if row.key == "best" and "best_start" in summary:
            label, sentence = BEST_START
            judged = (summary.get("judge") or {}).get("best_start")
            own = {"value": summary["best_start"], "judge": judged}
            found.append(replace(row, key="best_start", label=label, sentence=sentence, **own))
    return found


def _sheets(folder: RunFolder, measured: Mapping[str, Any]) -> Sequence[Sheet]:
    return [
        Sheet(name, embedded((folder.path / picture_file(key)).read_bytes()), measured[key])
        for key, name in NAMES.items()
        if key in measured
    ]


def _charts(asked: Asked) -> Mapping[str, Markup]:
    """Each score, and the best so far; the grey part of the chart is that of the starts."""
    images = np.arange(1, len(asked.scores) + 1)
    known = np.isfinite(asked.course)
    with canvas(width=700) as (figure, axes):
        axes.plot(images, asked.scores, ".", color=MUTED, markersize=4, label="each image")
        axes.plot(images[known], asked.course[known], color=SCORER, label="the best so far")
        axes.axvspan(0.5, asked.starts + 0.5, color=MUTED, alpha=0.15, linewidth=0)
        axes.set_xlabel("images scored")
        axes.set_ylabel("score")
        legend_above(axes, columns=2)
        first, last = (float(asked.course[known][place]) for place in (0, -1))
        alt = f"Chart of the score by images: the best rises from {alone(first)} to {alone(last)}."
        return {"course": inline_svg(figure, "course", alt)}
