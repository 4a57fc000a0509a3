"""How the figures look, and how matplotlib's SVG becomes a part of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# matplotlib fixes colours when it draws, a page chooses them when it is looked at. So each role is
# drawn in a hue of its own that nobody would choose, and becomes the page's variable afterwards.
INK, MUTED, LINE = "#010101", "#010102", "#010103"
SCORER, JUDGE, CHANCE = "#010104", "#010105", "#010106"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    SCORER: "var(--scorer)",
    JUDGE: "var(--judge)",
    CHANCE: "var(--chance)",
}

_POINTS_PER_INCH = 72  # the unit of matplotlib's SVG
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 12,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "legend.labelcolor": INK,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


@contextmanager
def canvas(width: float = 460, height: float = 310) -> Iterator[tuple[Figure, Axes]]:
    """An empty chart of this size in points, to be drawn on and passed to `inline_svg`."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(
            figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), layout="constrained"
        )
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        yield figure, axes


def legend_above(axes: Axes, columns: int = 3) -> None:
    """The legend over the chart, where it hides nothing."""
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        borderaxespad=0,
        handlelength=1.4,
        markerscale=1.6,
        columnspacing=1.4,
        borderpad=0.4,
    )


def inline_svg(figure: Figure, name: str, alt: str) -> Markup:
    """The figure as an <svg> that takes the page's colours and fonts.

    Args:
        figure: drawn within `canvas`.
        name: unique on the page; it keeps the figures' internal links apart.
        alt: what somebody who cannot see it should know.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawn = buffer.getvalue()
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body).replace("xlink:href", "href")
    for hue, variable in _VARIABLES.items():
        body = body.replace(hue, variable)
    width, height = figure.get_size_inches() * _POINTS_PER_INCH
    return Markup(
        f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}">{body}'
    )
