"""Coordinates in which a space's samples look normal (Menon et al. 2020, "PULSE", section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from solvers.ascent import Ascent, Point, Rule
from vqlso.randomness import stream
from vqlso.spaces import RealVectors

# Mean and deviation are known to 2 % of the deviation; the authors take a million samples.
SAMPLES = 4096
# A mapping network ends in a leaky ReLU of slope 0.2, which these spaces are rid of.
MAPPED = ("w", "w+")
LEAK = 0.2


@dataclass(frozen=True)
class GaussianCoordinates:
    """x with z = activation(mean + deviation * x), coordinate by coordinate.

    Attributes:
        mean: (*space.shape,) of what lies behind the samples' activation.
        deviation: (*space.shape,), > 0.
        leak: slope of the activation below 0; 1 for none.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    leak: float

    @classmethod
    def of(cls, space: RealVectors, *, seed: int) -> GaussianCoordinates:
        """Those of a space, from its samples; where these are normal by definition, z itself."""
        if space.draw is None:
            return cls(np.zeros(space.shape), np.ones(space.shape), 1.0)
        leak = LEAK if space.name in MAPPED else 1.0
        behind = _activated(space.sample(SAMPLES, stream(seed, "gaussian coordinates")), 1 / leak)
        spread = behind.std(axis=0)
        return cls(behind.mean(axis=0), np.where(spread > 0, spread, 1.0), leak)

    def of_latent(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., *space.shape) latents -> their coordinates."""
        return (_activated(z, 1 / self.leak) - self.mean) / self.deviation

    def latent(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `of_latent`."""
        return _activated(self.mean + self.deviation * x, self.leak)

    def gradient(self, point: Point) -> NDArray[np.float64]:
        """Of the score with respect to the coordinates, by the chain rule."""
        return point.gradient * np.where(point.z < 0, self.leak, 1.0) * self.deviation


def in_coordinates(rule: Rule, coordinates: GaussianCoordinates) -> Rule:
    """The rule as it goes in these coordinates, yielding latents."""

    def translated(start: Point, step: float) -> Ascent:
        x = coordinates.of_latent(start.z)
        ascent = rule(replace(start, z=x, gradient=coordinates.gradient(start)), step)
        x = next(ascent)
        while True:
            point = yield coordinates.latent(x)
            x = ascent.send(replace(point, z=x, gradient=coordinates.gradient(point)))

    return translated


def _activated(x: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    return np.where(x < 0, slope * x, x)
