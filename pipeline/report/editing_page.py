"""The report of an edit direction: a strip of edits, what they change, and the search's course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from omegaconf import OmegaConf

from pipeline.editing.record import STRIP, Course
from pipeline.pictures import embedded
from pipeline.report.digits import Digits
from pipeline.report.headline import rows, score_digits
from pipeline.report.style import MUTED, SCORER, canvas, inline_svg
from pipeline.report.template import template
from pipeline.runs.folder import RunFolder

ROW = 22  # points of a bar and its gap


def render_editing(folder: RunFolder) -> str:
    """The page's HTML, from the folder alone."""
    config = folder.read_settings()
    summary = folder.read_json(folder.summary.name) if folder.summary.is_file() else {}
    digits = score_digits(summary)
    settings: Any = OmegaConf.to_container(OmegaConf.create(config))
    return template("editing.html.j2", digits).render(
        settings=settings,
        strengths=", ".join(f"{each:g}" for each in settings["edit"]["strengths"]),
        config=config,
        path=folder.named,
        command=folder.read_json("environment.json").get("command"),
        summary=summary,
        rows=rows(summary),
        strip=embedded((folder.path / STRIP).read_bytes()) if summary else None,
        charts=_charts(folder, summary, digits),
    )


def _charts(folder: RunFolder, summary: Mapping[str, Any], digits: Digits) -> Mapping[str, Markup]:
    charts = {}
    if course := Course.read(folder):
        charts["course"] = _course(course, digits)
    if summary:
        charts["changes"] = _changes(summary["changes"], summary["attribute"])
    return charts


def _course(course: Course, digits: Digits) -> Markup:
    """The effect with its interval, from the null vector on."""
    images = np.concatenate([[0], course.images])
    change = np.concatenate([[0], course.change])
    half = np.concatenate([[0], course.half_width])
    with canvas(width=700) as (figure, axes):
        axes.fill_between(images, change - half, change + half, color=SCORER, alpha=0.15, lw=0)
        axes.plot(images, change, color=SCORER, marker="o", markersize=4)
        axes.set_xlabel("images scored")
        axes.set_ylabel("change of the attribute")
        alt = (
            f"Line chart: after {images[-1]} images the vector changes the attribute by "
            f"{digits(float(change[-1]))}."
        )
        return inline_svg(figure, "course", alt)


def _changes(changes: list[dict[str, Any]], edited: str) -> Markup:
    """A bar for each attribute: what is wanted, and what comes with it."""
    known = [each for each in changes if each["directed"] is not None]
    ordered = sorted(known, key=lambda each: abs(each["directed"]))
    with canvas(width=700, height=60 + ROW * len(ordered)) as (figure, axes):
        axes.barh(
            range(len(ordered)),
            [each["directed"] for each in ordered],
            xerr=[each["half_width"] or 0 for each in ordered],
            color=[SCORER if each["attribute"] == edited else MUTED for each in ordered],
            error_kw={"ecolor": MUTED, "elinewidth": 1},
        )
        axes.set_yticks(range(len(ordered)), [each["attribute"] for each in ordered])
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("mean change by the vector")
        told = ", ".join(
            f"{each['attribute']} {each['directed']:+.2f}" for each in reversed(ordered)
        )
        return inline_svg(figure, "changes", f"Bar chart of the mean change by attribute: {told}.")
