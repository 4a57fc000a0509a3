"""Stages of a loop, what they take, and the part of the bookkeeping that both loops share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from vqlso.archive import Archive, Encode

# Seconds by stage.
Stages = dict[str, float]

QUERY_STAGES = ("fit", "build", "solve", "verify", "decode and score", "record")
RETRAINING_STAGES = ("retrain", "re-encode")
# What only our loop does, for its report, and what is neither.
REST = ("controls", "other")
STAGES = (*QUERY_STAGES, *RETRAINING_STAGES, *REST)


@dataclass(frozen=True, eq=False)
class Queried:
    """One scored query: its number, the score, and the (3, H, W) uint8 image that was scored."""

    number: int
    score: float
    image: NDArray[np.uint8]


@dataclass
class Period:
    """A retraining and the queries up to the next one.

    Attributes:
        due: queries of the period.
        asked: of them, those that were run.
        retraining: seconds by stage.
        queries: seconds by stage, of all that were run.
    """

    due: int
    asked: int
    retraining: Stages
    queries: Stages

    def a_query(self, stages: tuple[str, ...] = QUERY_STAGES) -> float:
        """Seconds a query in these stages."""
        return sum(self.queries.get(stage, 0.0) for stage in stages) / self.asked

    def in_all(self, stage: str) -> float:
        """Seconds of a stage, as if all due queries had been run."""
        scale = self.due / self.asked
        return self.retraining.get(stage, 0.0) + scale * self.queries.get(stage, 0.0)


@dataclass
class Ledger:
    """All that one loop did.

    Attributes:
        name: of the loop.
        periods: in order.
        queried: in order.
    """

    name: str
    periods: list[Period] = field(default_factory=list)
    queried: list[Queried] = field(default_factory=list)

    @property
    def extrapolated(self) -> bool:
        """Whether seconds in all stand for more queries than were run."""
        return any(period.asked < period.due for period in self.periods)

    def in_all(self, *stages: str) -> float:
        """Seconds of some stages in all periods."""
        return sum(period.in_all(stage) for stage in stages for period in self.periods)


class TimedArchive(Archive):
    """An archive that knows what its last re-encoding took."""

    seconds = 0.0

    @classmethod
    def copied(cls, archive: Archive) -> TimedArchive:
        """A fresh one of the same scored training set, whose images are shared."""
        latents = archive.latents(archive.version)
        return cls(archive.images(slice(None)), archive.scores, latents, archive.version)

    def reencode(self, encode: Encode, version: str, chunk: int = 2048) -> None:
        """As `Archive.reencode`."""
        began = perf_counter()
        super().reencode(encode, version, chunk)
        self.seconds = perf_counter() - began


@contextmanager
def timed(seconds: Stages, stage: str) -> Iterator[None]:
    """Add what the block takes to a stage."""
    began = perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + perf_counter() - began
