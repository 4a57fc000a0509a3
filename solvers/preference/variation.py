"""How latents of a space are drawn, recombined and mutated by an evolution strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import LatentSpace
from vqlso.errors import DataError
from vqlso.spaces import CodeGrid, RealVectors


class Variation(Protocol):
    """What an evolution strategy does to latents; everything random comes from `rng`."""

    @property
    def space(self) -> LatentSpace:
        """Whose latents they are."""

    @property
    def first_mutation(self) -> float:
        """A size to begin with, in (0, 1]."""

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """(n, *shape) latents that look like the generator's ordinary images."""

    def recombined(
        self, parents: NDArray[Any], weights: NDArray[np.float64], n: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """(n, *shape) children of (k, *shape) parents, whose (k,) weights are above 0."""

    def mutated(
        self, z: NDArray[Any], sizes: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[Any]:
        """(n, *shape) latents, each changed by its size of (n,) in (0, 1]."""


@dataclass(frozen=True)
class VectorVariation:
    """Of real vectors, by the scale and the correlations of the space's own samples.

    A child lies at a random place between its parents: a convex combination with weights from a
    Dirichlet distribution, which is the parents' mean on average (paper 001, section V-D,
    averages). A mutation adds the difference of two samples, divided by the root of 2: noise of
    mean 0 with the space's covariance, whatever that is in w or s.
    """

    space: RealVectors
    first_mutation: float = 0.5

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Samples of the space."""
        return self.space.sample(n, rng)

    def recombined(
        self,
        parents: NDArray[np.float64],
        weights: NDArray[np.float64],
        n: int,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Convex combinations."""
        return np.tensordot(rng.dirichlet(weights, size=n), parents, axes=1)

    def mutated(
        self, z: NDArray[np.float64], sizes: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Noise of the space's covariance times the squared size."""
        noise = (self.space.sample(len(z), rng) - self.space.sample(len(z), rng)) / np.sqrt(2)
        return np.asarray(z + sizes.reshape(-1, *[1] * (z.ndim - 1)) * noise)


@dataclass(frozen=True, eq=False)
class CodeVariation:
    """Of code grids: codes are categories, so they are exchanged and never averaged.

    A child has each cell from one of its parents. A mutation draws a share of the cells anew from
    the prior of their cell: the code that the cell has in one of the grids, drawn for it alone, so
    that codes come as often as in the data and none comes where it was never seen.

    Attributes:
        space: the code grid.
        grids: (m, h, w) int64, what the generator encodes data as.
        first_mutation: a size to begin with, smaller than of vectors: a cell that changes without
            its neighbours fits them by chance only.

    Raises:
        DataError: there are no grids.
        LatentSpaceError: they are none of this space.
    """

    space: CodeGrid
    grids: NDArray[np.int64]
    first_mutation: float = 0.1

    def __post_init__(self) -> None:
        if not len(self.space.validate(self.grids)):
            raise DataError("Codes are drawn from grids of data: give at least one.")

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Grids of the data, different ones as long as there are so many."""
        order = rng.permutation(len(self.grids))
        return self.grids[np.resize(order, n)]

    def recombined(
        self,
        parents: NDArray[np.int64],
        weights: NDArray[np.float64],
        n: int,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Each cell from a parent drawn by weight."""
        shape = (n, *self.space.shape)
        donors = rng.choice(len(parents), size=shape, p=weights / weights.sum())
        return np.take_along_axis(parents, donors, axis=0)

    def mutated(
        self, z: NDArray[np.int64], sizes: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Each cell is drawn anew with the chance `size`."""
        donors = rng.integers(len(self.grids), size=z.shape)
        drawn = np.take_along_axis(self.grids, donors, axis=0)
        return np.where(rng.random(z.shape) < sizes[:, None, None], drawn, z)
