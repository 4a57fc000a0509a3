"""The measured table of docs/inversion.md, from benchmarks/results/inversion.json.

python -m benchmarks.inversion_tables
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inversion import CASES, METHODS, NAME
from benchmarks.recording import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "inversion.md"
BEGIN, END = "<!-- measured: make bench-inversion -->\n", "<!-- end -->\n"
HEAD = (
    "| method | "
    + " | ".join(CASES)
    + " | ms each | realism of the results |\n"
    + "|---" * (len(CASES) + 3)
    + "|\n"
)


def main() -> None:
    """Write the table between the page's two marks."""
    record = json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + table(record) + END + after, encoding="utf-8")


def table(record: Mapping[str, Any]) -> str:
    """A row for each method that was measured, a dash where it was not."""
    cells, targets = record["cells"], record["settings"]["targets"]
    rows = []
    for method in METHODS:
        own = [cells.get(f"{case}: {method}") for case in CASES]
        known = [each for each in own if each]
        if not known:
            continue
        seconds = sum(each["seconds"] for each in known)
        evaluations = targets * sum(each["evaluations"] for each in known)
        figures = [_mean(each, "criterion") for each in own]
        realism = " / ".join(_mean(each, "discriminator") for each in own)
        rows.append([method, *figures, f"{1000 * seconds / evaluations:.1f}", realism])
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _mean(cell: Mapping[str, Any] | None, figure: str) -> str:
    return "–" if cell is None else f"{np.mean(cell[figure]):.2g}"


if __name__ == "__main__":
    main()
