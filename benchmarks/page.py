"""docs/performance.md, from the results in the repository and the prose in performance.md.j2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.extra_tables import printed
from benchmarks.paired import Case
from benchmarks.recording import read_results
from benchmarks.tables import figure, markdown, spread, tables

TEMPLATE = Path(__file__).with_name("performance.md.j2")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as Markdown.

    The template sees `results` by benchmark, and can call `section(name)` for machine, command
    and tables of one; `tables(cases)`, `markdown(heads, rows)`, `figure` and `spread` are for
    what a section shows beside.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals.update(
        results=results,
        section=lambda name: section(results[name]),
        case=lambda name, label: _case(results[name], label),
        tables=tables,
        markdown=markdown,
        figure=figure,
        spread=spread,
    )
    return environment.get_template(TEMPLATE.name).render()


def section(record: Mapping[str, Any]) -> str:
    """Where a benchmark was measured, by which command, and its tables."""
    shown = [f"{measured_on(record)}\n\n```sh\n{record['command']}\n```\n"]
    if record["cases"]:
        shown.append(tables(record["cases"]))
    if record.get("tables"):
        shown.append(printed(record["tables"]) + "\n")
    return "\n".join(shown)


def measured_on(record: Mapping[str, Any]) -> str:
    """Machine, versions, date and load of a record, as one sentence."""
    on, load = record["machine"], record["load"]
    packages = ", ".join(f"{name} {number}" for name, number in on["packages"].items())
    return (
        f"Measured on {record['date']} on {on['cpu']}, {on['cores']} cores, "
        f"{on['memory_gib']:.0f} GiB, {on['system']}, Python {on['python']}"
        f"{', ' if packages else ''}{packages}; load {load['before'][0]:.1f} before and "
        f"{load['after'][0]:.1f} after."
    )


def _case(record: Mapping[str, Any], label: str) -> Case:
    found: list[Case] = [case for case in record["cases"] if case.label == label]
    if len(found) != 1:
        raise ValueError(f"{len(found)} cases are called '{label}'; one was expected.")
    return found[0]


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(read_results()), encoding="utf-8")


if __name__ == "__main__":
    main()
