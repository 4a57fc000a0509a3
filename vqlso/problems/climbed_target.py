"""A target whose scoring leaves the gradient behind, for the solver that climbs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vqlso.images import to_bytes
from vqlso.problems.target_image import TargetImage, told


@dataclass(frozen=True)
class _Climbed:
    """What one pass told of (n, *shape) latents, row i compared with target places[i]."""

    z: NDArray[Any]
    places: NDArray[np.int64]
    images: NDArray[np.uint8]
    values: NDArray[np.float64]
    gradients: NDArray[np.float64]

    def is_of(self, z: NDArray[Any], places: NDArray[np.int64]) -> bool:
        return np.array_equal(self.z, z) and np.array_equal(self.places, places)


@dataclass(frozen=True)
class ClimbedTarget(TargetImage):
    """A `TargetImage` that differentiates what it scores, and remembers the latest gradients.

    A gradient method is scored at a point and then asks for the gradient there, whose forward
    pass makes image and score anew. Done at once, a point takes two images' time instead of three.
    All latents of a proposal are in memory at the same time, as they are when a gradient is asked
    for. Without gradients it is a waste: then take a `TargetImage`.
    """

    _latest: list[_Climbed] = field(default_factory=list, init=False, repr=False, compare=False)

    def value_and_gradient(
        self, z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, *space.shape) latents -> (n,) scores and their (n, *space.shape) gradients.

        Raises:
            ConfigError: no gradients flow through the generator.
        """
        known = self._climbed(z, np.arange(len(z)))
        return known.values, known.gradients

    def _scored(
        self, z: NDArray[Any], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], list[str]]:
        try:
            known = self._climbed(z, ids)
        except Exception:
            # It fails without gradients, too, and is told as a failure there.
            return super()._scored(z, ids)
        return (known.images, *told(known.values))

    def _climbed(self, z: NDArray[Any], ids: NDArray[np.int64]) -> _Climbed:
        places = ids % self.targets
        if not self._latest or not self._latest[0].is_of(z, places):
            self._latest[:] = [self._differentiated(z, places)]
        return self._latest[0]

    def _differentiated(self, z: NDArray[Any], places: NDArray[np.int64]) -> _Climbed:
        with torch.enable_grad():
            leaf = torch.tensor(z, requires_grad=True)
            images, values = self.decoded_and_scored(leaf, places)
            (gradients,) = torch.autograd.grad(values.sum(), leaf)
        return _Climbed(
            z=z.copy(),
            places=places,
            images=to_bytes(images.detach()),
            values=values.detach().double().cpu().numpy(),
            gradients=gradients.numpy(),
        )
