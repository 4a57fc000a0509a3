"""A person made of a feature network: picks what looks most like a picture in its mind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.errors import ConfigError, DataError
from vqlso.images import to_unit
from vqlso.randomness import stream

Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class SimulatedPerson:
    """Picks the images nearest to a hidden target in a feature network, with slips.

    The nearest is picked twice where more than one pick is to be made, as a person clicks again on
    what is liked best.

    Attributes:
        features: (n, 3, H, W) float in [0, 1] -> (n, d), where distances are measured.
        target: (3, H, W) uint8, what only this person sees.
        picks: clicks a batch, >= 1.
        noise: deviation of what distances are mistaken by, in deviations of the distances of one
            batch: at 0 there are no slips, at 1 the eye is as loose as the images differ.
        seed: of the slips.

    Raises:
        ConfigError: a setting outside its range.
        DataError: the target is no image.
    """

    features: Features
    target: NDArray[np.uint8]
    picks: int = 5
    noise: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        if self.picks < 1 or not 0 <= self.noise < np.inf:
            raise ConfigError(
                "A simulated person needs picks >= 1 and a finite noise >= 0; got "
                f"{self.picks} and {self.noise}."
            )
        if self.target.ndim != 3 or len(self.target) != 3 or self.target.dtype != np.uint8:
            raise DataError(
                f"A target is a uint8 array (3, H, W); got {self.target.dtype} of "
                f"{self.target.shape}."
            )

    def __call__(self, images: NDArray[np.uint8], moment: int) -> NDArray[np.int64]:
        """(n, 3, H, W) uint8 -> (n,) int64 picks; see `vqlso.problems.preference.Person`."""
        seen = self.distances(images)
        slips = stream(self.seed, "simulated person", moment).standard_normal(len(seen))
        order = np.argsort(seen + self.noise * seen.std() * slips, kind="stable")
        counts = np.zeros(len(images), dtype=np.int64)
        counts[order[: max(1, self.picks - 1)]] = 1
        counts[order[0]] += self.picks > 1
        return counts

    def distances(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(n,) how far (n, 3, H, W) uint8 images are from the target, without slips."""
        with torch.no_grad():
            features = self.features(to_unit(images)).double()
        return np.asarray((features - self._wanted).norm(dim=1).cpu().numpy())

    @cached_property
    def _wanted(self) -> Tensor:
        with torch.no_grad():
            return self.features(to_unit(self.target[None])).double()
