"""The comparison in words and figures, and as the terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.compare import Arm, Cell, Comparison, Measure, Pairing
from pipeline.report.headline import written

SHOWN = ("best", "top10", "top50", "query_mean", "gain", "judge.gain", "frechet", "seconds")
METHODS_ABREAST = 4
LITTLE = 6  # seeds, below which a signed-rank test cannot find anything


def cell_text(cell: Cell, measure: Measure) -> str:
    """Such as '2.46 ± 0.12', with the number of seeds where one is missing."""
    if cell.mean is None:
        return "–"
    text = written(cell.mean, measure.kind, measure.digits)
    if cell.half_width is None:
        return text
    return f"{text} ± {written(cell.half_width, measure.kind, measure.digits)}"


def difference_text(pairing: Pairing) -> str:
    """Such as '+0.12 ± 0.05'."""
    measure, found = pairing.measure, pairing.difference
    text = written(found.mean, measure.kind, measure.digits)
    signed = text if text.startswith("-") or found.mean == 0 else f"+{text}"
    if isnan(found.half_width):
        return signed
    return f"{signed} ± {written(found.half_width, measure.kind, measure.digits)}"


def chance_text(p: float) -> str:
    """A p-value; a dash where there is none."""
    if isnan(p):
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def comparison_tables(comparison: Comparison) -> list[Table]:
    """A row a measure that weighs, a column a method, as many as a narrow terminal has room for."""
    measures = [each for each in comparison.measures if each.key in SHOWN]
    starts = range(0, len(comparison.arms), METHODS_ABREAST)
    return [
        _table(comparison, measures, comparison.arms[start : start + METHODS_ABREAST])
        for start in starts
    ]


def _table(comparison: Comparison, measures: Sequence[Measure], arms: Sequence[Arm]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Figure")
    for arm in arms:
        table.add_column(Text(arm.label), justify="right")
    table.add_row("Seeds", *(str(len(arm.results)) for arm in arms))
    for measure in measures:
        cells = [cell_text(comparison.cells[measure.key, arm.label], measure) for arm in arms]
        style = "bold" if measure.key in ("best", "top10", "top50") else ""
        table.add_row(measure.label, *map(Text, cells), style=style)
    return table


def notes(comparison: Comparison) -> list[str]:
    """How the figures are to be read, and what speaks against them."""
    told = []
    if comparison.fewest_seeds > 1:
        told.append("Mean over seeds ± half of its 95 % interval (Student's t).")
    if comparison.fewest_seeds == 1:
        told.append("One seed says nothing of chance: run more before you believe a difference.")
    elif comparison.fewest_seeds < LITTLE:
        told.append(
            f"With {comparison.fewest_seeds} seeds an interval is wide and rests on normal "
            "scatter, which so few cannot show."
        )
    return told + list(comparison.mixed)
