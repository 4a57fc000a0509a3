"""The distances of a summary as the page's tables have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.digits import alone


@dataclass(frozen=True)
class DistanceRow:
    """One group of images.

    Attributes:
        name: of the group.
        n: images on each side.
        frechet, kernel: with their intervals, as text.
        by_degree: the distance to each degree's images, as text.
        precision, recall: in [0, 1].
    """

    name: str
    n: int
    frechet: str
    kernel: str
    by_degree: tuple[str, ...]
    precision: float
    recall: float


@dataclass(frozen=True)
class DistanceTable:
    """All groups in one network's features.

    Attributes:
        network: its name.
        degrees: that are told apart.
        n_of_degrees: images on each side of the distances to these.
        groups: the rows, the queries' first.
        rank_deficient: whether there are fewer images than features.
    """

    network: str
    degrees: tuple[str, ...]
    n_of_degrees: tuple[int, ...]
    groups: tuple[DistanceRow, ...]
    rank_deficient: bool


def distance_tables(summary: Mapping[str, Any]) -> list[DistanceTable]:
    """A table a network; none for a run that measured no distances."""
    return [_table(entry) for entry in summary.get("distances") or []]


def _table(entry: Mapping[str, Any]) -> DistanceTable:
    groups: Mapping[str, Any] = entry["images"]
    degrees = tuple(dict.fromkeys(key for each in groups.values() for key in _degrees(each)))
    rows = tuple(_row(name, each, degrees) for name, each in groups.items())
    sizes = tuple(_degrees(next(iter(groups.values())))[level]["n"] for level in degrees)
    deficient = any(each["rank_deficient"] for each in groups.values())
    return DistanceTable(entry["network"], degrees, sizes, rows, deficient)


def _row(name: str, figures: Mapping[str, Any], degrees: Sequence[str]) -> DistanceRow:
    return DistanceRow(
        name,
        figures["n"],
        _with_interval(figures["frechet"]),
        _with_interval(figures["kernel"]),
        tuple(alone(_degrees(figures)[level]["frechet"][0]) for level in degrees),
        figures["precision"],
        figures["recall"],
    )


def _degrees(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    degrees: Mapping[str, Any] = figures["frechet_by_degree"]
    return degrees


def _with_interval(value: Sequence[float]) -> str:
    middle, low, high = map(alone, value)
    return f"{middle} ({low} to {high})"
