"""The comparison in words and figures, and as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Any, TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.comparison.methods import Arm, Cell, Comparison, Measure, Pairing
from pipeline.report.digits import alone
from pipeline.report.distance_table import DistanceTable, distance_tables
from pipeline.report.headline import written

T = TypeVar("T")

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
    """A row a measure that weighs, a column a method."""
    measures = [each for each in comparison.measures if each.key in SHOWN]
    return [_table(comparison, measures, arms) for arms in _abreast(comparison.arms)]


def pooled_tables(comparison: Comparison) -> list[DistanceTable]:
    """Of the methods' pooled queries, a table a network; none where they were not measured."""
    found = comparison.distances
    return distance_tables({"distances": found.entries}) if found else []


def distances_shown(comparison: Comparison) -> list[Table]:
    """The same as the terminal shows them, methods and floors as columns."""
    entries = comparison.distances.entries if comparison.distances else ()
    return [
        _distances(entry["network"], groups)
        for entry in entries
        for groups in _abreast(entry["images"].items())
    ]


def _abreast(columns: Iterable[T]) -> list[list[T]]:
    """As many at once as a narrow terminal has room for."""
    every = list(columns)
    starts = range(0, len(every), METHODS_ABREAST)
    return [every[start : start + METHODS_ABREAST] for start in starts]


def _distances(network: str, groups: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    title = f"Distance from the unseen images, in the features of {network}"
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title=title)
    table.add_column("Queries of")
    for name, _ in groups:
        table.add_column(Text(name), justify="right")
    columns = [_distance_rows(figures) for _, figures in groups]
    for label in columns[0]:
        table.add_row(label, *(column[label] for column in columns))
    return table


def _distance_rows(figures: Mapping[str, Any]) -> dict[str, str]:
    by_degree = {
        f"Degree {level}, N {each['n']}": _margin(each["frechet"])
        for level, each in figures["frechet_by_degree"].items()
    }
    shares = {name: written(figures[name.lower()], "share") for name in ("Precision", "Recall")}
    whole = {"N": str(figures["n"]), "Fréchet": _margin(figures["frechet"])}
    return whole | by_degree | {"Kernel": _margin(figures["kernel"])} | shares


def _margin(interval: Sequence[float]) -> str:
    """Value and upper margin: the lower end of a distance is cut at 0."""
    value, _, high = interval
    return f"{alone(value)} ± {alone(high - value)}"


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
    left_out = comparison.distances.notes if comparison.distances else ()
    return [*told, *comparison.mixed, *left_out]
