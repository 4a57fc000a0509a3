"""The course of methods over queries and seconds, as means over seeds with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.comparison.methods import Arm
from pipeline.comparison.results import Result
from pipeline.report.series import Vector
from vqlso.metrics.intervals import mean_interval

CURVES = ("best", "top50", "mean")
POINTS = 200  # of a curve against seconds


@dataclass(frozen=True)
class Curve:
    """A method's course, p points.

    Attributes:
        arm: its label.
        x: (p,) float64, queries or seconds.
        mean: (p,) float64 over seeds, NaN where a seed has no value yet.
        half_width: (p,) float64 of the 95 % interval at each point; NaN for one seed.
        each: (seeds, p) float64.
    """

    arm: str
    x: Vector
    mean: Vector
    half_width: Vector
    each: Vector


def curves(arms: Sequence[Arm], kind: str, against: str) -> list[Curve]:
    """One curve a method; methods without any value are left out.

    Args:
        arms: the methods.
        kind: "best", "top10", "top50" or "mean"; see `Result.curves`.
        against: "queries" or "seconds".
    """
    found = []
    for arm in arms:
        runs = [run for run in arm.results.values() if len(run.queries)]
        if not runs:
            continue
        x = _queries(runs) if against == "queries" else _seconds(runs)
        each = np.stack([_along(run, kind, against, x) for run in runs])
        if np.isfinite(each).any():
            mean, half_width = np.array([mean_interval(column) for column in each.T]).T
            found.append(Curve(arm.label, x, mean, half_width, each))
    return found


def _queries(runs: Sequence[Result]) -> Vector:
    """As far as every seed goes."""
    return np.arange(1, 1 + min(len(run.queries) for run in runs), dtype=np.float64)


def _seconds(runs: Sequence[Result]) -> Vector:
    """As far as the slowest seed goes: one that has ended before keeps what it had."""
    return np.linspace(0, max(run.seconds[-1] for run in runs), POINTS)


def _along(run: Result, kind: str, against: str, x: Vector) -> Vector:
    """The last known value at each x; NaN before the first."""
    curve = run.curves[kind]
    if against == "queries":
        return curve[: len(x)]
    row = np.searchsorted(run.seconds, x, side="right") - 1
    return np.where(row >= 0, curve[np.maximum(row, 0)], np.nan)
