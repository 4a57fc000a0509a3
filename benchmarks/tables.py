"""Cases of a benchmark as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from benchmarks.paired import Case, Spread


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: float) -> str:
    """Three significant digits, and all digits before the point."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:#.3g}"
    return text if "e" in text else text.rstrip(".")


def spread(values: Spread) -> str:
    """Median, and least to greatest in brackets."""
    return f"{figure(values.median)} ({figure(values.least)}-{figure(values.greatest)})"


def tables(cases: Sequence[Case]) -> str:
    """One table for each heading and set of contenders, in the order of the cases."""
    groups = groupby(cases, key=lambda case: (case.table, case.unit, *case.seconds, *case.facts))
    return "\n".join(_table(list(group)) for _, group in groups)


def _table(cases: Sequence[Case]) -> str:
    first = cases[0]
    measured = f"{first.unit} a second" if first.unit else "seconds"
    heads = [
        "",
        *(f"{name}, {measured}" for name in first.seconds),
        *(f"times faster than {peer}" for peer in first.peers),
        *first.facts,
    ]
    rows = [
        [
            case.label,
            *(spread(case.shown(name)) for name in case.seconds),
            *(spread(case.ratio(peer)) for peer in case.peers),
            *(_told(fact) for fact in case.facts.values()),
        ]
        for case in cases
    ]
    heading = f"**{first.table}**\n\n" if first.table else ""
    return f"{heading}{markdown(heads, rows)}\n"


def _told(fact: str | float) -> str:
    return figure(fact) if isinstance(fact, float) else str(fact)
