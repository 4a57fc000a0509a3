"""The report of a GAN's training: samples, their distance from real images, the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, NullFormatter
from omegaconf import OmegaConf

from pipeline.pictures import embedded
from pipeline.report.digits import DEGREES
from pipeline.report.headline import rows
from pipeline.report.style import JUDGE, SCORER, canvas, inline_svg, legend_above
from pipeline.report.template import template
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event

LOSSES = {"generator loss": SCORER, "discriminator loss": JUDGE}
# What a page says of its grids, and where its settings are, by task.
GRIDS = {
    "train_gan": "What the generator makes of the same latents, drawn a little towards its mean "
    "(truncation .7).",
    "train_pgan": "What the generator makes of the same latents, a row for each class if it knows "
    "classes, at the resolution that it had reached.",
}
GROUPS = {"train_gan": "gan", "train_pgan": "pgan"}
SHEETS = 4


@dataclass(frozen=True)
class Sheet:
    """A grid of samples.

    Attributes:
        kimg: thousands of images shown before it.
        picture: a data URI.
    """

    kimg: float
    picture: str


def looks_of(folder: RunFolder) -> list[Event]:
    """The journalled looks, by length."""
    return sorted(folder.journal.events("look"), key=lambda event: event["kimg"])


def sample_file(kimg: float) -> str:
    """Where a look's grid of samples lies in the run folder."""
    return f"samples/{round(1000 * kimg):09d}.png"


def render_gan(folder: RunFolder) -> str:
    """The page's HTML, from the folder alone."""
    looks = looks_of(folder)
    config = folder.read_settings()
    settings: Any = OmegaConf.to_container(OmegaConf.create(config))
    summary = folder.read_json(folder.summary.name) if folder.summary.is_file() else {}
    return template("gan.html.j2", DEGREES).render(
        settings=settings,
        seed=settings[GROUPS[settings["task"]]]["seed"],
        grids=GRIDS[settings["task"]],
        config=config,
        path=folder.named,
        command=folder.read_json("environment.json").get("command"),
        summary=summary,
        rows=rows(summary),
        sheets=_sheets(folder, looks),
        charts=_charts(looks) if len(looks) > 1 else {},
        network=looks[-1]["frechet_network"] if looks else "",
    )


def _sheets(folder: RunFolder, looks: Sequence[Event]) -> list[Sheet]:
    """The first, the last, and some between."""
    if not looks:
        return []
    places = np.unique(np.linspace(0, len(looks) - 1, SHEETS).round().astype(int))
    shown = [looks[place]["kimg"] for place in places]
    return [Sheet(kimg, embedded((folder.path / sample_file(kimg)).read_bytes())) for kimg in shown]


def _charts(looks: Sequence[Event]) -> Mapping[str, Markup]:
    kimg = [look["kimg"] for look in looks]
    distance = [look["frechet"] for look in looks]
    with canvas() as (figure, axes):
        axes.plot(kimg, distance, color=SCORER)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("thousands of images shown")
        axes.set_ylabel("distance of samples")
        alt = f"Line chart of the distance: from {distance[0]:.4g} to {distance[-1]:.4g}."
        charts = {"distance": inline_svg(figure, "distance", alt)}
    with canvas() as (figure, axes):
        for name, hue in LOSSES.items():
            axes.plot(kimg, _column(looks, name), color=hue, label=name)
        axes.set_xlabel("thousands of images shown")
        axes.set_ylabel("loss")
        legend_above(axes, columns=2)
        charts["losses"] = inline_svg(figure, "losses", "Line chart of both networks' losses.")
    if "class_accuracy" in looks[-1]:
        accuracy = [look["class_accuracy"] for look in looks]
        with canvas() as (figure, axes):
            axes.plot(kimg, accuracy, color=SCORER)
            axes.set_ylim(0, 1)
            axes.set_xlabel("thousands of images shown")
            axes.set_ylabel("samples of the right class")
            alt = f"Line chart of the share: from {accuracy[0]:.2f} to {accuracy[-1]:.2f}."
            charts["classes"] = inline_svg(figure, "classes", alt)
    return charts


def _column(looks: Sequence[Event], name: str) -> list[Any]:
    return [look["measures"].get(name, np.nan) for look in looks]
