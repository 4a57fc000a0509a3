"""Directions scaled to change the target attribute by as much (Meißner et al. 2022, 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from vqlso.editing.edits import Vector
from vqlso.editing.evaluation import EditEvaluation, EditQuality
from vqlso.errors import ConfigError

TOLERANCE = 0.01
# Of the enclosing interval, cut off at least: where counts jump, interpolation would creep.
EDGE = 0.15


@dataclass(frozen=True)
class Scaling:
    """A factor of a direction, and how it was found.

    Attributes:
        factor: of d, > 0.
        count: edits with a small change by the scaled d.
        evaluations: factors that were tried.
        reached: whether the count is near enough to the wanted one.
    """

    factor: float
    count: int
    evaluations: int
    reached: bool


def scaled(
    small_changes: Callable[[float], int],
    wanted: int,
    *,
    tolerance: float = TOLERANCE,
    evaluations: int = 30,
) -> Scaling:
    """The factor that leaves as many small changes as wanted.

    The longer a direction, the fewer changes are small. The factor is doubled or halved until the
    wanted count is enclosed; from then on the count is interpolated on a logarithmic scale of
    factors, which an evaluation of thousands of edits repays.

    Args:
        small_changes: a factor -> the number of edits with a small change.
        wanted: this number for the direction that is compared with, >= 1.
        tolerance: relative to `wanted`; 1 % in the paper.
        evaluations: at most so many; then the nearest is given.

    Raises:
        ConfigError: nothing is wanted, or no evaluation is allowed.
    """
    if wanted < 1 or evaluations < 1:
        raise ConfigError(
            "Directions are scaled to at least one small change by at least one evaluation; got "
            f"{wanted} and {evaluations}. With no small change left, compare with a shorter one."
        )
    tried: dict[float, int] = {}
    low, high = 0.0, inf  # too short, too long
    factor = 1.0
    while len(tried) < evaluations and factor not in tried:
        tried[factor] = small_changes(factor)
        if abs(tried[factor] - wanted) <= tolerance * wanted:
            break
        low, high = (factor, high) if tried[factor] > wanted else (low, factor)
        if high == inf:
            factor = 2 * low
        elif low == 0:
            factor = high / 2
        else:
            part = (tried[low] - wanted) / (tried[low] - tried[high])
            factor = low * (high / low) ** min(max(part, EDGE), 1 - EDGE)
    best = min(tried, key=lambda each: abs(tried[each] - wanted))
    near = abs(tried[best] - wanted) <= tolerance * wanted
    return Scaling(best, tried[best], len(tried), near)


def compared(
    evaluation: EditEvaluation,
    directions: Mapping[str, Vector],
    reference: str,
    *,
    tolerance: float = TOLERANCE,
) -> dict[str, tuple[Scaling, EditQuality]]:
    """Every direction, scaled to change the target by as much as the reference (table 2).

    Args:
        evaluation: the originals and what is measured of them.
        directions: by method, (*shape) each.
        reference: the method that keeps its length.
        tolerance: relative, of the number of small changes.

    Returns:
        By method how it was scaled, and its quality after that; `length` is the scaled |d|.
    """
    wanted = evaluation.small_changes(directions[reference])
    table = {}
    for name, d in directions.items():

        def count(factor: float, d: Vector = d) -> int:
            return evaluation.small_changes(factor * d)

        own = Scaling(1.0, wanted, 0, True) if name == reference else None
        scaling = own or scaled(count, wanted, tolerance=tolerance)
        table[name] = (scaling, evaluation.quality(scaling.factor * d))
    return table
