"""InterFaceGAN: the normal of the plane that parts high from low levels (Shen et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from solvers.directions.from_samples import extremes, require_share
from vqlso.randomness import stream


@dataclass(frozen=True)
class SvmNormal:
    """A linear support vector machine on the ends of the scored samples.

    The authors score 500,000 samples, take 2 % at each end and fit to 70 % of these; `accuracy`
    tells how well the plane parts the others. With fewer samples a larger share serves better.

    Attributes:
        share: of the samples at each end, in (0, 0.5].
        fitted: the share of these that is fitted, in (0, 1].
        softness: C, the price of a sample on the wrong side.

    Raises:
        SolverError: a share of samples outside its range.
    """

    share: float = 0.02
    fitted: float = 0.7
    softness: float = 1.0

    def __post_init__(self) -> None:
        require_share(self.share)

    def __call__(
        self, latents: NDArray[np.float64], levels: NDArray[np.float64], seed: int
    ) -> NDArray[np.float64]:
        """(m, d) latents and (m,) levels -> (d,)."""
        return self.parted(latents, levels, seed)[0]

    def parted(
        self, latents: NDArray[np.float64], levels: NDArray[np.float64], seed: int
    ) -> tuple[NDArray[np.float64], float]:
        """The plane's normal, and its accuracy on the ends that were not fitted; NaN for none.

        Args:
            latents: (m, d).
            levels: (m,) that differ.
            seed: of the choice of what is fitted.
        """
        high, low = extremes(levels, self.share)
        count = max(1, round(self.fitted * len(high)))
        rng = stream(seed, "svm split", len(levels))
        high, low = rng.permutation(high), rng.permutation(low)
        rows = np.concatenate([high[:count], low[:count]])
        machine = SVC(kernel="linear", C=self.softness)
        machine.fit(latents[rows], np.repeat([1, 0], count))
        left = np.concatenate([high[count:], low[count:]])
        truth = np.repeat([1, 0], len(high) - count)
        accuracy = float(machine.score(latents[left], truth)) if len(left) else np.nan
        return np.asarray(machine.coef_[0], dtype=np.float64), accuracy
