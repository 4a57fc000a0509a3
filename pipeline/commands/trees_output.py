"""What `vqlso trees` shows and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text

from solvers.trees import Continuous, Feature, Optimum, Solution
from solvers.trees.destinations import replaced


def as_json(optimum: Optimum, features: Sequence[Feature] | None) -> dict[str, Any]:
    """The optimum as JSON values: codes and whole numbers are integers, NaN and infinity null.

    Args:
        optimum: over n_features features.
        features: (n_features,) their kinds; None where unknown.
    """

    def point(solution: Solution) -> list[float | int | None]:
        kinds = features or [Continuous()] * len(solution.z)
        return [_plain(value, kind) for value, kind in zip(solution.z, kinds, strict=True)]

    return {
        "z": point(optimum.solutions[0]),
        "value": optimum.value,
        "prediction": optimum.prediction,
        "bound": _finite(optimum.bound),
        "gap": _finite(optimum.gap),
        "status": str(optimum.status),
        "seconds": optimum.seconds,
        "nodes": optimum.nodes,
        "backend": optimum.backend,
        "note": optimum.note,
        "solutions": [
            {"z": point(each), "value": each.value, "prediction": each.prediction}
            for each in optimum.solutions
        ],
    }


def tables(optimum: Optimum, reference: NDArray[Any]) -> Iterator[Table]:
    """What changed, the further points if there are any, and the figures."""
    changes = _table("feature", "from", "to")
    for feature in _changed(optimum.z, reference):
        changes.add_row(str(feature), _text(reference[feature]), _text(optimum.z[feature]))
    if not changes.row_count:
        changes.add_row("none", "", "")
    yield changes
    if len(optimum.solutions) > 1:
        yield _ranking(optimum, reference)
    figures = Table(box=box.SIMPLE, show_header=False, show_edge=False, pad_edge=False)
    for name, text in _figures(optimum).items():
        if text:
            figures.add_row(name, Text(text))
    yield figures


def backend_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """Rows of `pipeline.commands.listing.listing` as a table."""
    table = _table("backend", "what it is", "install")
    for row in rows:
        table.add_row(row["name"], Text(row["what"]), Text(row["install"]))
    return table


def save_points(optimum: Optimum, path: Path, *, several: bool) -> None:
    """Write the best point (n_features,), or all points (k, n_features), as .npy.

    Raises:
        SolverError: the file cannot be written.
    """
    points = np.array([each.z for each in optimum.solutions]) if several else optimum.z
    with replaced(path) as file:
        np.save(file, points)


def _ranking(optimum: Optimum, reference: NDArray[Any]) -> Table:
    table = _table("rank", "value", "changes")
    for rank, each in enumerate(optimum.solutions, start=1):
        changes = (
            f"{feature}: {_text(reference[feature])} -> {_text(each.z[feature])}"
            for feature in _changed(each.z, reference)
        )
        table.add_row(str(rank), _text(each.value), ", ".join(changes) or "none")
    return table


def _figures(optimum: Optimum) -> dict[str, str]:
    """Empty where there is nothing to say."""
    with_terms = optimum.prediction != optimum.value
    return {
        "value": _text(optimum.value),
        "prediction": _text(optimum.prediction) if with_terms else "",
        "bound": _text(optimum.bound),
        "status": str(optimum.status),
        "seconds": f"{optimum.seconds:.3g}",
        "nodes": "" if optimum.nodes is None else str(optimum.nodes),
        "backend": optimum.backend,
        "note": optimum.note,
    }


def _changed(z: NDArray[Any], reference: NDArray[Any]) -> list[int]:
    same = (z == reference) | (np.isnan(z) & np.isnan(reference))
    return [int(feature) for feature in np.flatnonzero(~same)]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _text(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:.6g}"


def _plain(value: float, kind: Feature) -> float | int | None:
    if np.isnan(value):
        return None
    whole = not isinstance(kind, Continuous) or isinstance(value, np.integer)
    return int(value) if whole else float(value)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
