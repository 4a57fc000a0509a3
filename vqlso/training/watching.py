"""Watching an adversarial training while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Made = TypeVar("Made")


@dataclass(frozen=True)
class Snapshot(Generic[Made]):
    """How far a training is.

    Attributes:
        kimg: thousand real images shown.
        generator: the running mean, a copy.
        measures: losses and the like, means over the last steps.
    """

    kimg: float
    generator: Made
    measures: dict[str, float]


@dataclass(frozen=True)
class Observer(Generic[Made]):
    """Who watches a training, without any influence on it.

    Attributes:
        look: is given snapshots.
        every_kimg: thousand images between two.
    """

    look: Callable[[Snapshot[Made]], None]
    every_kimg: float = 10.0

    def is_due(self, shown: int, more: int) -> bool:
        """Whether a snapshot falls into the images after the first `shown` ones."""
        every = 1000 * self.every_kimg
        return shown // every < (shown + more) // every
