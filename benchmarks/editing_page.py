"""docs/editing-results.md, from the results in the repository and the prose beside this file.

python -m benchmarks.editing_page
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.editing_tables import TABLES
from benchmarks.page import measured_on
from benchmarks.recording import read_results

TEMPLATE = Path(__file__).with_name("editing-results.md.j2")
PAGE = Path(__file__).parents[1] / "docs" / "editing-results.md"


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as Markdown; sections whose results are missing are left out."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals.update(results=results, measured_on=measured_on, **TABLES)
    return environment.get_template(TEMPLATE.name).render()


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(read_results()), encoding="utf-8")


if __name__ == "__main__":
    main()
