"""Tables that a result carries beside its cases, as JSON that a page can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.tables import markdown


def titled(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """One table."""
    return {"title": title, "heads": list(heads), "rows": [list(row) for row in rows]}


def printed(tables: Sequence[dict[str, Any]]) -> str:
    """All of them as Markdown."""
    return "\n\n".join(
        f"**{each['title']}**\n\n{markdown(each['heads'], each['rows'])}" for each in tables
    )
