"""The report of an inversion: targets beside what was found, and the criterion's course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, NullFormatter
from omegaconf import OmegaConf

from pipeline.inversion.record import STARTS, Found, found_in, strip_file
from pipeline.pictures import embedded
from pipeline.report.digits import DEGREES, alone
from pipeline.report.headline import counted, rows
from pipeline.report.style import MUTED, SCORER, canvas, inline_svg
from pipeline.report.template import template
from pipeline.runs.folder import RunFolder


@dataclass(frozen=True)
class Strip:
    """A target beside its result.

    Attributes:
        name: of the target.
        picture: a data URI.
        criterion: between the two.
    """

    name: str
    picture: str
    criterion: float


def render_inversion(folder: RunFolder) -> str:
    """The page's HTML, from the folder alone."""
    config = folder.read_settings()
    summary = folder.read_json(folder.summary.name) if folder.summary.is_file() else {}
    found = found_in(folder) if (folder.path / STARTS).is_file() else []
    return template("inversion.html.j2", DEGREES).render(
        settings=OmegaConf.to_container(OmegaConf.create(config)),
        config=config,
        path=folder.named,
        command=folder.read_json("environment.json").get("command"),
        summary=summary,
        rows=rows(summary),
        found=found,
        strips=_strips(folder, found) if summary else [],
        charts=_charts(found),
    )


def _strips(folder: RunFolder, found: Sequence[Found]) -> list[Strip]:
    return [
        Strip(
            each.name,
            embedded((folder.path / strip_file(found, place)).read_bytes()),
            each.criterion,
        )
        for place, each in enumerate(found)
    ]


def _charts(found: Sequence[Found]) -> Mapping[str, Markup]:
    """A line for each target; the grey part of the chart is that of the starts."""
    if not found:
        return {}
    with canvas(width=700) as (figure, axes):
        for each in found:
            images = np.arange(1, len(each.curve) + 1)
            axes.plot(images, each.curve, color=SCORER, alpha=max(0.25, 1 / len(found)))
        axes.axvspan(1, found[0].starts, color=MUTED, alpha=0.15, linewidth=0)
        if all(each.criterion > 0 for each in found):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(_written))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("images for each target")
        axes.set_ylabel("criterion of the best so far")
        alt = f"Line chart of {counted(len(found), 'target')}: {_told(found)}."
        return {"course": inline_svg(figure, "course", alt)}


def _told(found: Sequence[Found]) -> str:
    first, last = (np.mean([each.curve[place] for each in found]) for place in (0, -1))
    return f"on average the criterion falls from {alone(float(first))} to {alone(float(last))}"


def _written(value: float, _: Any) -> str:
    return f"{value:g}"
