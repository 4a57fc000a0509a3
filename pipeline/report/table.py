"""The one table that the terminal shows when a run ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.report.headline import rows


def summary_table(summary: Mapping[str, Any]) -> Table:
    """A run's figures, the queried scorer's beside the judge's.

    Args:
        summary: the content of `summary.json`.

    Returns:
        A row a figure; without a judge its column is left out.
    """
    judged = bool(summary.get("judge"))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Figure")
    table.add_column("Scorer" if judged else "Value", justify="right")
    if judged:
        table.add_column("Judge", justify="right")
    for row in rows(summary):
        style = "bold" if row.key in ("best", "top10", "top50") else ""
        cells = [row.label, row.text] + ([row.judge_text] if judged else [])
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table
