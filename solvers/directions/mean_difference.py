"""The difference of means (Larsen et al. 2015), with the ends of a score as the two classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.directions.from_samples import extremes, require_share


@dataclass(frozen=True)
class MeanDifference:
    """The mean latent of the highest levels minus that of the lowest.

    Attributes:
        share: of the samples at each end, in (0, 0.5].

    Raises:
        SolverError: another share.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        require_share(self.share)

    def __call__(
        self,
        latents: NDArray[np.float64],
        levels: NDArray[np.float64],
        seed: int,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """(m, d) latents and (m,) levels -> (d,)."""
        high, low = extremes(levels, self.share)
        return np.asarray(latents[high].mean(0) - latents[low].mean(0), dtype=np.float64)
