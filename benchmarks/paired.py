"""Ours and its peers measured in turn, so that both meet the same moods of the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

# Timed from outside, unless it returns a float: the seconds of one that must first set something
# up that does not count.
Contender = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some measurements."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Case:
    """One line of a table: what every contender took, round by round.

    Attributes:
        label: what was asked, such as "5,000 rows".
        seconds: of every round, by contender; the first contender is ours.
        table: heading of the table that the line belongs to.
        work: units done in one measurement, where the table shows units a second.
        unit: their name in the plural, such as "images"; empty where the table shows seconds.
        facts: what else is known, by the heading of its column.
    """

    label: str
    seconds: Mapping[str, Sequence[float]]
    table: str = ""
    work: float = 1.0
    unit: str = ""
    facts: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def ours(self) -> str:
        """The contender that the others are compared with."""
        return next(iter(self.seconds))

    @property
    def peers(self) -> list[str]:
        """All but ours."""
        return [name for name in self.seconds if name != self.ours]

    def shown(self, name: str) -> Spread:
        """Seconds, or units a second."""
        seconds = self.seconds[name]
        return Spread.of([self.work / s for s in seconds] if self.unit else list(seconds))

    def ratio(self, peer: str) -> Spread:
        """How many times as long as ours the peer takes, over the rounds."""
        pairs = zip(self.seconds[self.ours], self.seconds[peer], strict=True)
        return Spread.of([theirs / ours for ours, theirs in pairs])


def measure(
    label: str,
    contenders: Mapping[str, Contender],
    *,
    rounds: int = 5,
    warmups: int = 1,
    table: str = "",
    work: float = 1.0,
    unit: str = "",
    clock: Clock = perf_counter,
) -> Case:
    """Run all contenders once a round, every second round in the opposite order.

    Args:
        label: of the case.
        contenders: by name, ours first.
        rounds: that count.
        warmups: rounds before them that do not.
        table: heading of the table that the case belongs to.
        work: units done in one measurement.
        unit: their name in the plural.
        clock: seconds since some moment.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(warmups + rounds):
        for name in list(contenders)[:: -1 if round_ % 2 else 1]:
            began = clock()
            reported = contenders[name]()
            taken = reported if isinstance(reported, float) else clock() - began
            if round_ >= warmups:
                seconds[name].append(taken)
    return Case(label, seconds, table, work, unit)
