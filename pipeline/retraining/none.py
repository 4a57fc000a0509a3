"""No retraining: the other arm of every comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqlso.archive import Archive
from vqlso.contracts import RetrainableGenerator
from vqlso.records import FitReport


@dataclass(frozen=True)
class NoRetraining:
    """The generator stays as it is."""

    def due(self, queries: int) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def weights(self, archive: Archive) -> NDArray[np.float64]:
        """Uniform."""
        return np.full(len(archive), 1 / len(archive))

    def retrain(
        self,
        generator: RetrainableGenerator,
        archive: Archive,
        *,
        seed: int,  # noqa: ARG002
        round_: int,  # noqa: ARG002
    ) -> tuple[RetrainableGenerator, FitReport]:
        """The same generator."""
        return generator, FitReport(seconds=0.0, rows=len(archive))
