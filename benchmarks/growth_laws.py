"""Exponents of growth, what they are expected to be, and how far it is to the next wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# By axis and quantity: what is expected and why, and what would move the wall. Reasoned, not
# measured: where the exponent beside it says otherwise, the exponent is right.
WHY: dict[tuple[str, str], str] = {
    ("free cells", "solve"): "Tables of free cells are stated and bounded one by one: linear while "
    "bounds by single cells settle nearly all codes at the root, more once a search begins.",
    ("codes", "fit"): "Rare codes share one bin and codes below ten rows are not searched, so "
    "that of more codes ever fewer are looked at.",
    ("codes", "solve"): "Codes that no split tells apart are merged: what counts is the "
    "number of different rows of tables, which 800 trees bound.",
    ("codes", "memory"): "Histograms of cells x K are small beside rows x cells.",
    ("grid", "fit"): "A histogram has one addition a row and cell, and there are edge^2 cells: 2 "
    "while rows times cells outweigh what a tree costs at least, more once the histograms of all "
    "cells outgrow the caches.",
    ("grid", "solve"): "Fixed cells drop out before the search; reading the trees' splits on them "
    "is all that they cost.",
    ("grid", "memory"): "Everything large is rows x cells, and there are edge^2 cells: 2.",
    ("trees", "fit"): "Trees are grown one after another: 1, but for the binning, which is done "
    "once.",
    ("trees", "solve"): "Stating the tables is linear in the trees; with few free cells hardly any "
    "search is left.",
    ("trees", "memory"): "The rows dominate; a tree is three sets of codes and four leaves.",
    (
        "trees, all cells free",
        "solve",
    ): "The search decides: each tree couples three cells, and "
    "nodes multiply once every cell meets every other in some tree.",
    ("depth", "fit"): "Twice the leaves, whose histograms are summed over the same rows again.",
    ("depth", "solve"): "A tree then couples up to seven cells instead of three.",
    ("depth", "memory"): "The rows dominate.",
    ("rows", "fit"): "All work on histograms is linear in rows; below 1 where a tree's search over "
    "codes outweighs it, above 1 where the positions no longer fit into the caches.",
    ("rows", "solve"): "The trees' number is fixed: more rows only tell more codes apart.",
    ("rows", "memory"): "Codes and positions are rows x cells: 1.",
    ("image size", "train"): "All convolutions are linear in pixels, size^2: 2.",
    ("image size", "encode"): "As training: 2.",
    ("image size", "memory"): "Activations of a batch are linear in pixels: 2.",
}
CURE: dict[tuple[str, str], str] = {
    ("free cells", "solve"): "a limit with a proven gap, or fewer free cells",
    ("codes", "fit"): "nothing needed: more codes are used more rarely",
    ("grid", "fit"): "fitting to the cells of highest importance only; threads",
    ("grid", "memory"): "codes as bytes, and one copy of positions instead of two",
    ("trees", "fit"): "a higher learning rate with fewer trees (`benchmarks.shortcuts`)",
    ("trees", "solve"): "fewer trees",
    (
        "trees, all cells free",
        "solve",
    ): "a limit with a proven gap; fewer trees or free cells; "
    "bounds over pairs of cells instead of single ones",
    ("depth", "solve"): "HiGHS, whose relaxation is tighter there, or a lower learning rate",
    ("rows", "fit"): "fitting to a sample of the rows that weighs high scores; threads",
    ("rows", "memory"): "codes as bytes: an archive holds int64",
    ("image size", "train"): "bf16 on matrix hardware, a GPU, or narrower first stages",
    ("image size", "memory"): "smaller batches",
}


@dataclass(frozen=True)
class Wall:
    """Where an axis breaks.

    Attributes:
        axis, subject, quantity: what breaks.
        value: of the axis where it does.
        times: its multiple of the default.
        observed: whether it was measured rather than extrapolated.
    """

    axis: str
    subject: str
    quantity: str
    value: float
    times: float
    observed: bool


def upper_half(values: Sequence[float]) -> slice:
    """Where exponents are fitted: from the middle of the axis on, at least two points."""
    return slice(min(len(values) // 2, max(len(values) - 2, 0)), None)


def exponent(values: Sequence[float], measured: Sequence[float]) -> float:
    """Slope by least squares in log-log over the upper half; NaN below two positive points."""
    half = upper_half(values)
    x, y = np.asarray(values[half], float), np.asarray(measured[half], float)
    if len(x) < 2 or (x <= 0).any() or (y <= 0).any():
        return float("nan")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def reached(values: Sequence[float], measured: Sequence[float], most: float) -> float:
    """The value at which the law of the upper half reaches `most`; infinity if it does not grow."""
    slope = exponent(values, measured)
    if not slope > 0:
        return float("inf")
    half = upper_half(values)
    x, y = np.log(np.asarray(values[half], float)), np.log(np.asarray(measured[half], float))
    log_value = x.mean() + (np.log(most) - y.mean()) / slope
    with np.errstate(over="ignore"):
        return float(np.exp(log_value))
