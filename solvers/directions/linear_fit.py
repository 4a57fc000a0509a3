"""A linear model of the level: the direction in which it grows fastest, all else held still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import SolverError


@dataclass(frozen=True)
class LinearFit:
    """The slopes of a ridge regression of the levels on the latents.

    A difference of means follows whatever goes with the attribute among the samples: where two
    entries of the latents vary together, both enter it. Regression gives each entry its own part
    alone (Hoerl and Kennard 1970 for the penalty), and it learns from all samples, not from the
    ends.

    Attributes:
        penalty: > 0, on the squared slopes, relative to the mean variance of an entry times the
            number of samples; it keeps entries that hardly vary from steep slopes.

    Raises:
        SolverError: a penalty that is no positive number.
    """

    penalty: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.penalty < np.inf:
            raise SolverError(f"The penalty on slopes is a positive number; got {self.penalty}.")

    def __call__(
        self,
        latents: NDArray[np.float64],
        levels: NDArray[np.float64],
        seed: int,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """(m, d) latents and (m,) levels -> (d,)."""
        x = latents - latents.mean(0)
        scatter = x.T @ x
        ridge = self.penalty * np.trace(scatter) / len(scatter)
        return np.asarray(
            np.linalg.solve(scatter + ridge * np.eye(len(scatter)), x.T @ (levels - levels.mean()))
        )
