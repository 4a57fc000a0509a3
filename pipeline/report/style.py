"""How the figures look, and how matplotlib's SVG becomes a part of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba, to_rgba_array
from matplotlib.figure import Figure

# matplotlib fixes colours when it draws, a page chooses them when it is looked at. So each role is
# drawn in a hue of its own that nobody would choose, and becomes the page's variable afterwards.
INK, MUTED, LINE = "#010101", "#010102", "#010103"
SCORER, JUDGE, CHANCE = "#010104", "#010105", "#010106"
METHODS = tuple(f"#01020{number}" for number in range(8))
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    SCORER: "--scorer",
    JUDGE: "--judge",
    CHANCE: "--chance",
    **{hue: f"--method-{number}" for number, hue in enumerate(METHODS)},
}
_CSS = Path(__file__).with_name("page.css")
_PNG_DPI = 144  # two pixels a point

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
    for hue in _VARIABLES:
        body = body.replace(hue, css_variable(hue))
    width, height = figure.get_size_inches() * _POINTS_PER_INCH
    # Matplotlib's own drawing, whose texts it has escaped.
    return Markup(  # nosec B704
        f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}">{body}'
    )


def css_variable(hue: str) -> str:
    """What a hue becomes on the page."""
    return f"var({_VARIABLES[hue]})"


def png(figure: Figure) -> bytes:
    """The figure as a PNG in the page's colours by daylight; nothing can be drawn after it.

    Args:
        figure: drawn within `canvas`.
    """
    light = _CSS.read_text(encoding="utf-8").partition("}")[0]
    colours = dict(re.findall(r"(--[\w-]+): (#\w+)", light))
    seen = {hue: colours[variable] for hue, variable in _VARIABLES.items()}
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(1)
    figure.draw_without_rendering()  # makes the ticks, which have colours of their own
    for artist in figure.findobj():
        _repaint(artist, seen)
    buffer = io.BytesIO()
    paper = colours["--paper"]
    figure.savefig(buffer, format="png", dpi=_PNG_DPI, facecolor=paper, metadata={"Software": None})
    return buffer.getvalue()


def _repaint(artist: Artist, seen: dict[str, str]) -> None:
    """Replace the hues that stand for roles, whatever the artist calls them; alpha stays."""
    for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
        get, put = (getattr(artist, f"{verb}_{name}", None) for verb in ("get", "set"))
        if get is None or put is None:
            continue
        drawn = to_rgba_array(get())
        chosen = [
            (*to_rgba(seen[hue])[:3], colour[3])
            for colour in drawn
            if (hue := to_hex(colour)) in seen
        ]
        if len(chosen) == len(drawn) > 0:
            put(chosen[0] if len(chosen) == 1 else chosen)
