"""A study's results as two Parquet tables: one row a run, and one row a query."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.comparison.results import Result
from pipeline.runs.journal import plain
from pipeline.studies.folder import StudyFolder
from vqlso.errors import MissingExtraError

if TYPE_CHECKING:
    import pyarrow

RUNS_TABLE = "study.parquet"
QUERIES_TABLE = "queries.parquet"


def write_tables(results: Sequence[Result], folder: StudyFolder) -> None:
    """Write `study.parquet` and `queries.parquet`.

    Columns whose name begins with "seconds" depend on the machine; all others two studies of the
    same seeds share.

    Raises:
        MissingExtraError: pyarrow is not installed.
        StudyError: the folder cannot be written.
    """
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{RUNS_TABLE} and {QUERIES_TABLE} need pyarrow, which is not installed: "
            "`pip install '.[sweep]'` in the project's clone. `vqlso compare` works without them."
        ) from error
    tables = {
        RUNS_TABLE: [run_row(each) for each in results],
        QUERIES_TABLE: [row for each in results for row in query_rows(each)],
    }
    for name, rows in tables.items():
        buffer = io.BytesIO()
        parquet.write_table(_table(rows), buffer)
        folder.write(name, buffer.getvalue())


def run_row(result: Result) -> dict[str, Any]:
    """Method, settings and seed of a run, and all of its summary by dotted names."""
    return {
        **_identity(result),
        "source": result.source,
        **_flat({key: value for key, value in result.summary.items() if key != "seed"}),
    }


def query_rows(result: Result) -> list[dict[str, Any]]:
    """A row a query, in their order."""
    queries = result.queries
    columns: dict[str, Sequence[Any]] = {
        "query": range(1, len(queries) + 1),
        "round": result.rounds,
        "score": queries.scores.tolist(),
        "predicted": queries.predicted.tolist(),
        "novel": queries.novel.tolist(),
        "judged": result.judged.tolist(),
        **{f"control.{name}": each.tolist() for name, each in queries.controls.items()},
        **{f"{name}_so_far": curve.tolist() for name, curve in result.curves.items()},
        "seconds": result.seconds.tolist(),
    }
    identity = _identity(result)
    return [
        {**identity, **plain(dict(zip(columns, values, strict=True)))}
        for values in zip(*columns.values(), strict=True)
    ]


def _identity(result: Result) -> dict[str, Any]:
    settings = {f"setting.{key}": value for key, value in result.settings.items()}
    return {"method": result.method, **settings, "seed": result.seed, "run": result.run}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        found |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


def _table(rows: Sequence[Mapping[str, Any]]) -> pyarrow.Table:
    """Rows of any keys; a column is of numbers, truth values or texts, with nulls for gaps."""
    import pyarrow

    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return pyarrow.table(columns)


def _column(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return [float(value) if float in kinds and value is not None else value for value in values]
    if kinds <= {bool} or kinds <= {str}:
        return values
    return [
        value if isinstance(value, str) or value is None else json.dumps(value) for value in values
    ]
