"""z and a class in one latent: where conditional search takes place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vqlso.errors import ConfigError, LatentSpaceError
from vqlso.spaces import RealVectors

NAME = "z x class"
# Beyond rounding, what sums to 1 and what is no less than 0.
TOLERANCE = 1e-6

ClassValues = Literal["one-hot", "simplex", "free", "nearest"]


@dataclass(frozen=True)
class ClassConditional(RealVectors):
    """z followed by one column for each class of each group (paper 001, section III-B).

    A generator knows classes as one-hot vectors. A continuous search may leave them (section
    III-C5, its first strategy), and how far is the space's choice.

    Attributes:
        classes: how many classes each group has.
        values: what the class part may be: "one-hot", a mixture of classes on the "simplex",
            "free", any real numbers, as the paper searches, or "nearest", any real numbers, of
            which the nearest one-hot vector is decoded: always a class that was trained.

    Raises:
        ConfigError: an unknown choice of values.
    """

    classes: tuple[int, ...] = field(kw_only=True)
    values: ClassValues = "one-hot"

    def __post_init__(self) -> None:
        if self.values not in get_args(ClassValues):
            raise ConfigError(
                f"The class part of space '{self.name}' is one of "
                f"{', '.join(get_args(ClassValues))}; got '{self.values}'."
            )

    @property
    def z_dim(self) -> int:
        """Columns before the class part."""
        return self.shape[0] - sum(self.classes)

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(n, d) float64: z from the standard normal, classes uniform and one-hot."""
        z = rng.standard_normal((n, self.z_dim))
        chosen = rng.integers(0, self.classes, size=(n, len(self.classes)))
        return self.joined(z, chosen)

    def validate(self, z: NDArray[np.generic]) -> NDArray[np.float64]:
        """`z` as float64 of shape (n, d).

        Raises:
            LatentSpaceError: wrong shape, not numbers, not finite, or a class part that the space
                does not allow.
        """
        z = super().validate(z)
        for index, part in enumerate(self._parts(z)):
            if not self._allows(part):
                raise LatentSpaceError(
                    f"The {part.shape[1]} columns of class group {index} in space '{self.name}' "
                    f"are to be {_MEANT[self.values]}; some here are not. Use `nearest`, or choose "
                    f"other values for the class part: {', '.join(get_args(ClassValues))}."
                )
        return z

    def nearest(self, z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(n, d) of the same z, and of the class parts that are nearest and allowed."""
        z = super().validate(z)
        parts = [_nearest(part, self.values) for part in self._parts(z)]
        return np.concatenate([z[:, : self.z_dim], *parts], axis=1)

    def given(self, z: Tensor) -> Tensor:
        """(n, d) latents -> (n, d), what the network is given for them.

        Where the nearest class is decoded, gradients pass as if nothing had been rounded: the
        straight-through estimator of Bengio et al. 2013, "Estimating or propagating gradients".
        """
        if self.values != "nearest":
            return z
        parts = torch.split(z[:, self.z_dim :], list(self.classes), dim=1)
        one_hot = [F.one_hot(part.argmax(1), part.shape[1]).to(z) for part in parts]
        rounded = torch.cat([z[:, : self.z_dim], *one_hot], dim=1)
        return rounded.detach() + (z - z.detach())

    def joined(
        self, z: NDArray[np.floating[Any]], chosen: NDArray[np.integer[Any]]
    ) -> NDArray[np.float64]:
        """(n, z_dim) and the (n, groups) indices of classes -> (n, d)."""
        parts = [np.eye(count)[chosen[:, i]] for i, count in enumerate(self.classes)]
        return np.concatenate([z, *parts], axis=1)

    def chosen(self, z: NDArray[np.float64]) -> NDArray[np.int64]:
        """(n, d) -> (n, groups), the class of the largest column in each group."""
        return np.stack([part.argmax(1) for part in self._parts(z)], axis=1)

    def _parts(self, z: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        bounds = self.z_dim + np.cumsum((0, *self.classes[:-1]))
        return np.split(z, bounds, axis=1)[1:]

    def _allows(self, part: NDArray[np.float64]) -> bool:
        if self.values in ("free", "nearest"):
            return True
        summed = bool((np.abs(part.sum(1) - 1) <= TOLERANCE).all())
        if self.values == "simplex":
            return summed and bool((part >= -TOLERANCE).all())
        return summed and bool(((part == 0) | (part == 1)).all())


_MEANT = {
    "one-hot": "one-hot: a single 1 among zeros",
    "simplex": "at least 0 and to sum to 1",
}


def _nearest(part: NDArray[np.float64], values: ClassValues) -> NDArray[np.float64]:
    if values == "one-hot":
        nearest: NDArray[np.float64] = np.eye(part.shape[1])[part.argmax(1)]
        return nearest
    return _on_simplex(part) if values == "simplex" else part


def _on_simplex(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest points of the simplex in the Euclidean sense.

    Duchi et al. 2008, "Efficient projections onto the l1-ball", figure 1: all columns are lowered
    by the same amount, and those that fall below 0 are raised to it.
    """
    falling = -np.sort(-part, axis=1)
    excess = (falling.cumsum(1) - 1) / np.arange(1, part.shape[1] + 1)
    last = (falling > excess).sum(1) - 1
    lowered: NDArray[np.float64] = np.maximum(part - excess[np.arange(len(part)), last, None], 0)
    return lowered
