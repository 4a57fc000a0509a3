"""A black box that is asked again when it fails, and what its failures cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import Objective
from vqlso.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RetriedObjective:
    """The same scores as the objective's own.

    Only what gives no answer is asked again: what raises, hangs or dies. A NaN is an answer, and
    a function of the image would only give it again.

    Attributes:
        objective: the black box.
        retries: how often an image is asked for again, >= 0. Batches are not: where one fails,
            its images are asked for one by one.
        failures_count: see `CountsFailures`.
    """

    objective: Objective
    retries: int = 0
    failures_count: bool = True

    @property
    def name(self) -> str:
        """The objective's."""
        return self.objective.name

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float32 in [0, 1] -> (n,) float64; raises what the last try raised."""
        for _ in range(self.retries if len(images) == 1 else 0):
            try:
                return self.objective(images)
            except DataError:
                raise  # images of the wrong size fail every time
            except (Exception, SystemExit):
                continue
        return self.objective(images)
